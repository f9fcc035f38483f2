// What `bench` reports about a load.
#pragma once

#include <map>
#include <string>

#include <boost/json/object.hpp>

#include "cli/load.h"

namespace mignificient::cli {

struct LatencySummary {  // milliseconds; nearest rank
  double mean = 0, p50 = 0, p90 = 0, p95 = 0, p99 = 0, max = 0;
};

struct ErrorSummary {
  int count = 0;
  std::string first;  // the first one's sentence
};

struct LoadSummary {
  int succeeded = 0;
  int failed = 0;
  double seconds = 0;
  double per_second = 0;              // successful requests
  LatencySummary latency;             // of successful requests; all 0 without one
  std::map<std::string, int> starts;  // cold, warm, swapped; requests whose answer says so
  std::map<std::string, ErrorSummary> errors;
  int late = 0;  // requests sent more than a millisecond after they were due: all connections were busy
};

LoadSummary Summarize(const LoadResult& result);

std::string SummaryText(const LoadSummary& summary);
boost::json::object SummaryJson(const LoadSummary& summary);

// The original's format: `iteration,worker,time` in microseconds, one line for each request, failed ones included.
std::string SamplesCsv(const LoadResult& result);

}  // namespace mignificient::cli
