// Host functions of the client: the driver reaches them in the order of a stream or graph, on a thread of its own, and
// that thread waits here until the client has run them. One at a time, in no order that CUDA does not promise.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "abi/graph.h"
#include "remoting/wire/attach.h"

namespace mignificient::server {

class HostCalls {
 public:
  // `box` outlives this object.
  explicit HostCalls(wire::HostCallBox& box) : box_(box) {}
  ~HostCalls() { Close(); }
  HostCalls(const HostCalls&) = delete;
  HostCalls& operator=(const HostCalls&) = delete;

  // At one time, with those that have ended and were not told: a client may make graphs without end.
  static constexpr size_t kLimit = size_t{1} << 18;

  // --- A function that runs once

  // What Function and Callback take as user data: the client's function `id`. Null: there are kLimit already.
  void* Add(uint64_t id);
  // The driver has not taken what Add returned.
  void Remove(void* call);

  // --- A function that runs as often as a graph reaches it

  enum class Kind { kProgram, kCarry };  // of the program; or ours, of a copy of pageable memory
  class Call;
  // Whoever has one keeps the function: graphs, executables, and launches in flight (graph_calls.h). Once the last has
  // gone the id is among those that TakeEnded tells. None outlives this object.
  using Ref = std::shared_ptr<Call>;
  Ref Keep(uint64_t id, Kind kind);  // null: there are kLimit already
  // What a node of a graph has as its function. `function` and `user_data` are a live node's.
  static Ref Of(CUhostFn function, void* user_data);
  static CUDA_HOST_NODE_PARAMS NodeOf(const Ref& call);  // null: one that does nothing
  static bool IsNothing(CUhostFn function) { return function == Nothing; }

  // Moves as many ids as fit of functions that were kept and have ended; how many.
  size_t TakeEnded(std::span<uint64_t> ids);

  static void Function(void* call);
  static void Callback(CUstream stream, CUresult status, void* call);

  // The client is gone: running and later calls return at once.
  void Close();

 private:
  struct Once {
    HostCalls* owner;
    uint64_t id;
    std::list<Once>::iterator place;
  };
  static void Repeat(void* call);
  static void Nothing(void*) {}
  bool Count();  // one more; false: there are kLimit
  void Run(uint64_t id, CUresult status);

  wire::HostCallBox& box_;
  std::mutex turn_;  // held by the thread whose function the client runs
  std::mutex lock_;  // guards what follows
  size_t count_ = 0;
  std::list<Once> once_;
  std::vector<uint64_t> ended_;  // counted
  std::atomic<bool> closed_{false};
};

class HostCalls::Call : public std::enable_shared_from_this<Call> {
 public:
  Call(HostCalls& owner, uint64_t id, Kind kind) : owner_(owner), id_(id), kind_(kind) {}
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  uint64_t id() const { return id_; }
  Kind kind() const { return kind_; }

 private:
  friend HostCalls;
  HostCalls& owner_;
  const uint64_t id_;
  const Kind kind_;
};

}  // namespace mignificient::server
