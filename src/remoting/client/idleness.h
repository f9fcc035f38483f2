// Whether all that this process has given the GPU server is known to be complete, so that a wait need not ask. Any
// thread may ask; what a thread knows to have been written before, by whatever order the program has made between its
// threads, counts.
#pragma once

#include <atomic>
#include <cstdint>

namespace mignificient::client {

class Idleness {
 public:
  // A command is about to be written. By one thread at a time.
  void Write() { written_.store(written_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

  // Commands written so far: taken before one that waits for all work, and told to Complete() once that has succeeded.
  uint64_t written() const { return written_.load(std::memory_order_acquire); }
  // Counts only if nobody has written anything but that command since.
  void Complete(uint64_t before) {
    if (written() == before + 1) complete_at_.store(before + 1, std::memory_order_release);
  }

  bool Known() const { return complete_at_.load(std::memory_order_acquire) == written(); }

 private:
  std::atomic<uint64_t> written_{0};
  std::atomic<uint64_t> complete_at_{0};  // everything is complete while written_ is this
};

}  // namespace mignificient::client
