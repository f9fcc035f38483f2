#include "cli/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace mignificient::cli {
namespace {

namespace json = boost::json;

double Milliseconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

LatencySummary Latencies(std::vector<double> sorted_ms) {
  if (sorted_ms.empty()) return {};
  const auto rank = [&](double fraction) {
    const auto at = static_cast<size_t>(std::ceil(fraction * static_cast<double>(sorted_ms.size())));
    return sorted_ms[std::max<size_t>(at, 1) - 1];
  };
  const double total = std::accumulate(sorted_ms.begin(), sorted_ms.end(), 0.0);
  return {.mean = total / static_cast<double>(sorted_ms.size()),
          .p50 = rank(0.50),
          .p90 = rank(0.90),
          .p95 = rank(0.95),
          .p99 = rank(0.99),
          .max = sorted_ms.back()};
}

}  // namespace

LoadSummary Summarize(const LoadResult& result) {
  LoadSummary summary{.seconds = std::chrono::duration<double>(result.elapsed).count()};
  std::vector<double> succeeded_ms;
  for (const Sample& sample : result.samples) {
    if (sample.late > std::chrono::milliseconds(1)) ++summary.late;
    if (!sample.start_type.empty()) ++summary.starts[sample.start_type];
    if (sample.error_type.empty()) {
      succeeded_ms.push_back(Milliseconds(sample.time));
      continue;
    }
    ++summary.failed;
    ErrorSummary& error = summary.errors[sample.error_type];
    if (error.count++ == 0) error.first = sample.error;
  }
  summary.succeeded = static_cast<int>(succeeded_ms.size());
  if (summary.seconds > 0) summary.per_second = summary.succeeded / summary.seconds;
  std::sort(succeeded_ms.begin(), succeeded_ms.end());
  summary.latency = Latencies(std::move(succeeded_ms));
  return summary;
}

std::string SummaryText(const LoadSummary& summary) {
  std::string text =
      fmt::format("requests    {} ok, {} failed, in {:.3f} s\n", summary.succeeded, summary.failed, summary.seconds);
  text += fmt::format("throughput  {:.1f} requests/s\n", summary.per_second);
  const LatencySummary& ms = summary.latency;
  if (summary.succeeded > 0)
    text += fmt::format("latency ms  p50 {:.3f}  p90 {:.3f}  p95 {:.3f}  p99 {:.3f}  max {:.3f}  mean {:.3f}\n", ms.p50,
                        ms.p90, ms.p95, ms.p99, ms.max, ms.mean);
  if (!summary.starts.empty()) {
    text += "starts     ";
    for (const auto& [type, count] : summary.starts) text += fmt::format(" {} {}", count, type);
    text += '\n';
  }
  if (summary.late > 0)
    text += fmt::format(
        "late        {} requests were sent over 1 ms late, all connections being busy: raise --concurrency\n",
        summary.late);
  for (const auto& [type, error] : summary.errors)
    text += fmt::format("error       {} x {}: {}\n", error.count, type, error.first);
  return text;
}

json::object SummaryJson(const LoadSummary& summary) {
  const LatencySummary& ms = summary.latency;
  json::object starts, errors;
  for (const auto& [type, count] : summary.starts) starts[type] = count;
  for (const auto& [type, error] : summary.errors)
    errors[type] = json::object{{"count", error.count}, {"first", error.first}};
  return {{"succeeded", summary.succeeded},
          {"failed", summary.failed},
          {"seconds", summary.seconds},
          {"requests_per_second", summary.per_second},
          {"latency_ms",
           json::object{
               {"mean", ms.mean}, {"p50", ms.p50}, {"p90", ms.p90}, {"p95", ms.p95}, {"p99", ms.p99}, {"max", ms.max}}},
          {"starts", std::move(starts)},
          {"errors", std::move(errors)},
          {"late", summary.late}};
}

std::string SamplesCsv(const LoadResult& result) {
  std::string csv = "iteration,worker,time\n";
  for (const Sample& sample : result.samples)
    csv += fmt::format("{},{},{}\n", sample.iteration, sample.worker,
                       std::chrono::duration_cast<std::chrono::microseconds>(sample.time).count());
  return csv;
}

}  // namespace mignificient::cli
