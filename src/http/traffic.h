// What has come and gone over HTTP since the node started, for /metrics. On the node's loop (one thread): plain
// numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace mignificient::http {

class Traffic {
 public:
  using StatusCount = std::pair<unsigned, uint64_t>;

  // `routes`: how many there are. The number `routes` itself stands for no route.
  explicit Traffic(size_t routes) : answers_(routes + 1) {}

  // A request was answered with this status, whether or not the caller still reads.
  void Answered(size_t route, unsigned status) {
    std::vector<StatusCount>& counts = answers_[route];  // of the few statuses that this route has ever answered with
    for (StatusCount& count : counts)
      if (count.first == status) return void(++count.second);
    counts.emplace_back(status, 1);
  }
  std::span<const StatusCount> Answers(size_t route) const { return answers_[route]; }
  size_t no_route() const { return answers_.size() - 1; }

  uint64_t received_bytes = 0, sent_bytes = 0;  // of requests and answers, headers included; without what TLS adds
  uint64_t open_connections = 0, accepted_connections = 0;
  uint64_t refused_connections = 0;  // closed at once, because http.connections were open
  uint64_t failed_handshakes = 0;    // of TLS

 private:
  std::vector<std::vector<StatusCount>> answers_;
};

}  // namespace mignificient::http
