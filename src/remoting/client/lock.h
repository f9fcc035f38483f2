// A lock for what every call needs and nobody holds for long: a mutex that is taken and given back in line, where
// pthread's are two calls of some thirty instructions each. Where the process has one thread it costs no atomic update
// either. Not recursive.
#pragma once

#include <cstdint>

#include "os/atomic.h"
#include "os/futex.h"

#ifndef MIGNIFICIENT_MODEL
#include <sys/single_threaded.h>
#endif

namespace mignificient::client {

class Lock {
 public:
  void lock() {
    // The C library says so before the first thread begins. Who holds the lock makes no thread.
    if (OneThread()) {
      state_.store(kHeld, std::memory_order_relaxed);
      return;
    }
    uint32_t expected = kFree;
    // Acquires what the last holder released in unlock().
    if (!state_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire, std::memory_order_relaxed))
        [[unlikely]]
      LockSlowly();
  }

  void unlock() {
    if (OneThread()) {
      state_.store(kFree, std::memory_order_relaxed);
      return;
    }
    if (state_.exchange(kFree, std::memory_order_release) == kAwaited) [[unlikely]]
      os::FutexWakeAll(state_);
  }

 private:
  enum : uint32_t { kFree, kHeld, kAwaited };  // awaited: held, and somebody may sleep

#ifdef MIGNIFICIENT_MODEL
  static bool OneThread() { return false; }
#else
  static bool OneThread() { return __libc_single_threaded != 0; }
#endif

  [[gnu::noinline, gnu::cold]] void LockSlowly() {
    constexpr int kSpins = os::Spins(100);
    for (int i = 0; i < kSpins; ++i) {
      uint32_t expected = kFree;
      if (state_.load(std::memory_order_relaxed) == kFree &&
          state_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire, std::memory_order_relaxed))
        return;
      os::SpinPause();
    }
    // Whoever has slept cannot know whether others do, and leaves the lock as awaited.
    while (state_.exchange(kAwaited, std::memory_order_acquire) != kFree) os::FutexWait(state_, kAwaited);
  }

  os::Atomic<uint32_t> state_{kFree};
};

}  // namespace mignificient::client
