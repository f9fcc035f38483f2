// What threads and processes share without a lock: atomics, the fence between them, and copies of the plain memory that
// they guard. In the programs these are the C++ library's. A test that is built with MIGNIFICIENT_MODEL puts
// os/model's in their place, and so runs the very same code under a scheduler that tries every interleaving.
#pragma once

#ifdef MIGNIFICIENT_MODEL
#include "os/model/atomic.h"  // IWYU pragma: export
#else

#include <atomic>
#include <cstddef>
#include <cstring>

namespace mignificient::os {

template <typename T>
using Atomic = std::atomic<T>;

inline void FullFence() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
}
// Keeps the compiler from moving accesses across it. The processor may: os::BarrierEverywhere is its other half.
inline void CompilerFence() {
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

// Copies from and to memory that another thread or process writes and reads. What keeps the two apart is an atomic's
// business; a model test notices where it does not.
inline void ReadShared(void* to, const void* shared, size_t bytes) {
  std::memcpy(to, shared, bytes);
}
inline void WriteShared(void* shared, const void* from, size_t bytes) {
  std::memcpy(shared, from, bytes);
}

// How often to look before sleeping. Under a model one look more makes no difference but time.
constexpr int Spins(int times) {
  return times;
}

}  // namespace mignificient::os

#endif
