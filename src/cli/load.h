// Sends load to a node and measures each request. Threads with one keep-alive connection each; a request's time is
// taken with the steady clock, from just before it is sent (closed loop) or from when it should have been sent (open
// loop: a load generator that waits for a slow node would hide exactly the delays it is there to see).
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/description.h"
#include "cli/http_client.h"

namespace mignificient::cli {

// How the requests are paced.
enum class Pace {
  // As the original's `independent`: a first round (iteration 0, usually cold) that all workers finish before they go
  // on on their own with iterations 1 to `iterations`.
  kIndependent,
  kBatches,  // as the original's `batches`: iterations 0 to `iterations` - 1, all workers in step
  kCounted,  // closed loop: `requests` in all, each worker sends the next one when it is free
  kOpen,     // open loop: request n is due at due[n], whether or not the ones before it are answered
};

struct LoadPlan {
  Address address;
  std::vector<boost::json::object> inputs;
  bool different_users = false;
  Pace pace = Pace::kIndependent;
  int workers = 1;
  int iterations = 1;
  int requests = 1;                           // kCounted and kOpen
  int warmup_requests = 0;                    // sent before, in a closed loop; not recorded
  std::vector<std::chrono::nanoseconds> due;  // kOpen: since the start of the load, ascending
};

struct Sample {
  int iteration = 0;  // kCounted and kOpen: number of the request
  int worker = 0;
  std::chrono::nanoseconds time{};
  std::chrono::nanoseconds late{};  // kOpen: how long after it was due the request was sent
  std::string start_type;           // X-Start-Type
  std::string error_type;           // empty: answered with success; "connection": no answer
  std::string error;                // a sentence
};

struct LoadResult {
  std::vector<Sample> samples;         // kIndependent: by worker, then iteration; else by iteration, then worker
  std::chrono::nanoseconds elapsed{};  // without the warm-up
};

// `progress` is called after each recorded request, from any worker, one at a time, with the number done so far.
// kUnavailable when the node cannot be reached at the start; later failures are samples with an error.
Result<LoadResult> RunLoad(const LoadPlan& plan, const std::function<void(int done)>& progress);

// How many requests RunLoad records.
int RecordedRequests(const LoadPlan& plan);

// When `requests` requests are due at `rate` per second: evenly, or with exponential gaps (the same ones each time).
std::vector<std::chrono::nanoseconds> ConstantSchedule(int requests, double rate);
std::vector<std::chrono::nanoseconds> PoissonSchedule(int requests, double rate);

}  // namespace mignificient::cli
