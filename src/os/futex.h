// Sleeping on a word of shared memory until another thread or process changes it and wakes us (futex(2), shared).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>

#include "os/atomic.h"

namespace mignificient::os {

// Returns when woken, when `word` is no longer `expected`, after `timeout`, or spuriously: callers re-check.
void FutexWait(const Atomic<uint32_t>& word, uint32_t expected,
               std::optional<std::chrono::nanoseconds> timeout = std::nullopt);

struct FutexExpectation {
  const Atomic<uint32_t>* word;
  uint32_t expected;
};
// As FutexWait, on several words at once (at most 64). Where the kernel cannot (before Linux 5.16), sleeps on the first
// word for at most a millisecond.
void FutexWaitAny(std::span<const FutexExpectation> words,
                  std::optional<std::chrono::nanoseconds> timeout = std::nullopt);

void FutexWakeAll(const Atomic<uint32_t>& word);
// At most `count` of those that sleep on it.
void FutexWake(const Atomic<uint32_t>& word, int count);

// Returns once `word` is no longer `seen`, and acquires what its writer released: looks for that long, then sleeps.
// `asleep` counts those that sleep: whoever changes the word (seq_cst) looks at it (seq_cst) and wakes them, so either
// the change is seen here or the sleeper there.
void AwaitChange(const Atomic<uint32_t>& word, uint32_t seen, std::chrono::nanoseconds look, Atomic<uint32_t>& asleep);

// Tells the processor that this thread spins.
inline void SpinPause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace mignificient::os
