// How a LoadSummary is written: for a person, and as JSON.
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <iterator>

#include "cli/report.h"

namespace mignificient::cli {
namespace {

namespace json = boost::json;

// `1.234 MiB`
std::string Bytes(uint64_t bytes) {
  constexpr std::string_view kUnits[] = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string Percentiles(const LatencySummary& ms) {
  return fmt::format("p50 {:.3f}  p90 {:.3f}  p95 {:.3f}  p99 {:.3f}  max {:.3f}  mean {:.3f}", ms.p50, ms.p90, ms.p95,
                     ms.p99, ms.max, ms.mean);
}

void Line(std::string& text, std::string_view label, std::string_view words) {
  fmt::format_to(std::back_inserter(text), "{:<13}{}\n", label, words);
}

void AddRates(std::string& text, const LoadSummary& summary) {
  Line(text, "requests",
       fmt::format("{} ok, {} failed, in {:.3f} s", summary.succeeded, summary.failed, summary.seconds));
  std::string goodput = fmt::format("{:.1f} ok/s", summary.requests_per_second);
  if (summary.latency_threshold_ms > 0) goodput += fmt::format(" within {} ms", summary.latency_threshold_ms);
  Line(text, "throughput", fmt::format("{:.1f} answers/s", summary.answers_per_second));
  Line(text, "goodput", goodput);
}

void AddStarts(std::string& text, const LoadSummary& summary) {
  if (summary.start_counts.empty()) return;
  std::string counts;
  for (const auto& [type, count] : summary.start_counts)
    counts += fmt::format("{}{} {}", counts.empty() ? "" : "  ", count, type);
  Line(text, "starts", counts);
  if (summary.starts.size() < 2) return;
  for (const auto& [type, ms] : summary.starts) Line(text, fmt::format("  {} ms", type), Percentiles(ms));
}

void AddPhases(std::string& text, const LoadSummary& summary) {
  if (summary.phases.empty()) return;
  std::string means;
  for (const auto& [name, phase] : summary.phases)
    means += fmt::format("{}{} {:.3f}{}", means.empty() ? "" : "  ", name, phase.mean,
                         phase.count < summary.succeeded ? fmt::format(" ({}x)", phase.count) : "");
  Line(text, "phases ms", means + "  (means, on the node)");
}

void AddGroups(std::string& text, std::string_view label, const std::map<std::string, GroupSummary>& groups) {
  if (groups.size() < 2) return;
  size_t width = label.size();
  for (const auto& [name, group] : groups) width = std::max(width, name.size());
  fmt::format_to(std::back_inserter(text), "{:<{}}  {:>8}  {:>8}  {:>10}  {:>10}  {:>10}  {:>10}\n", label, width, "ok",
                 "failed", "p50 ms", "p95 ms", "p99 ms", "max ms");
  for (const auto& [name, group] : groups) {
    const LatencySummary& ms = group.latency;
    fmt::format_to(std::back_inserter(text), "{:<{}}  {:>8}  {:>8}  {:>10.3f}  {:>10.3f}  {:>10.3f}  {:>10.3f}\n", name,
                   width, ms.count, group.failed, ms.p50, ms.p95, ms.p99, ms.max);
  }
}

void AddErrors(std::string& text, const LoadSummary& summary) {
  for (const auto& [type, error] : summary.errors) {
    std::string statuses;
    for (const auto& [status, count] : error.statuses)
      if (status != 0) statuses += fmt::format("{}{}", statuses.empty() ? "" : ", ", status);
    Line(text, "error",
         fmt::format("{} x {}{}, p50 {:.3f} ms, max {:.3f} ms: {}", error.latency.count, type,
                     statuses.empty() ? "" : fmt::format(" [{}]", statuses), error.latency.p50, error.latency.max,
                     error.first));
  }
}

void AddEnd(std::string& text, const LoadSummary& summary) {
  const LateSummary& late = summary.late;
  if (late.count > 0) {
    std::string words =
        fmt::format("{} requests were sent over 1 ms after they were due (at most {:.3f} ms)", late.count, late.max_ms);
    if (late.queued > 0)
      words += fmt::format("; {} because all {} connections were busy: raise --max-connections", late.queued,
                           summary.end.connections);
    const std::string others = late.queued > 0 ? fmt::format("; {}", late.count - late.queued) : ",";
    if (late.queued < late.count)
      words += others + " because a connection was opened first, or because this machine is too slow";
    Line(text, "late", words);
  }
  if (summary.end.warmup_failed > 0)
    Line(text, "warm-up", fmt::format("{} requests failed", summary.end.warmup_failed));
  if (summary.end.signal != 0)
    Line(text, "ended early",
         fmt::format("by {}; {} requests were left without an answer",
                     summary.end.signal == SIGINT ? "SIGINT" : "SIGTERM", summary.end.abandoned));
}

json::object LatencyJson(const LatencySummary& ms) {
  return {{"count", ms.count}, {"mean", ms.mean}, {"min", ms.min}, {"p50", ms.p50},
          {"p90", ms.p90},     {"p95", ms.p95},   {"p99", ms.p99}, {"max", ms.max}};
}

json::object StatusJson(const std::map<unsigned, uint64_t>& statuses) {
  json::object object;
  for (const auto& [status, count] : statuses) object[std::to_string(status)] = count;
  return object;
}

json::object ErrorsJson(const LoadSummary& summary) {
  json::object errors;
  for (const auto& [type, error] : summary.errors)
    errors[type] = json::object{{"count", error.latency.count},
                                {"first", error.first},
                                {"statuses", StatusJson(error.statuses)},
                                {"latency_ms", LatencyJson(error.latency)}};
  return errors;
}

json::object GroupsJson(const std::map<std::string, GroupSummary>& groups) {
  json::object object;
  for (const auto& [name, group] : groups)
    object[name] = json::object{
        {"succeeded", group.latency.count}, {"failed", group.failed}, {"latency_ms", LatencyJson(group.latency)}};
  return object;
}

json::object EndJson(const LoadEnd& end) {
  return {{"signal", end.signal},
          {"abandoned", end.abandoned},
          {"warmup_failed", end.warmup_failed},
          {"connections", end.connections}};
}

}  // namespace

std::string SummaryText(const LoadSummary& summary) {
  std::string text;
  AddRates(text, summary);
  if (summary.succeeded > 0) Line(text, "latency ms", Percentiles(summary.latency));
  AddStarts(text, summary);
  AddPhases(text, summary);
  Line(text, "bytes", fmt::format("{} sent, {} received", Bytes(summary.bytes_sent), Bytes(summary.bytes_received)));
  AddErrors(text, summary);
  AddEnd(text, summary);
  AddGroups(text, "function", summary.functions);
  AddGroups(text, "user", summary.users);
  return text;
}

json::object SummaryJson(const LoadSummary& summary) {
  json::object starts, start_latency, phases;
  for (const auto& [type, count] : summary.start_counts) starts[type] = count;
  for (const auto& [type, ms] : summary.starts) start_latency[type] = LatencyJson(ms);
  for (const auto& [name, phase] : summary.phases)
    phases[name] = json::object{{"count", phase.count}, {"mean", phase.mean}, {"max", phase.max}};
  json::value threshold;
  if (summary.latency_threshold_ms > 0) threshold = summary.latency_threshold_ms;
  return {{"succeeded", summary.succeeded},
          {"failed", summary.failed},
          {"seconds", summary.seconds},
          {"answers_per_second", summary.answers_per_second},
          {"requests_per_second", summary.requests_per_second},
          {"latency_threshold_ms", threshold},
          {"latency_ms", LatencyJson(summary.latency)},
          {"starts", std::move(starts)},
          {"start_latency_ms", std::move(start_latency)},
          {"phases_ms", std::move(phases)},
          {"bytes_sent", summary.bytes_sent},
          {"bytes_received", summary.bytes_received},
          {"statuses", StatusJson(summary.statuses)},
          {"errors", ErrorsJson(summary)},
          {"functions", GroupsJson(summary.functions)},
          {"users", GroupsJson(summary.users)},
          {"late", summary.late.count},
          {"late_ms",
           json::object{{"queued", summary.late.queued}, {"p99", summary.late.p99_ms}, {"max", summary.late.max_ms}}},
          {"end", EndJson(summary.end)}};
}

}  // namespace mignificient::cli
