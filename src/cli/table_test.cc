#include "cli/table.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace mignificient::cli {
namespace {

TEST(TableTest, AlignsColumnsAndFillsGaps) {
  const auto rows = boost::json::parse(R"([{"id": "c-1", "n": 12}, {"id": "c-100", "user": "bob"}])").as_array();
  EXPECT_EQ(ColumnsOf(rows), (std::vector<std::string>{"id", "n", "user"}));
  EXPECT_EQ(TableText(rows, ColumnsOf(rows)),
            "id     n   user\n"
            "c-1    12  -\n"
            "c-100  -   bob\n");
  EXPECT_EQ(TableText(rows, {"user"}), "user\n-\nbob\n");
}

TEST(TableTest, ShowsNothingThatSteersTheTerminal) {
  const auto rows = boost::json::parse("[{\"name\": \"a\\u001b[2Jb\"}]").as_array();
  EXPECT_EQ(TableText(rows, {"name"}), "name\na?[2Jb\n");
}

}  // namespace
}  // namespace mignificient::cli
