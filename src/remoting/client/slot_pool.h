// Which of a fixed number of slots are free. Lock-free while one is; who finds none sleeps until one is given back.
// Any thread.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>

#include "os/futex.h"

namespace mignificient::client {

template <uint32_t kCount>
class SlotPool {
  static_assert(kCount % 64 == 0);

 public:
  SlotPool() {
    for (std::atomic<uint64_t>& word : free_) word.store(~uint64_t{0}, std::memory_order_relaxed);
  }

  uint32_t Acquire() {
    for (;;) {
      if (const uint32_t slot = TryAcquire(); slot != kNone) [[likely]]
        return slot;
      // Pairs with Release: either it sees us waiting, or we see what it gave back.
      waiting_.fetch_add(1);
      const uint32_t releases = releases_.load();
      const uint32_t slot = TryAcquire();
      if (slot == kNone) os::FutexWait(releases_, releases);
      waiting_.fetch_sub(1);
      if (slot != kNone) return slot;
    }
  }

  void Release(uint32_t slot) {
    free_[slot / 64].fetch_or(uint64_t{1} << slot % 64);
    if (waiting_.load() == 0) [[likely]]
      return;
    releases_.fetch_add(1);
    os::FutexWakeAll(releases_);
  }

 private:
  static constexpr uint32_t kNone = kCount;

  uint32_t TryAcquire() {
    for (uint32_t i = 0; i < free_.size(); ++i) {
      uint64_t free = free_[i].load();
      while (free != 0) {
        const int bit = std::countr_zero(free);
        // Acquires what the slot's last user released with it.
        if (free_[i].compare_exchange_weak(free, free & ~(uint64_t{1} << bit)))
          return i * 64 + static_cast<uint32_t>(bit);
      }
    }
    return kNone;
  }

  std::array<std::atomic<uint64_t>, kCount / 64> free_;
  std::atomic<uint32_t> waiting_{0};
  std::atomic<uint32_t> releases_{0};
};

}  // namespace mignificient::client
