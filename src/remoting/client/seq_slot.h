// A few words that many threads read without a lock and few write. A reader that met a writer notices, and either tries
// again or treats the slot as empty. Writers of one slot must exclude one another, or use TryWrite.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "os/atomic.h"

namespace mignificient::client {

template <size_t kWords>
class SeqSlot {
 public:
  using Words = std::array<uint64_t, kWords>;

  // The first words. False: a writer was at work.
  template <size_t kFirst>
  bool Read(std::array<uint64_t, kFirst>& words) const {
    static_assert(kFirst <= kWords);
    const uint32_t before = sequence_.load(std::memory_order_acquire);  // pairs with the last store of Write
    if (before % 2 != 0) return false;
#pragma GCC unroll 16  // so that what is only compared needs no memory
    for (size_t i = 0; i < kFirst; ++i) words[i] = words_[i].load(std::memory_order_acquire);
    // A word of a later Write was released after that Write made the sequence odd, so the change is seen here.
    return sequence_.load(std::memory_order_relaxed) == before;
  }

  void Write(const Words& words) {
    const uint32_t before = sequence_.load(std::memory_order_relaxed);
    sequence_.store(before + 1, std::memory_order_relaxed);
    Fill(words, before + 2);
  }

  // Gives way to another writer: nothing is written then.
  void TryWrite(const Words& words) {
    uint32_t before = sequence_.load(std::memory_order_relaxed);
    if (before % 2 != 0) return;
    if (!sequence_.compare_exchange_strong(before, before + 1, std::memory_order_acquire)) return;
    Fill(words, before + 2);
  }

 private:
  void Fill(const Words& words, uint32_t after) {
    for (size_t i = 0; i < kWords; ++i) words_[i].store(words[i], std::memory_order_release);
    sequence_.store(after, std::memory_order_release);
  }

  os::Atomic<uint32_t> sequence_{0};
  os::Atomic<uint64_t> words_[kWords] = {};
};

}  // namespace mignificient::client
