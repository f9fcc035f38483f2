#include "ring/completion.h"

#include <chrono>

#include "os/cpus.h"
#include "os/futex.h"

namespace mignificient::ring {
namespace {
constexpr int kSpins = os::Spins(4000);  // some 60 to 200 us: longer than a synchronize, shorter than a time slice
constexpr int kSpinsToSpare =
    os::Spins(20'000);  // some 1 ms: longer than it would be noticed that waking takes some 30 us
}  // namespace

void Completion::Finish(uint32_t with_result) {
  result.store(with_result, std::memory_order_relaxed);  // released with `state`
  // One update, so that an announcement comes before it, and is answered, or finds it done. Releases to Done and to
  // AnnounceSleep's failure; nothing of the client is acquired.
  if (state.exchange(kDone, std::memory_order_release) == kSleeping) os::FutexWakeAll(state);
}

bool Completion::AnnounceSleep() {
  uint32_t expected = kPending;
  // Acquires on failure, which is kDone: what Finish released. Success only says that somebody sleeps, and needs no
  // order; compilers warn of one that is weaker than that of failure.
  state.compare_exchange_strong(expected, kSleeping, std::memory_order_acquire, std::memory_order_acquire);
  return expected != kDone;
}

bool Completion::Wait(uint64_t timeout_ns) {
  const int spins = os::CpusToSpare() ? kSpinsToSpare : kSpins;
  for (int i = 0; i < spins; ++i) {
    if (Done()) return true;
    os::SpinPause();
  }
  if (!AnnounceSleep()) return true;
  os::FutexWait(state, kSleeping, std::chrono::nanoseconds(timeout_ns));
  return Done();
}

}  // namespace mignificient::ring
