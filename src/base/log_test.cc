#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mignificient::log {
namespace {

using testing::EndsWith;

TEST(LogTest, LineIsEventThenKeyValues) {
  EXPECT_THAT(Format(Level::kInfo, "container_started", {{"id", "c-3"}, {"pid", 77}}),
              EndsWith("Z info container_started id=c-3 pid=77"));
}

TEST(LogTest, ValuesThatWouldBreakTheLineAreQuotedAndEscaped) {
  EXPECT_THAT(Format(Level::kError, "e", {{"a", "two words"}, {"b", "x\n\"y\""}, {"c", ""}, {"d", "\x01"}}),
              EndsWith(R"(error e a="two words" b="x\n\"y\"" c="" d="\x01")"));
}

TEST(LogTest, ALineIsValidText) {
  EXPECT_THAT(Format(Level::kInfo, "e", {{"a", "größe"}, {"b", "\x80 \xff"}}), EndsWith(R"(e a="größe" b="? ?")"));
}

}  // namespace
}  // namespace mignificient::log
