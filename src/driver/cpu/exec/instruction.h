// Testing one instruction at a time: operands from tables and chance, a divergent mask, and an
// expectation computed in plain C++.
#pragma once

#include <bit>
#include <functional>

#include "driver/cpu/exec/fixture.h"

namespace mignificient::cpu {

template <typename T>
std::string RegisterType() {
  return sizeof(T) == 8 ? "b64" : sizeof(T) == 4 ? "b32" : "b16";
}

// Bit patterns at which instructions go wrong, then random ones.
template <typename U>
std::vector<U> Interesting(size_t count, uint64_t seed) {
  std::vector<uint64_t> edges;
  if constexpr (sizeof(U) == 2) {
    edges = {0,      1,      2,      0x7fff, 0x8000, 0x8001, 0xffff, 0x3c00, 0xbc00, 0x7c00, 0xfc00,
             0x7e00, 0x03ff, 0x0400, 0x7bff, 0x3f80, 0x7f80, 0xff80, 0x7fc0, 0x0080, 31,     16};
  } else if constexpr (sizeof(U) == 4) {
    edges = {0,          1,          2,          31,         32,         33,         255,        0x7fffffff, 0x80000000,
             0x80000001, 0xffffffff, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0x00800000, 0x807fffff,
             0x7f7fffff, 0x4f000000, 0xcf000000, 0x4f800000, 0x3f000000, 0x3fc00000, 0x33800000, 0x477fe000};
  } else {
    edges = {0,
             1,
             63,
             64,
             0x7fffffffffffffff,
             0x8000000000000000,
             ~uint64_t{0},
             0x100000000,
             0xffffffff,
             0x80000000,
             0x3ff0000000000000,
             0x7ff0000000000000,
             0xfff0000000000000,
             0x7ff8000000000000,
             0x0010000000000000,
             0x800fffffffffffff,
             0x41e0000000000000,
             0x43e0000000000000,
             0xc3e0000000000000,
             0x3fe0000000000000,
             0x3ff8000000000000,
             0x47efffffe0000000,
             0x36a0000000000000};
  }
  std::mt19937_64 random(seed);
  std::vector<U> out(count);
  for (size_t i = 0; i < count; ++i) {
    const uint64_t raw = random();
    const int kind = static_cast<int>(random() % 4);
    // Edges, small numbers, wide-ranging bits, and floats of moderate size.
    uint64_t v = raw;
    if (kind == 0) v = edges[raw % edges.size()];
    if (kind == 1) v = raw % 2 ? raw % 100 : 0 - raw % 100;
    if (kind == 3 && sizeof(U) == 4)
      v = std::bit_cast<uint32_t>(static_cast<float>(static_cast<int64_t>(raw % 200001) - 100000) / 128.0f);
    if (kind == 3 && sizeof(U) == 8)
      v = std::bit_cast<uint64_t>(static_cast<double>(static_cast<int64_t>(raw % 200001) - 100000) / 128.0);
    out[i] = static_cast<U>(v);
  }
  return out;
}

// Runs `code` (reads %a, %b, %c; writes %d) for `n` tuples, in a kernel where only lanes whose inputs
// hash to it execute `code`, and compares with `expect`. `same` decides equality of results.
template <typename D, typename A, typename B, typename C>
void CheckInstruction(std::string_view code, std::function<D(A, B, C)> expect,
                      std::function<bool(D, D)> same = std::equal_to<D>()) {
  constexpr size_t kCount = 2048;
  const auto a = Interesting<A>(kCount, 1);
  const auto b = Interesting<B>(kCount, 2);
  const auto c = Interesting<C>(kCount, 3);
  for (const uint32_t divergent : {0u, 1u}) {
    std::vector<D> d(kCount, D{0x55});
    Module module(fmt::format(R"(
.visible .entry k(.param .u64 pd, .param .u64 pa, .param .u64 pb, .param .u64 pc, .param .u32 diverge) {{
  .reg .{0} %d; .reg .{1} %a; .reg .{2} %b; .reg .{3} %c; .reg .b32 %i<4>; .reg .b64 %q<10>; .reg .pred %p<4>, %skip; .reg .b32 %t<4>;
  mov.u32 %i0, %ctaid.x; mov.u32 %i1, %ntid.x; mov.u32 %i2, %tid.x; mad.lo.u32 %i0, %i0, %i1, %i2; ld.param.u32 %i3, [diverge];
  ld.param.u64 %q0, [pd]; ld.param.u64 %q1, [pa]; ld.param.u64 %q2, [pb]; ld.param.u64 %q3, [pc];
  mul.wide.u32 %q4, %i0, {4}; add.u64 %q0, %q0, %q4; mul.wide.u32 %q4, %i0, {5}; add.u64 %q1, %q1, %q4;
  mul.wide.u32 %q4, %i0, {6}; add.u64 %q2, %q2, %q4; mul.wide.u32 %q4, %i0, {7}; add.u64 %q3, %q3, %q4;
  ld.global.{0} %d, [%q0]; ld.global.{1} %a, [%q1]; ld.global.{2} %b, [%q2]; ld.global.{3} %c, [%q3];
  mul.lo.u32 %i2, %i2, 0x9e3779b1; shr.u32 %i2, %i2, 30; and.b32 %i2, %i2, %i3; setp.ne.u32 %skip, %i2, 0; @%skip bra END;
  {8}
  st.global.{0} [%q0], %d;
END: ret; }})",
                              RegisterType<D>(), RegisterType<A>(), RegisterType<B>(), RegisterType<C>(), sizeof(D),
                              sizeof(A), sizeof(B), sizeof(C), code));
    const auto params = Params().Add(AddressOf(d)).Add(AddressOf(a)).Add(AddressOf(b)).Add(AddressOf(c)).Add(divergent);
    const auto ran =
        module.Run("k", {kCount / 128}, {128}, params, {ExtentOf(a), ExtentOf(b), ExtentOf(c), ExtentOf(d)});
    ASSERT_EQ(ran.result.status, LaunchStatus::kOk) << ran.result.message;
    int wrong = 0;
    for (size_t i = 0; i < kCount && wrong < 3; ++i) {
      const bool skipped = ((static_cast<uint32_t>(i % 128) * 0x9e3779b1u) >> 30) & divergent;
      const D expected = skipped ? D{0x55} : expect(a[i], b[i], c[i]);
      if (skipped ? d[i] == expected : same(d[i], expected)) continue;
      ++wrong;
      ADD_FAILURE() << code
                    << fmt::format(": a 0x{:x} b 0x{:x} c 0x{:x} gave 0x{:x}, expected 0x{:x}", a[i], b[i], c[i], d[i],
                                   expected);
    }
  }
}

// Equal, or both NaN.
inline bool SameFloat(uint32_t x, uint32_t y) {
  const float a = std::bit_cast<float>(x), b = std::bit_cast<float>(y);
  return (a != a && b != b) || x == y;
}
inline bool SameDouble(uint64_t x, uint64_t y) {
  const double a = std::bit_cast<double>(x), b = std::bit_cast<double>(y);
  return (a != a && b != b) || x == y;
}

}  // namespace mignificient::cpu
