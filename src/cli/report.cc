#include "cli/report.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>

#include <boost/json/parse.hpp>

namespace mignificient::cli {
namespace {

namespace json = boost::json;

constexpr std::string_view kOthers = "(others)";

double Milliseconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

// The node's sentence in an error's body, or the beginning of the body.
std::string Sentence(std::string_view body) {
  boost::system::error_code error;
  const json::value value = json::parse(json::string_view(body.data(), body.size()), error);
  if (!error && value.is_object())
    if (const json::value* text = value.as_object().if_contains("error"); text != nullptr && text->is_string())
      return std::string(text->as_string());
  constexpr size_t kLongest = 500;
  return std::string(body.substr(0, kLongest));
}

// How a request ended. Empty: with success.
std::string ErrorType(const Exchange& exchange) {
  if (exchange.status == 0) return "connection";
  if (ExitOfAnswer(exchange.status, exchange.error_type) == kExitOk) return {};
  return exchange.error_type.empty() ? fmt::format("status_{}", exchange.status) : std::string(exchange.error_type);
}

LatencySummary Latencies(const LatencyHistogram& histogram) {
  constexpr std::array kFractions = {0.50, 0.90, 0.95, 0.99};
  const std::vector<double> at = histogram.PercentilesMs(kFractions);
  return {.count = histogram.count(),
          .mean = histogram.MeanMs(),
          .min = histogram.MinMs(),
          .p50 = at[0],
          .p90 = at[1],
          .p95 = at[2],
          .p99 = at[3],
          .max = histogram.MaxMs()};
}

std::string_view Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

}  // namespace

void EachPhase(std::string_view server_timing, const std::function<void(std::string_view, double)>& phase) {
  while (!server_timing.empty()) {
    const size_t comma = std::min(server_timing.find(','), server_timing.size());
    std::string_view metric = server_timing.substr(0, comma);
    server_timing.remove_prefix(std::min(comma + 1, server_timing.size()));
    const size_t semicolon = metric.find(';');
    if (semicolon == metric.npos) continue;
    const std::string_view name = Trimmed(metric.substr(0, semicolon));
    constexpr std::string_view kDuration = "dur=";
    const size_t duration = metric.find(kDuration, semicolon);
    if (name.empty() || duration == metric.npos) continue;
    const std::string_view number = metric.substr(duration + kDuration.size());
    double ms = 0;
    if (std::from_chars(number.data(), number.data() + number.size(), ms).ec == std::errc()) phase(name, ms);
  }
}

Report::Report(const LoadPlan& plan, double latency_threshold_ms)
    : plan_(plan), latency_threshold_ms_(latency_threshold_ms) {}

Report::Group& Report::GroupOf(std::map<std::string, Group>& groups, const std::string& name) {
  const auto known = groups.find(name);
  if (known != groups.end()) return known->second;
  return groups[groups.size() < kMostGroups ? name : std::string(kOthers)];
}

std::string Report::Add(const Exchange& exchange) {
  ++statuses_[exchange.status];
  bytes_sent_ += exchange.bytes_sent;
  bytes_received_ += exchange.bytes_received;
  if (plan_.pace == Pace::kOpen) {
    lateness_.Add(exchange.late);
    const bool late = exchange.late > std::chrono::milliseconds(1);
    late_ += late ? 1 : 0;
    queued_ += late && exchange.queued ? 1 : 0;
  }
  Group& function = GroupOf(functions_, plan_.requests[exchange.request].function());
  const std::string& name = plan_.users[static_cast<size_t>(exchange.worker) % plan_.users.size()];
  Group* user = name.empty() ? nullptr : &GroupOf(users_, name);
  if (!exchange.start_type.empty()) ++start_counts_[std::string(exchange.start_type)];
  AddPhases(exchange.server_timing);
  std::string type = ErrorType(exchange);
  if (!type.empty()) {
    ++function.failed;
    if (user != nullptr) ++user->failed;
    AddFailure(exchange, type);
    return type;
  }
  latency_.Add(exchange.time);
  function.latency.Add(exchange.time);
  if (user != nullptr) user->latency.Add(exchange.time);
  if (!exchange.start_type.empty()) starts_[std::string(exchange.start_type)].Add(exchange.time);
  if (latency_threshold_ms_ == 0 || Milliseconds(exchange.time) <= latency_threshold_ms_) ++good_;
  return type;
}

void Report::AddFailure(const Exchange& exchange, const std::string& type) {
  ++failed_;
  Failure& failure = errors_[type];
  if (failure.latency.count() == 0) {
    failure.summary.first = exchange.status == 0 ? std::string(exchange.body) : Sentence(exchange.body);
    failure.summary.exit =
        exchange.status == 0 ? kExitCannotConnect : ExitOfAnswer(exchange.status, exchange.error_type);
  }
  failure.latency.Add(exchange.time);
  ++failure.summary.statuses[exchange.status];
}

void Report::AddPhases(std::string_view server_timing) {
  EachPhase(server_timing, [this](std::string_view name, double ms) {
    auto phase =
        std::find_if(phases_.begin(), phases_.end(), [name](const Phase& known) { return known.name == name; });
    constexpr size_t kMost = 64;
    if (phase == phases_.end() && phases_.size() == kMost) return;
    if (phase == phases_.end()) phase = phases_.insert(phase, Phase{.name = std::string(name)});
    ++phase->count;
    phase->sum += ms;
    phase->max = std::max(phase->max, ms);
  });
}

LoadSummary Report::Summarize(const LoadEnd& end) const {
  LoadSummary summary{.succeeded = latency_.count(), .failed = failed_};
  summary.seconds = std::chrono::duration<double>(end.elapsed).count();
  const auto answers =
      static_cast<double>(latency_.count() + failed_ - (statuses_.contains(0) ? statuses_.at(0) : uint64_t{0}));
  if (summary.seconds > 0) {
    summary.answers_per_second = answers / summary.seconds;
    summary.requests_per_second = static_cast<double>(good_) / summary.seconds;
  }
  summary.latency_threshold_ms = latency_threshold_ms_;
  summary.latency = Latencies(latency_);
  for (const auto& [type, histogram] : starts_) summary.starts[type] = Latencies(histogram);
  summary.start_counts = {start_counts_.begin(), start_counts_.end()};
  for (const Phase& phase : phases_)
    summary.phases.push_back(
        {phase.name, {.count = phase.count, .mean = phase.sum / static_cast<double>(phase.count), .max = phase.max}});
  summary.statuses = statuses_;
  for (const auto& [type, failure] : errors_) {
    summary.errors[type] = failure.summary;
    summary.errors[type].latency = Latencies(failure.latency);
  }
  const auto groups = [](const std::map<std::string, Group>& from, std::map<std::string, GroupSummary>& to) {
    for (const auto& [name, group] : from) to[name] = {.failed = group.failed, .latency = Latencies(group.latency)};
  };
  groups(functions_, summary.functions);
  groups(users_, summary.users);
  summary.bytes_sent = bytes_sent_;
  summary.bytes_received = bytes_received_;
  constexpr std::array kP99 = {0.99};
  summary.late = {
      .count = late_, .queued = queued_, .p99_ms = lateness_.PercentilesMs(kP99).front(), .max_ms = lateness_.MaxMs()};
  summary.end = end;
  return summary;
}

int ExitOfLoad(const LoadSummary& summary) {
  if (summary.end.signal != 0) return 128 + summary.end.signal;
  if (summary.errors.empty()) return kExitOk;
  const ExitStatus first = summary.errors.begin()->second.exit;
  const bool same = std::all_of(summary.errors.begin(), summary.errors.end(),
                                [first](const auto& error) { return error.second.exit == first; });
  return same ? first : kExitFunctionError;
}

}  // namespace mignificient::cli
