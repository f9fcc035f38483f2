// The end of one piece of work, signalled from the server to the client through shared memory. The client arms it
// before it publishes the command; the server ends it once; the client waits, spinning briefly and then asleep.
#pragma once

#include <atomic>
#include <cstdint>

#include "os/atomic.h"

namespace mignificient::ring {

struct alignas(64) Completion {
  enum State : uint32_t { kDone = 0, kPending = 1, kSleeping = 2 };

  os::Atomic<uint32_t> state;   // futex word; kSleeping: pending, and somebody sleeps on it
  os::Atomic<uint32_t> result;  // valid once state is kDone

  // Client, before publishing.
  void Arm() { state.store(kPending, std::memory_order_relaxed); }
  // Server. Releases everything it wrote before (result, reply bytes, copied data) to Wait and Done.
  void Finish(uint32_t with_result);
  // Client. Pairs with Finish.
  bool Done() const { return state.load(std::memory_order_acquire) == kDone; }
  // Client: from now on Finish wakes who sleeps on `state` while it is kSleeping. False: it is done.
  bool AnnounceSleep();
  // Client: returns Done() at the latest after about `timeout_ns`.
  bool Wait(uint64_t timeout_ns);
};

}  // namespace mignificient::ring
