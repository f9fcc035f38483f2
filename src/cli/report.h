// What `bench` reports about a load: collected request by request, in memory that does not grow with the load.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/object.hpp>

#include "cli/exit_status.h"
#include "cli/histogram.h"
#include "cli/load.h"

namespace mignificient::cli {

struct LatencySummary {  // milliseconds; percentiles as LatencyHistogram has them; all 0 without a request
  uint64_t count = 0;
  double mean = 0, min = 0, p50 = 0, p90 = 0, p95 = 0, p99 = 0, max = 0;
};

struct ErrorSummary {
  LatencySummary latency;
  std::map<unsigned, uint64_t> statuses;  // HTTP's; 0: no answer
  std::string first;                      // the first one's sentence
  ExitStatus exit = kExitFunctionError;
};

struct PhaseSummary {  // one of Server-Timing, milliseconds
  uint64_t count = 0;
  double mean = 0, max = 0;
};

struct GroupSummary {
  uint64_t failed = 0;
  LatencySummary latency;  // of successful requests
};

struct LateSummary {  // kOpen: requests sent more than a millisecond after they were due
  uint64_t count = 0;
  uint64_t queued = 0;            // of these: because all connections were busy
  double p99_ms = 0, max_ms = 0;  // of all requests
};

struct LoadSummary {
  uint64_t succeeded = 0, failed = 0;
  double seconds = 0;
  double answers_per_second = 0;    // throughput: whatever the answer
  double requests_per_second = 0;   // goodput: successful ones within the latency threshold, if there is one
  double latency_threshold_ms = 0;  // 0: none
  LatencySummary latency;           // of successful requests
  std::map<std::string, LatencySummary> starts;              // the same by X-Start-Type: cold, warm, swapped
  std::map<std::string, uint64_t> start_counts;              // of all answers that say it, failed ones too
  std::vector<std::pair<std::string, PhaseSummary>> phases;  // in the order in which they came first
  std::map<unsigned, uint64_t> statuses;
  std::map<std::string, ErrorSummary> errors;  // by type; `connection`: no answer
  std::map<std::string, GroupSummary> functions, users;
  uint64_t bytes_sent = 0, bytes_received = 0;
  LateSummary late;
  LoadEnd end;
};

// Collects exchanges.
class Report {
 public:
  // `plan` outlives it.
  Report(const LoadPlan& plan, double latency_threshold_ms);

  // Its error type; empty: success.
  std::string Add(const Exchange& exchange);
  uint64_t failed() const { return failed_; }
  LoadSummary Summarize(const LoadEnd& end) const;

 private:
  static constexpr size_t kGroupExactLimit = size_t{1} << 14;
  static constexpr size_t kMostGroups = 256;  // users, or functions, with a line of their own
  struct Group {
    LatencyHistogram latency{kGroupExactLimit};
    uint64_t failed = 0;
  };
  struct Failure {
    LatencyHistogram latency{kGroupExactLimit};
    ErrorSummary summary;
  };
  struct Phase {
    std::string name;
    uint64_t count = 0;
    double sum = 0, max = 0;
  };
  void AddPhases(std::string_view server_timing);
  void AddFailure(const Exchange& exchange, const std::string& type);
  static Group& GroupOf(std::map<std::string, Group>& groups, const std::string& name);

  const LoadPlan& plan_;
  double latency_threshold_ms_;
  LatencyHistogram latency_;
  LatencyHistogram lateness_;
  uint64_t late_ = 0, queued_ = 0;
  uint64_t failed_ = 0;
  uint64_t good_ = 0;
  std::map<std::string, LatencyHistogram, std::less<>> starts_;
  std::map<std::string, uint64_t, std::less<>> start_counts_;
  std::vector<Phase> phases_;
  std::map<unsigned, uint64_t> statuses_;
  std::map<std::string, Failure> errors_;
  std::map<std::string, Group> functions_, users_;
  uint64_t bytes_sent_ = 0, bytes_received_ = 0;
};

// Durations of a Server-Timing header in milliseconds, calling `phase(name, duration)`; what has no `dur` is left out.
void EachPhase(std::string_view server_timing, const std::function<void(std::string_view, double)>& phase);

std::string SummaryText(const LoadSummary& summary);
boost::json::object SummaryJson(const LoadSummary& summary);

// 0 when every request succeeded; what all failures would have had `invoke` exit with, if it is the same for all;
// else 1. 128 + the signal's number when one ended the load.
int ExitOfLoad(const LoadSummary& summary);

}  // namespace mignificient::cli
