// What a node has counted since it started. On the node's loop.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string_view>
#include <utility>

#include "node/request.h"

namespace mignificient::node {

// Seconds, in cumulative buckets as Prometheus has them.
class Histogram {
 public:
  static constexpr std::array kBounds = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,  0.25,
                                         0.5,    1.0,   2.5,    5.0,   10.0, 30.0,  60.0, 300.0};

  void Observe(double seconds);
  uint64_t Within(size_t bound) const { return within_[bound]; }  // observations of at most kBounds[bound]
  uint64_t count() const { return count_; }
  double sum() const { return sum_; }

 private:
  std::array<uint64_t, kBounds.size()> within_{};
  uint64_t count_ = 0;
  double sum_ = 0;
};

class Metrics {
 public:
  void Count(const Answer& answer);  // an invocation's

  // By outcome and start: "cold", "warm", or "none" where it had no turn.
  const std::map<std::pair<Outcome, std::string_view>, uint64_t>& invocations() const { return invocations_; }
  const Histogram& duration() const { return duration_; }    // from the request to the answer
  const Histogram& queue() const { return queue_; }          // before the turn, without the container's start
  const Histogram& execution() const { return execution_; }  // of the function
  const Histogram& start() const { return start_; }          // of a container, where an invocation waited for it

 private:
  std::map<std::pair<Outcome, std::string_view>, uint64_t> invocations_;
  Histogram duration_, queue_, execution_, start_;
};

}  // namespace mignificient::node
