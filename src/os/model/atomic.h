// os/atomic.h for tests that run code under the explorer.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "os/model/explorer.h"

namespace mignificient::os {

// As std::atomic, of types of at most eight bytes.
template <typename T>
class Atomic {
  static_assert(sizeof(T) <= sizeof(uint64_t));

 public:
  Atomic() { model::Register(this); }
  Atomic(T value) : Atomic() { store(value, std::memory_order_relaxed); }  // NOLINT(google-explicit-constructor)
  Atomic(const Atomic&) = delete;
  Atomic& operator=(const Atomic&) = delete;

  T load(std::memory_order order = std::memory_order_seq_cst) const { return From(model::Load(this, order)); }
  void store(T value, std::memory_order order = std::memory_order_seq_cst) { model::Store(this, To(value), order); }
  T exchange(T value, std::memory_order order = std::memory_order_seq_cst) {
    return Update([](uint64_t, uint64_t operand) { return operand; }, value, order);
  }
  T fetch_add(T value, std::memory_order order = std::memory_order_seq_cst) {
    return Update([](uint64_t old, uint64_t operand) { return To(static_cast<T>(From(old) + From(operand))); }, value,
                  order);
  }
  T fetch_sub(T value, std::memory_order order = std::memory_order_seq_cst) {
    return Update([](uint64_t old, uint64_t operand) { return To(static_cast<T>(From(old) - From(operand))); }, value,
                  order);
  }
  T fetch_or(T value, std::memory_order order = std::memory_order_seq_cst) {
    return Update([](uint64_t old, uint64_t operand) { return old | operand; }, value, order);
  }
  T fetch_and(T value, std::memory_order order = std::memory_order_seq_cst) {
    return Update([](uint64_t old, uint64_t operand) { return old & operand; }, value, order);
  }
  bool compare_exchange_strong(T& expected, T desired, std::memory_order success, std::memory_order failure) {
    uint64_t word = To(expected);
    const bool exchanged = model::CompareExchange(this, word, To(desired), success, failure);
    expected = From(word);
    return exchanged;
  }
  bool compare_exchange_strong(T& expected, T desired, std::memory_order order = std::memory_order_seq_cst) {
    return compare_exchange_strong(expected, desired, order, OnFailure(order));
  }
  bool compare_exchange_weak(T& expected, T desired, std::memory_order order = std::memory_order_seq_cst) {
    return compare_exchange_strong(expected, desired, order, OnFailure(order));
  }

 private:
  static std::memory_order OnFailure(std::memory_order order) {
    if (order == std::memory_order_acq_rel) return std::memory_order_acquire;
    return order == std::memory_order_release ? std::memory_order_relaxed : order;
  }
  static uint64_t To(T value) {
    uint64_t word = 0;
    std::memcpy(&word, &value, sizeof value);
    return word;
  }
  static T From(uint64_t word) {
    T value;
    std::memcpy(&value, &word, sizeof value);
    return value;
  }
  T Update(model::Combine combine, T operand, std::memory_order order) {
    return From(model::Update(this, combine, To(operand), order));
  }

  T unused_{};  // the value is the explorer's; this makes the object as large as the real one
};

inline void FullFence() {
  model::Fence();
}
inline void CompilerFence() {
  model::CompilerFence();
}
inline void ReadShared(void* to, const void* shared, size_t bytes) {
  model::AccessPlain(shared, bytes, false);
  std::memcpy(to, shared, bytes);
}
inline void WriteShared(void* shared, const void* from, size_t bytes) {
  model::AccessPlain(shared, bytes, true);
  std::memcpy(shared, from, bytes);
}
constexpr int Spins(int) {
  return 1;
}

}  // namespace mignificient::os
