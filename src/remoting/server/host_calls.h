// Host functions of the client: the driver reaches them in the order of a stream or graph, on a thread of its own, and
// that thread waits here until the client has run them. One at a time, in no order that CUDA does not promise.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>

#include "abi/cuda.h"
#include "remoting/wire/attach.h"

namespace mignificient::server {

class HostCalls {
 public:
  // `box` outlives this object.
  explicit HostCalls(wire::HostCallBox& box) : box_(box) {}
  ~HostCalls() { Close(); }
  HostCalls(const HostCalls&) = delete;
  HostCalls& operator=(const HostCalls&) = delete;

  // At one time: those that repeat are kept until this object ends, and a client may make graphs without end.
  static constexpr size_t kLimit = size_t{1} << 18;

  // What Function and Callback take as user data: the client's function `id`, which the driver will run once, or
  // (`repeats`) as often as a graph reaches it, until this object ends. Null: there are kLimit already.
  void* Add(uint64_t id, bool repeats);
  // The driver has not taken what Add returned.
  void Remove(void* call);

  static void Function(void* call);
  static void Callback(CUstream stream, CUresult status, void* call);

  // The client's name behind user data; 0 if it is none of ours.
  uint64_t IdOf(const void* call);

  // The client is gone: running and later calls return at once.
  void Close();

 private:
  struct Call {
    HostCalls* owner;
    uint64_t id;
    bool repeats;
    std::list<Call>::iterator place;
  };
  void Run(Call& call, CUresult status);

  wire::HostCallBox& box_;
  std::mutex turn_;  // held by the thread whose function the client runs
  std::mutex lock_;  // guards calls_
  std::list<Call> calls_;
  std::atomic<bool> closed_{false};
};

}  // namespace mignificient::server
