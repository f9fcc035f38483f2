#include "cli/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace mignificient::cli {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::chrono::nanoseconds> First(Schedule schedule, size_t count) {
  std::vector<std::chrono::nanoseconds> times;
  while (times.size() < count) {
    const auto arrival = schedule();
    if (!arrival) break;
    times.push_back(arrival->at);
  }
  return times;
}

TEST(ScheduleTest, ConstantGapsAreEqualAndDoNotDrift) {
  EXPECT_THAT(First(ConstantSchedule(100), 3), ElementsAre(0ns, 10ms, 20ms));
  EXPECT_EQ(First(ConstantSchedule(3000), 3000001).back(), 1000s);
}

TEST(ScheduleTest, PoissonGapsAreExponentialAndRepeatWithTheirSeed) {
  const auto times = First(PoissonSchedule(1000, 1), 20001);
  EXPECT_TRUE(std::is_sorted(times.begin(), times.end()));
  EXPECT_NEAR(std::chrono::duration<double>(times.back()).count(), 20.0, 0.5);
  // Of an exponential distribution's values 1 - 1/e are below the mean.
  size_t short_gaps = 0;
  for (size_t i = 1; i < times.size(); ++i) short_gaps += times[i] - times[i - 1] < 1ms ? 1 : 0;
  EXPECT_NEAR(static_cast<double>(short_gaps) / 20000, 0.632, 0.02);
  EXPECT_EQ(times, First(PoissonSchedule(1000, 1), 20001));
  EXPECT_NE(times, First(PoissonSchedule(1000, 2), 20001));
}

TEST(ScheduleTest, IntervalsAreSummedAndEndOrBeginAnew) {
  EXPECT_THAT(First(IntervalSchedule({1ms, 0ms, 5ms}, false), 9), ElementsAre(1ms, 1ms, 6ms));
  EXPECT_THAT(First(IntervalSchedule({1ms, 5ms}, true), 5), ElementsAre(1ms, 6ms, 7ms, 12ms, 13ms));
}

TEST(ScheduleTest, FasterDividesTimesAndEndsWithTheSchedule) {
  EXPECT_THAT(First(Faster(IntervalSchedule({1ms, 5ms}, false), 2), 9), ElementsAre(500us, 3ms));
}

TEST(IntervalsTest, OneNumberOfMicrosecondsPerLine) {
  EXPECT_THAT(*ParseIntervals("100\n 2500 \r\n\n0"), ElementsAre(100us, 2500us, 0us));
}

TEST(IntervalsTest, WhatIsNoIntervalIsNamedWithItsLine) {
  const auto complaint = [](std::string_view text) { return ParseIntervals(text).error().message(); };
  EXPECT_THAT(complaint("1\n\n2.5"), HasSubstr("Line 3 is (2.5) (allowed: whole microseconds from 0)"));
  EXPECT_THAT(complaint("-1"), HasSubstr("Line 1 is (-1)"));
  EXPECT_THAT(complaint("99999999999999999999"), HasSubstr("Line 1"));
  EXPECT_THAT(complaint("\n"), HasSubstr("no interval"));
}

TEST(TraceTest, LinesAreSortedAndTimesBeginAtZero) {
  const auto trace = ParseTrace("time, user, function\n3.5,x,b\n2,y,a\n2.25,z,b\n");
  ASSERT_TRUE(trace) << trace.error().message();
  EXPECT_THAT(trace->functions, ElementsAre("b", "a"));
  ASSERT_EQ(trace->arrivals.size(), 3u);
  EXPECT_EQ(trace->arrivals[0].at, 0ns);
  EXPECT_EQ(trace->arrivals[0].function, 1u);
  EXPECT_EQ(trace->arrivals[1].at, 250ms);
  EXPECT_EQ(trace->arrivals[2].at, 1500ms);
}

TEST(TraceTest, AzuresColumnsGiveTheStartOfEachInvocation) {
  const auto trace = ParseTrace("app,func,end_timestamp,duration\na1,f1,100.5,0.5\na1,f2,101,2\n");
  ASSERT_TRUE(trace) << trace.error().message();
  EXPECT_THAT(trace->functions, ElementsAre("f1", "f2"));
  EXPECT_EQ(trace->arrivals[0].function, 1u);  // started at 99
  EXPECT_EQ(trace->arrivals[1].at, 1s);
}

TEST(TraceTest, WhatIsWrongIsNamedWithItsLine) {
  const auto complaint = [](std::string_view text) { return ParseTrace(text).error().message(); };
  EXPECT_THAT(complaint("f,t\na,1"), HasSubstr("does not name the columns"));
  EXPECT_THAT(complaint("function,time\na"), HasSubstr("Line 2 has 1 values; the first line names 2"));
  EXPECT_THAT(complaint("function,time\na,1\nb,soon"), HasSubstr("Line 3: `time` is (soon)"));
  EXPECT_THAT(complaint("function,time\n,1"), HasSubstr("Line 2 names no function"));
  EXPECT_THAT(complaint("function,time\n"), HasSubstr("no invocation"));
}

}  // namespace
}  // namespace mignificient::cli
