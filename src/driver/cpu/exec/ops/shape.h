// How the addresses of sixteen neighbouring lanes lie, and reading at addresses that lie anyhow. Half a warp at a time:
// the rows of a 16 x 16 block are then as regular as a whole warp's.
#pragma once

#include <cstdint>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

#include "driver/cpu/exec/ops/lanes.h"

namespace mignificient::cpu::MIG_ISA {

inline constexpr int kPart = 16;  // lanes

enum class Shape : uint8_t {
  kRun,   // each lane `step` behind the one before
  kSame,  // all at one
  kOther,
};

#ifdef __AVX512F__

template <uint32_t step>
[[gnu::always_inline]] inline Shape ShapeOf(const uint32_t* a) {
  const __m512i iota = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const __m512i run = _mm512_mullo_epi32(iota, _mm512_set1_epi32(step));  // folded by the compiler
  const __m512i off = _mm512_sub_epi32(_mm512_loadu_si512(a), _mm512_set1_epi32(static_cast<int>(a[0])));
  if (_mm512_cmpneq_epi32_mask(off, run) == 0) return Shape::kRun;
  return _mm512_test_epi32_mask(off, off) == 0 ? Shape::kSame : Shape::kOther;
}

template <uint32_t step>
[[gnu::always_inline]] inline Shape ShapeOf(const uint64_t* a) {
  const __m512i low = _mm512_set_epi64(7 * step, 6 * step, 5 * step, 4 * step, 3 * step, 2 * step, step, 0);
  const __m512i high = _mm512_add_epi64(low, _mm512_set1_epi64(8 * step));
  const __m512i first = _mm512_set1_epi64(static_cast<int64_t>(a[0]));
  const __m512i x = _mm512_sub_epi64(_mm512_loadu_si512(a), first);
  const __m512i y = _mm512_sub_epi64(_mm512_loadu_si512(a + 8), first);
  if ((_mm512_cmpneq_epi64_mask(x, low) | _mm512_cmpneq_epi64_mask(y, high)) == 0) return Shape::kRun;
  const __m512i any = _mm512_or_si512(x, y);
  return _mm512_test_epi64_mask(any, any) == 0 ? Shape::kSame : Shape::kOther;
}

#else

template <uint32_t step, typename A>
[[gnu::always_inline]] inline Shape ShapeOf(const A* a) {
  A run = 0, same = 0;
  for (uint32_t l = 0; l < kPart; ++l) {
    run |= a[l] ^ static_cast<A>(a[0] + step * l);
    same |= a[l] ^ a[0];
  }
  return run == 0 ? Shape::kRun : same == 0 ? Shape::kSame : Shape::kOther;
}

#endif

// d[lane] = the U at base + a[lane] + offset, for all 32 lanes. False, and nothing is written, where an offset is not a
// multiple of U's size or the U ends after `bytes`; sums wrap at 32 bits.
template <typename U>
[[gnu::always_inline]] inline bool Gather(U* d, const char* base, const uint32_t* a, uint32_t offset, uint32_t bytes) {
  if (bytes < sizeof(U)) return false;
  const uint32_t last = bytes - static_cast<uint32_t>(sizeof(U));
#ifdef __AVX512F__
  if constexpr (sizeof(U) == 4) {
    const __m512i x = _mm512_add_epi32(_mm512_loadu_si512(a), _mm512_set1_epi32(static_cast<int>(offset)));
    const __m512i y = _mm512_add_epi32(_mm512_loadu_si512(a + 16), _mm512_set1_epi32(static_cast<int>(offset)));
    const __m512i low = _mm512_set1_epi32(sizeof(U) - 1), limit = _mm512_set1_epi32(static_cast<int>(last));
    const auto bad = static_cast<uint32_t>(_mm512_cmpgt_epu32_mask(x, limit) | _mm512_cmpgt_epu32_mask(y, limit) |
                                           _mm512_test_epi32_mask(_mm512_or_si512(x, y), low));
    if (bad != 0) return false;
    _mm512_storeu_si512(d, _mm512_mask_i32gather_epi32(x, 0xffff, x, base, 1));
    _mm512_storeu_si512(d + 16, _mm512_mask_i32gather_epi32(y, 0xffff, y, base, 1));
    return true;
  }
#endif
  uint32_t high = 0, bits = 0, at[32];
  for (int l = 0; l < 32; ++l) {
    at[l] = a[l] + offset;
    high = at[l] > high ? at[l] : high, bits |= at[l];
  }
  if (high > last || bits & (sizeof(U) - 1)) return false;
  for (int l = 0; l < 32; ++l) d[l] = __atomic_load_n(reinterpret_cast<const U*>(base + at[l]), __ATOMIC_RELAXED);
  return true;
}

}  // namespace mignificient::cpu::MIG_ISA
