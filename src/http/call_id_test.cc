#include "http/call_id.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace mignificient::http {
namespace {

TEST(CallIdTest, EachIsARandomUuidOfItsOwn) {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = MakeCallId();
    EXPECT_THAT(id, testing::MatchesRegex("[0-9a-f]+-[0-9a-f]+-4[0-9a-f]+-[89ab][0-9a-f]+-[0-9a-f]+"));
    EXPECT_EQ(id.size(), 36u);
    for (const size_t dash : {8, 13, 18, 23}) EXPECT_EQ(id[dash], '-');
    ids.insert(id);
  }
  EXPECT_EQ(ids.size(), 1000u);
}

}  // namespace
}  // namespace mignificient::http
