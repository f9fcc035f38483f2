#include "cli/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mignificient::cli {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

LoadResult HundredRequests() {
  LoadResult result{.samples = {}, .elapsed = 2s};
  for (int i = 1; i <= 100; ++i)
    result.samples.push_back({.iteration = i, .worker = 0, .time = i * 1ms, .start_type = i == 1 ? "cold" : "warm"});
  return result;
}

TEST(ReportTest, PercentilesAreNearestRank) {
  const LoadSummary summary = Summarize(HundredRequests());
  EXPECT_DOUBLE_EQ(summary.latency.p50, 50);
  EXPECT_DOUBLE_EQ(summary.latency.p90, 90);
  EXPECT_DOUBLE_EQ(summary.latency.p95, 95);
  EXPECT_DOUBLE_EQ(summary.latency.p99, 99);
  EXPECT_DOUBLE_EQ(summary.latency.max, 100);
  EXPECT_DOUBLE_EQ(summary.latency.mean, 50.5);
  EXPECT_DOUBLE_EQ(summary.per_second, 50);
  EXPECT_EQ(summary.starts.at("cold"), 1);
  EXPECT_EQ(summary.starts.at("warm"), 99);
}

TEST(ReportTest, OneRequestIsEveryPercentile) {
  const LoadSummary summary = Summarize({.samples = {{.time = 7ms}}, .elapsed = 1s});
  EXPECT_DOUBLE_EQ(summary.latency.p50, 7);
  EXPECT_DOUBLE_EQ(summary.latency.p99, 7);
}

TEST(ReportTest, FailedRequestsAreCountedByTypeAndLeaveTheLatencies) {
  LoadResult result = HundredRequests();
  result.samples.push_back({.time = 9s, .error_type = "timeout", .error = "Too slow."});
  result.samples.push_back({.time = 9s, .error_type = "timeout", .error = "Again."});
  const LoadSummary summary = Summarize(result);
  EXPECT_EQ(summary.succeeded, 100);
  EXPECT_EQ(summary.failed, 2);
  EXPECT_EQ(summary.errors.at("timeout").count, 2);
  EXPECT_EQ(summary.errors.at("timeout").first, "Too slow.");
  EXPECT_DOUBLE_EQ(summary.latency.max, 100);
  EXPECT_THAT(SummaryText(summary), HasSubstr("2 x timeout: Too slow."));
}

TEST(ReportTest, ALoadWithoutSuccessHasNoLatencies) {
  const LoadSummary summary = Summarize({.samples = {{.error_type = "connection"}}, .elapsed = 1s});
  EXPECT_DOUBLE_EQ(summary.latency.max, 0);
  EXPECT_THAT(SummaryText(summary), ::testing::Not(HasSubstr("latency")));
}

TEST(ReportTest, CsvIsTheOriginalsFormatInMicroseconds) {
  const LoadResult result{.samples = {{.iteration = 0, .worker = 1, .time = 1500us}}, .elapsed = 1s};
  EXPECT_EQ(SamplesCsv(result), "iteration,worker,time\n0,1,1500\n");
}

TEST(ScheduleTest, ConstantGapsAreEqual) {
  EXPECT_THAT(ConstantSchedule(3, 100), ::testing::ElementsAre(0ns, 10ms, 20ms));
}

TEST(ScheduleTest, PoissonGapsHaveTheAskedRateOnAverageAndRepeat) {
  const auto due = PoissonSchedule(10000, 1000);
  EXPECT_TRUE(std::is_sorted(due.begin(), due.end()));
  EXPECT_NEAR(std::chrono::duration<double>(due.back()).count(), 10.0, 0.5);
  EXPECT_EQ(due, PoissonSchedule(10000, 1000));
}

}  // namespace
}  // namespace mignificient::cli
