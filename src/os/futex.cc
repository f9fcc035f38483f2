#include "os/futex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <ctime>

namespace mignificient::os {

void FutexWait(const Atomic<uint32_t>& word, uint32_t expected, std::optional<std::chrono::nanoseconds> timeout) {
  timespec relative{};
  if (timeout) {
    relative.tv_sec = static_cast<time_t>(timeout->count() / 1'000'000'000);
    relative.tv_nsec = static_cast<long>(timeout->count() % 1'000'000'000);
  }
  // Every outcome (woken, changed, timed out, interrupted) sends the caller back to its own check.
  ::syscall(SYS_futex, &word, FUTEX_WAIT, expected, timeout ? &relative : nullptr, nullptr, 0);
}

void FutexWaitAny(std::span<const FutexExpectation> words, std::optional<std::chrono::nanoseconds> timeout) {
  constexpr size_t kMaxWords = 64;
  futex_waitv waiters[kMaxWords] = {};
  const size_t count = std::min(words.size(), kMaxWords);
  for (size_t i = 0; i < count; ++i)
    waiters[i] = {words[i].expected, reinterpret_cast<uint64_t>(words[i].word), FUTEX_32, 0};
  timespec deadline{};
  if (timeout) {
    ::clock_gettime(CLOCK_MONOTONIC, &deadline);
    const int64_t ns = deadline.tv_nsec + timeout->count();
    deadline.tv_sec += static_cast<time_t>(ns / 1'000'000'000);
    deadline.tv_nsec = static_cast<long>(ns % 1'000'000'000);
  }
  if (::syscall(SYS_futex_waitv, waiters, count, 0, timeout ? &deadline : nullptr, CLOCK_MONOTONIC) >= 0) return;
  if (errno == EAGAIN || errno == EINTR || errno == ETIMEDOUT) return;
  const std::chrono::nanoseconds fallback{1'000'000};
  FutexWait(*words[0].word, words[0].expected, timeout ? std::min(*timeout, fallback) : fallback);
}

void AwaitChange(const Atomic<uint32_t>& word, uint32_t seen, std::chrono::nanoseconds look, Atomic<uint32_t>& asleep) {
  using Clock = std::chrono::steady_clock;
  constexpr int kLooksPerClock = 64;
  if (word.load(std::memory_order_acquire) != seen) return;
  const Clock::time_point end = Clock::now() + look;
  for (int looks = 1; word.load(std::memory_order_acquire) == seen; ++looks) {
    SpinPause();
    if (looks % kLooksPerClock != 0 || Clock::now() < end) continue;
    asleep.fetch_add(1);
    FutexWait(word, seen);
    asleep.fetch_sub(1);
  }
}

void FutexWakeAll(const Atomic<uint32_t>& word) {
  FutexWake(word, INT_MAX);
}

void FutexWake(const Atomic<uint32_t>& word, int count) {
  ::syscall(SYS_futex, &word, FUTEX_WAKE, count, nullptr, nullptr, 0);
}

}  // namespace mignificient::os
