// Sends load to a node and measures each request: one thread, one coroutine per connection that is in use. A request's
// time is taken with the steady clock, from just before it is sent (closed loop) or from when it should have been sent
// (open loop: a load generator that waits for a slow node would hide exactly the delays it is there to see).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/http_client.h"
#include "cli/load_request.h"
#include "cli/schedule.h"

namespace mignificient::cli {

// How the requests are paced.
enum class Pace {
  // As the original's `independent`: a first round (iteration 0, usually cold) that all workers finish before they go
  // on on their own with iterations 1 to `iterations`.
  kIndependent,
  kBatches,  // as the original's `batches`: iterations 0 to `iterations` - 1, all workers in step
  kClosed,   // closed loop: each worker sends the next request when its last one is answered
  kOpen,     // open loop: requests are sent when `schedule` says, whether or not the ones before are answered
};

struct LoadPlan {
  Address address;
  Trust trust;                        // where the address asks for TLS
  std::vector<LoadRequest> requests;  // worker w sends requests[w % size]; an arrival of a trace names its own
  std::vector<std::string> users;     // worker w is users[w % size]
  Pace pace = Pace::kIndependent;
  // Closed loops: connections. Open loop: in whose names requests are sent in turn, and connections of the warm-up.
  int workers = 1;
  int iterations = 1;
  int warmup_requests = 0;  // sent before, in a closed loop; not measured
  // kClosed and kOpen end with the first of these, kOpen also with its schedule. Neither: only on a signal.
  std::optional<uint64_t> request_count;
  std::optional<std::chrono::nanoseconds> measurement_interval;  // nothing is sent after it; what was is waited for
  Schedule schedule;                                             // kOpen
  int max_connections = 1;                                       // kOpen
};

// One request that is over. Views are valid during the call that it is passed to.
struct Exchange {
  uint64_t iteration = 0;  // kClosed and kOpen: number of the request
  int worker = 0;
  size_t request = 0;                           // index in LoadPlan::requests
  std::chrono::nanoseconds begin{};             // since the start of the load: when it was due (kOpen) or sent
  std::chrono::nanoseconds time{};              // from then to the end of the answer
  std::chrono::nanoseconds late{};              // kOpen: how long after it was due it was sent
  bool queued = false;                          // kOpen: all connections were busy when it was due
  unsigned status = 0;                          // 0: no answer
  std::string_view start_type;                  // X-Start-Type
  std::string_view error_type;                  // X-Function-Error
  std::string_view server_timing;               // Server-Timing
  std::string_view body;                        // of the answer; without one, why there is none
  uint64_t bytes_sent = 0, bytes_received = 0;  // of HTTP, headers included
};

struct LoadProgress {
  uint64_t done = 0;
  uint64_t in_flight = 0;  // sent, or due and waiting for a connection
  std::chrono::nanoseconds elapsed{};
};

// Told of what happens, on the thread of RunLoad.
class LoadObserver {
 public:
  virtual ~LoadObserver() = default;
  virtual void OnExchange(const Exchange& exchange) = 0;
  virtual void OnTick(const LoadProgress& progress) = 0;  // a few times a second
};

struct LoadEnd {
  std::chrono::nanoseconds elapsed{};  // from the first request to the last answer, without the warm-up
  int signal = 0;                      // SIGINT or SIGTERM if that ended it
  uint64_t abandoned = 0;              // requests that a signal left without an answer
  int warmup_failed = 0;               // requests of the warm-up that were not answered with success
  int connections = 0;                 // that were used
};

// kUnavailable when the node cannot be reached, or does not prove who it is, at the start; later failures are exchanges
// with status 0. SIGINT and SIGTERM end the load at once. For one call at a time in a process.
Result<LoadEnd> RunLoad(const LoadPlan& plan, LoadObserver& observer);

// How many requests the plan has; nullopt where only time or the schedule ends it.
std::optional<uint64_t> PlannedRequests(const LoadPlan& plan);

}  // namespace mignificient::cli
