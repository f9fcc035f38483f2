// When memory that was freed may be used again by anybody: once all work that was issued before the free is complete.
// Frees belong to epochs; an epoch has passed when a fence that was posted after its last free is complete at the
// server. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "abi/cuda.h"
#include "remoting/client/lock.h"

namespace mignificient::client {

class Fences {
 public:
  // The epoch that a free belongs to now. Work that the memory's users issued before is already written to the ring.
  uint64_t Open() const { return open_.load(std::memory_order_acquire); }
  // This epoch and all before it have passed.
  uint64_t Passed();
  // Whether all that was issued is known to be complete, so that what is freed now is used by nothing.
  bool AllComplete();
  // Ends the open epoch with a fence, without waiting for it; nothing while an earlier one is under way.
  void Mark();
  // Lets all epochs pass if no work is under way; asks the server, and does not wait for work.
  void Poll();
  // Waits until `epoch` has passed: natively, cuMemFree waits for the device.
  CUresult Wait(uint64_t epoch);

 private:
  void Raise(uint64_t epoch);
  CUresult Ask(bool now);

  std::atomic<uint64_t> open_{1};
  std::atomic<uint64_t> passed_{0};
  Lock lock_;
  std::atomic<uint64_t> marked_{0};  // the epoch of the last fence. Written under lock_
  // Idleness::written() when all of it was found complete; 0: unknown.
  std::atomic<uint64_t> complete_at_{0};
  std::atomic<uint64_t> marked_at_{0};  // Idleness::written() at the last fence; 0: unknown. Written under lock_
};

// Leaked on purpose.
Fences& TheFences();

}  // namespace mignificient::client
