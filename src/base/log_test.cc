#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>

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

TEST(LogTest, FieldsAreTextsNumbersAndWhatFormatKnows) {
  const std::string text = "t";
  EXPECT_THAT(
      Format(Level::kInfo, "e",
             {{"a", text}, {"b", "c"}, {"d", -7}, {"e", uint64_t{1} << 63}, {"f", 1.5}, {"g", true}, {"h", 'x'}}),
      EndsWith("e a=t b=c d=-7 e=9223372036854775808 f=1.5 g=true h=x"));
}

// What `act` writes to standard error.
template <typename Act>
std::string Written(Act act) {
  testing::internal::CaptureStderr();
  act();
  return testing::internal::GetCapturedStderr();
}

TEST(LogTest, AGatheredLineIsWrittenWithTheNextWrite) {
  int asked = 0;
  Gather lines([&] { ++asked; });
  EXPECT_EQ(Written([] {
              Info("one");
              Info("two");
            }),
            "");
  EXPECT_EQ(asked, 1);
  EXPECT_THAT(Written([&] { lines.Write(); }), testing::MatchesRegex("[^\n]*info one\n[^\n]*info two\n"));
  EXPECT_EQ(Written([&] { lines.Write(); }), "");
  Info("three");
  EXPECT_EQ(asked, 2);
  EXPECT_THAT(Written([&] { lines.Write(); }), EndsWith("info three\n"));
}

TEST(LogTest, AWarningTakesWhatWasKeptAlong) {
  Gather lines([] {});
  EXPECT_THAT(Written([] {
                Info("one");
                Warning("two");
              }),
              testing::MatchesRegex("[^\n]*info one\n[^\n]*warning two\n"));
}

TEST(LogTest, WhatIsKeptIsWrittenAtTheEnd) {
  EXPECT_THAT(Written([] {
                Gather lines([] {});
                Info("one");
              }),
              EndsWith("info one\n"));
  EXPECT_THAT(Written([] { Info("two"); }), EndsWith("info two\n"));
}

TEST(LogTest, ManyLinesAreWrittenUnasked) {
  Gather lines([] {});
  EXPECT_NE(Written([] {
              for (int i = 0; i < 10'000; ++i) Info("line");
            }),
            "");
  Written([&] { lines.Write(); });
}

TEST(LogTest, LinesOfOtherThreadsAreNotKept) {
  Gather lines([] {});
  EXPECT_THAT(Written([] { std::thread([] { Info("one"); }).join(); }), EndsWith("info one\n"));
}

}  // namespace
}  // namespace mignificient::log
