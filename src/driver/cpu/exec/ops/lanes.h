// Loops over the 32 lanes of a warp, for the operations of one instruction set level.
// MIG_ISA names the level's namespace: the same sources are compiled once per level.
#pragma once

#include <bit>
#include <type_traits>
#ifdef __AVX512DQ__
#include <immintrin.h>
#endif

#include "driver/cpu/exec/spec.h"
#include "driver/cpu/exec/warp.h"

#ifndef MIG_ISA
#define MIG_ISA isa_base
#endif

namespace mignificient::cpu::MIG_ISA {

Handler FindInteger(const Spec& spec);
Handler FindWideInteger(const Spec& spec);
Handler FindCompare(const Spec& spec);
Handler FindFloat(const Spec& spec);
Handler FindRounded(const Spec& spec);
Handler FindHalf(const Spec& spec);
Handler FindConvert(const Spec& spec);
Handler FindMove(const Spec& spec);
Handler FindMemory(const Spec& spec);
Handler FindAtomic(const Spec& spec);
Handler FindLanes(const Spec& spec);
Handler FindControl(const Spec& spec);

// How a value of T lies in a row.
template <typename T>
using Slot = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;

template <typename T>
[[gnu::always_inline]] inline T Unpack(Slot<T> slot) {
  if constexpr (sizeof(T) == sizeof(Slot<T>))
    return std::bit_cast<T>(slot);
  else
    return static_cast<T>(slot);
}
template <typename T>
[[gnu::always_inline]] inline Slot<T> Pack(T value) {
  if constexpr (sizeof(T) == sizeof(Slot<T>))
    return std::bit_cast<Slot<T>>(value);
  else
    return static_cast<Slot<T>>(static_cast<std::make_unsigned_t<T>>(value));
}

// d[lane] = F(a[lane], ...): sources are the rows a, b, c, e in order. F must be defined for any bits:
// lanes outside the mask are computed too and dropped. Rows are equal or apart, so lanes do not alias.
template <auto F, typename D, typename... S>
const Inst* Map(Warp& w, const Inst* i, uint32_t m) {
  // The rows are found before the loop: a store to d might change w otherwise, for all the compiler knows.
  const auto loop = [m](Slot<D>* d, const Slot<S>*... s) {
    if (m == kAllLanes) {
#pragma GCC ivdep
      for (int l = 0; l < 32; ++l) d[l] = Pack<D>(F(Unpack<S>(s[l])...));
    } else {
#pragma GCC ivdep
      for (int l = 0; l < 32; ++l) {
        const Slot<D> v = Pack<D>(F(Unpack<S>(s[l])...));
        d[l] = (m >> l) & 1 ? v : d[l];
      }
    }
  };
  const uint32_t offsets[4] = {i->a, i->b, i->c, i->e};
  [&]<size_t... N>(std::index_sequence<N...>) {
    loop(w.Row<Slot<D>>(i->d), w.Row<const Slot<S>>(offsets[N])...);
  }(std::index_sequence_for<S...>{});
  return i + 1;
}

// As Map, for functions too dear to compute for lanes that drop them.
template <auto F, typename D, typename... S>
const Inst* MapScalar(Warp& w, const Inst* i, uint32_t m) {
  const uint32_t offsets[4] = {i->a, i->b, i->c, i->e};
  Slot<D>* d = w.Row<Slot<D>>(i->d);
  [&]<size_t... N>(std::index_sequence<N...>) {
    for (uint32_t rest = m; rest; rest &= rest - 1) {
      const int l = std::countr_zero(rest);
      d[l] = Pack<D>(F(Unpack<S>(w.Row<const Slot<S>>(offsets[N])[l])...));
    }
  }(std::index_sequence_for<S...>{});
  return i + 1;
}

// As Map; F also gets the instruction, for variants that are not worth a handler each.
template <auto F, typename D, typename... S>
const Inst* MapWith(Warp& w, const Inst* i, uint32_t m) {
  const uint32_t offsets[4] = {i->a, i->b, i->c, i->e};
  Slot<D>* d = w.Row<Slot<D>>(i->d);
  [&]<size_t... N>(std::index_sequence<N...>) {
    for (uint32_t rest = m; rest; rest &= rest - 1) {
      const int l = std::countr_zero(rest);
      d[l] = Pack<D>(F(*i, Unpack<S>(w.Row<const Slot<S>>(offsets[N])[l])...));
    }
  }(std::index_sequence_for<S...>{});
  return i + 1;
}

// A word with the lanes where F holds.
template <auto F, typename A>
[[gnu::always_inline]] inline uint32_t Bits(const Slot<A>* a, const Slot<A>* b) {
#ifdef __AVX512DQ__
  alignas(64) int32_t holds[32];  // compilers do not find the instruction that takes sixteen signs at once
  for (int l = 0; l < 32; ++l) holds[l] = F(Unpack<A>(a[l]), Unpack<A>(b[l])) ? -1 : 0;
  const uint32_t low = _mm512_movepi32_mask(_mm512_load_si512(holds));
  return low | static_cast<uint32_t>(_mm512_movepi32_mask(_mm512_load_si512(holds + 16))) << 16;
#else
  uint32_t bits = 0;
  for (int l = 0; l < 32; ++l) bits |= static_cast<uint32_t>(F(Unpack<A>(a[l]), Unpack<A>(b[l]))) << l;
  return bits;
#endif
}

[[gnu::always_inline]] inline void SetBits(uint32_t& word, uint32_t bits, uint32_t mask) {
  word = (word & ~mask) | (bits & mask);
}

}  // namespace mignificient::cpu::MIG_ISA
