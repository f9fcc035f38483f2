#include "cli/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "cli/progress.h"

namespace mignificient::cli {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

// Two functions, two users, any pace.
LoadPlan Plan(Pace pace = Pace::kIndependent) {
  LoadPlan plan;
  for (const char* name : {"f", "g"})
    plan.requests.push_back(LoadRequest::Registered(*Address::Parse("node"), "", name, ""));
  plan.users = {"ann", "bob"};
  plan.pace = pace;
  return plan;
}

Exchange Ok(std::chrono::nanoseconds time, std::string_view start_type = "warm") {
  Exchange exchange;
  exchange.time = time;
  exchange.status = 200;
  exchange.start_type = start_type;
  return exchange;
}

Exchange Failed(unsigned status, std::string_view type, std::string_view body, std::chrono::nanoseconds time = 9s) {
  Exchange exchange;
  exchange.time = time;
  exchange.status = status;
  exchange.error_type = type;
  exchange.body = body;
  return exchange;
}

LoadEnd After(std::chrono::nanoseconds elapsed) {
  return {.elapsed = elapsed};
}

class ReportTest : public ::testing::Test {
 protected:
  LoadPlan plan_ = Plan();
  Report report_{plan_, 0};

  void AddHundred() {
    for (int i = 1; i <= 100; ++i) report_.Add(Ok(i * 1ms, i == 1 ? "cold" : "warm"));
  }
};

TEST_F(ReportTest, LatenciesRatesAndStarts) {
  AddHundred();
  const LoadSummary summary = report_.Summarize(After(2s));
  EXPECT_DOUBLE_EQ(summary.latency.p50, 50.5);
  EXPECT_DOUBLE_EQ(summary.latency.p90, 90.1);
  EXPECT_DOUBLE_EQ(summary.latency.p95, 95.05);
  EXPECT_DOUBLE_EQ(summary.latency.p99, 99.01);
  EXPECT_DOUBLE_EQ(summary.latency.max, 100);
  EXPECT_DOUBLE_EQ(summary.latency.mean, 50.5);
  EXPECT_DOUBLE_EQ(summary.answers_per_second, 50);
  EXPECT_DOUBLE_EQ(summary.requests_per_second, 50);
  EXPECT_THAT(summary.start_counts, ElementsAre(Pair("cold", 1), Pair("warm", 99)));
  EXPECT_DOUBLE_EQ(summary.starts.at("cold").p99, 1);
  EXPECT_DOUBLE_EQ(summary.starts.at("warm").min, 2);
  EXPECT_EQ(ExitOfLoad(summary), kExitOk);
}

TEST_F(ReportTest, FailuresAreCountedByTypeAndStatusAndLeaveTheLatencies) {
  AddHundred();
  EXPECT_EQ(report_.Add(Failed(504, "timeout", R"({"result": null, "error": "Too slow.", "type": "timeout"})")),
            "timeout");
  report_.Add(Failed(200, "timeout", "{}"));  // compatible-status
  report_.Add(Failed(418, "", "not JSON"));
  report_.Add(Failed(0, "", "Hung up."));
  const LoadSummary summary = report_.Summarize(After(1s));
  EXPECT_EQ(summary.succeeded, 100u);
  EXPECT_EQ(summary.failed, 4u);
  EXPECT_DOUBLE_EQ(summary.latency.max, 100);
  EXPECT_DOUBLE_EQ(summary.answers_per_second, 103);
  EXPECT_DOUBLE_EQ(summary.requests_per_second, 100);
  const ErrorSummary& timeout = summary.errors.at("timeout");
  EXPECT_EQ(timeout.latency.count, 2u);
  EXPECT_DOUBLE_EQ(timeout.latency.max, 9000);
  EXPECT_EQ(timeout.first, "Too slow.");
  EXPECT_THAT(timeout.statuses, ElementsAre(Pair(200, 1), Pair(504, 1)));
  EXPECT_EQ(summary.errors.at("status_418").first, "not JSON");
  EXPECT_EQ(summary.errors.at("connection").first, "Hung up.");
  EXPECT_THAT(summary.statuses, ElementsAre(Pair(0, 1), Pair(200, 101), Pair(418, 1), Pair(504, 1)));
  EXPECT_THAT(SummaryText(summary), HasSubstr("2 x timeout [200, 504], p50 9000.000 ms, max 9000.000 ms: Too slow."));
}

TEST_F(ReportTest, ExitIsThatOfTheFailuresWhereTheyAreOfOneKind) {
  report_.Add(Ok(1ms));
  report_.Add(Failed(429, "queue_full", ""));
  report_.Add(Failed(503, "no_capacity", ""));
  EXPECT_EQ(ExitOfLoad(report_.Summarize(After(1s))), kExitRefused);
  report_.Add(Failed(504, "timeout", ""));
  EXPECT_EQ(ExitOfLoad(report_.Summarize(After(1s))), kExitFunctionError);
  EXPECT_EQ(ExitOfLoad(report_.Summarize({.elapsed = 1s, .signal = SIGINT})), 130);
}

TEST_F(ReportTest, PhasesAreMeansOfThoseAnswersThatHaveThem) {
  Exchange exchange = Ok(1ms);
  exchange.server_timing = "queue;dur=1, exec;dur=2.5, total;dur=4";
  report_.Add(exchange);
  exchange.server_timing = "queue;dur=3, spawn;desc=\"x\";dur=10 ,total;dur=14";
  report_.Add(exchange);
  const LoadSummary summary = report_.Summarize(After(1s));
  ASSERT_EQ(summary.phases.size(), 4u);
  EXPECT_EQ(summary.phases[0].first, "queue");
  EXPECT_DOUBLE_EQ(summary.phases[0].second.mean, 2);
  EXPECT_DOUBLE_EQ(summary.phases[0].second.max, 3);
  EXPECT_EQ(summary.phases[1].second.count, 1u);
  EXPECT_EQ(summary.phases[3].first, "spawn");
  EXPECT_THAT(SummaryText(summary), HasSubstr("queue 2.000  exec 2.500 (1x)  total 9.000  spawn 10.000 (1x)"));
}

TEST_F(ReportTest, ServerTimingThatMakesNoSenseIsLeftOut) {
  std::vector<std::pair<std::string, double>> phases;
  const auto add = [&](std::string_view name, double ms) { phases.emplace_back(name, ms); };
  EachPhase("cache, ;dur=1, a;dur=, b;dur=x, c;dur=1.5;desc=y,,", add);
  EXPECT_THAT(phases, ElementsAre(Pair("c", 1.5)));
}

TEST_F(ReportTest, FunctionsAndUsersHaveTheirOwnLines) {
  for (int worker = 0; worker < 4; ++worker) {
    Exchange exchange = Ok((worker + 1) * 1ms);
    exchange.worker = worker;
    exchange.request = static_cast<size_t>(worker) % 2;
    report_.Add(exchange);
  }
  Exchange failed = Failed(500, "function_error", "");
  failed.request = 1;
  report_.Add(failed);
  const LoadSummary summary = report_.Summarize(After(1s));
  EXPECT_EQ(summary.functions.at("f").latency.count, 2u);
  EXPECT_DOUBLE_EQ(summary.functions.at("f").latency.max, 3);
  EXPECT_EQ(summary.functions.at("g").failed, 1u);
  EXPECT_DOUBLE_EQ(summary.users.at("bob").latency.max, 4);
  EXPECT_THAT(SummaryText(summary), HasSubstr("\nfunction  "));
}

TEST_F(ReportTest, TooManyUsersShareALine) {
  plan_.users.clear();
  for (int i = 0; i < 1000; ++i) plan_.users.push_back(fmt::format("user-{}", i));
  for (int worker = 0; worker < 1000; ++worker) {
    Exchange exchange = Ok(1ms);
    exchange.worker = worker;
    report_.Add(exchange);
  }
  const LoadSummary summary = report_.Summarize(After(1s));
  EXPECT_EQ(summary.users.size(), 257u);
  EXPECT_EQ(summary.users.at("(others)").latency.count, 744u);
}

TEST_F(ReportTest, BytesAreSummed) {
  Exchange exchange = Ok(1ms);
  exchange.bytes_sent = 1000;
  exchange.bytes_received = 3 << 20;
  report_.Add(exchange);
  report_.Add(exchange);
  EXPECT_THAT(SummaryText(report_.Summarize(After(1s))), HasSubstr("2.0 KiB sent, 6.0 MiB received"));
}

TEST_F(ReportTest, ALoadWithoutSuccessHasNoLatencies) {
  report_.Add(Failed(0, "", "Gone."));
  const LoadSummary summary = report_.Summarize(After(1s));
  EXPECT_DOUBLE_EQ(summary.latency.max, 0);
  EXPECT_DOUBLE_EQ(summary.answers_per_second, 0);
  EXPECT_THAT(SummaryText(summary), Not(HasSubstr("latency ms")));
}

TEST_F(ReportTest, AnInterruptedLoadSaysSo) {
  const std::string text = SummaryText(report_.Summarize({.elapsed = 1s, .signal = SIGINT, .abandoned = 3}));
  EXPECT_THAT(text, HasSubstr("by SIGINT; 3 requests were left without an answer"));
}

TEST(OpenReportTest, GoodputCountsWhatIsWithinTheThreshold) {
  const LoadPlan plan = Plan();
  Report report(plan, 2.5);
  for (const auto time : {1ms, 2ms, 3ms, 4ms}) report.Add(Ok(time));
  const LoadSummary summary = report.Summarize(After(1s));
  EXPECT_DOUBLE_EQ(summary.requests_per_second, 2);
  EXPECT_DOUBLE_EQ(summary.answers_per_second, 4);
  EXPECT_THAT(SummaryText(summary), HasSubstr("2.0 ok/s within 2.5 ms"));
}

TEST(OpenReportTest, LateRequestsAreToldApartByTheirReason) {
  const LoadPlan plan = Plan(Pace::kOpen);
  Report report(plan, 0);
  for (const auto late : {0ms, 1ms, 5ms, 20ms}) {
    Exchange exchange = Ok(30ms);
    exchange.late = late;
    exchange.queued = late == 20ms;
    report.Add(exchange);
  }
  const LoadSummary summary = report.Summarize({.elapsed = 1s, .connections = 7});
  EXPECT_EQ(summary.late.count, 2u);
  EXPECT_EQ(summary.late.queued, 1u);
  EXPECT_DOUBLE_EQ(summary.late.max_ms, 20);
  EXPECT_THAT(SummaryText(summary),
              HasSubstr("2 requests were sent over 1 ms after they were due (at most 20.000 ms); 1 "
                        "because all 7 connections were busy: raise --max-connections; 1 "
                        "because a connection was opened first"));
}

TEST(OpenReportTest, JsonHoldsEverything) {
  const LoadPlan plan = Plan();
  Report report(plan, 0);
  report.Add(Ok(1ms));
  report.Add(Failed(429, "queue_full", R"({"error": "Full."})", 1ms));
  const auto json = SummaryJson(report.Summarize(After(1s)));
  EXPECT_EQ(json.at("succeeded"), 1);
  EXPECT_EQ(json.at("errors").at("queue_full").at("first"), "Full.");
  EXPECT_EQ(json.at("errors").at("queue_full").at("statuses").at("429"), 1);
  EXPECT_EQ(json.at("latency_ms").at("p95"), 1.0);
  EXPECT_EQ(json.at("functions").at("f").at("failed"), 1);
  EXPECT_TRUE(json.at("latency_threshold_ms").is_null());
  for (const char* key : {"phases_ms", "starts", "start_latency_ms", "users", "late", "late_ms", "end", "statuses"})
    EXPECT_TRUE(json.contains(key)) << key;
}

TEST(ProgressTest, ShowsShareRateFailuresAndTimeLeft) {
  const LoadProgress progress{.done = 500, .in_flight = 8, .elapsed = 5s};
  EXPECT_EQ(ProgressLine(1000, std::nullopt).Text(progress, 3),
            "[############------------]  50 %  500 requests, 100.0/s, 3 failed, 8 in flight, 5 s left");
  EXPECT_EQ(ProgressLine(std::nullopt, std::nullopt).Text(progress, 0), "500 requests, 100.0/s, 8 in flight");
  EXPECT_THAT(ProgressLine(std::nullopt, 5s).Text(progress, 0), HasSubstr("100 %"));
}

}  // namespace
}  // namespace mignificient::cli
