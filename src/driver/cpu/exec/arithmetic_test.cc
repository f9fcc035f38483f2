// Integer, bit, comparison, conversion and float instructions against plain C++.
#include <cfenv>
#include <cmath>

#include "driver/cpu/exec/instruction.h"

namespace mignificient::cpu {
namespace {

using U32 = uint32_t;
using U64 = uint64_t;

void Check32(std::string_view code, std::function<U32(U32, U32, U32)> expect) {
  CheckInstruction<U32, U32, U32, U32>(code, std::move(expect));
}
void Check64(std::string_view code, std::function<U64(U64, U64, U64)> expect) {
  CheckInstruction<U64, U64, U64, U64>(code, std::move(expect));
}
int32_t S(U32 v) {
  return static_cast<int32_t>(v);
}
int64_t S64(U64 v) {
  return static_cast<int64_t>(v);
}
using I128 = __int128;
using W128 = unsigned __int128;

TEST(IntegerTest, AddsMultipliesAndDivides) {
  Check32("add.s32 %d, %a, %b;", [](U32 a, U32 b, U32) { return a + b; });
  Check32("sub.u32 %d, %a, %b;", [](U32 a, U32 b, U32) { return a - b; });
  Check32("add.sat.s32 %d, %a, %b;", [](U32 a, U32 b, U32) {
    int32_t r;
    return __builtin_add_overflow(S(a), S(b), &r) ? (S(a) < 0 ? 0x80000000u : 0x7fffffffu) : U32(r);
  });
  Check32("sub.sat.s32 %d, %a, %b;", [](U32 a, U32 b, U32) {
    int32_t r;
    return __builtin_sub_overflow(S(a), S(b), &r) ? (S(a) < 0 ? 0x80000000u : 0x7fffffffu) : U32(r);
  });
  Check32("mul.lo.s32 %d, %a, %b;", [](U32 a, U32 b, U32) { return a * b; });
  Check32("mul.hi.s32 %d, %a, %b;", [](U32 a, U32 b, U32) { return U32((int64_t{S(a)} * S(b)) >> 32); });
  Check32("mul.hi.u32 %d, %a, %b;", [](U32 a, U32 b, U32) { return U32((U64{a} * b) >> 32); });
  Check32("mad.lo.s32 %d, %a, %b, %c;", [](U32 a, U32 b, U32 c) { return a * b + c; });
  Check32("mad.hi.s32 %d, %a, %b, %c;", [](U32 a, U32 b, U32 c) { return U32((int64_t{S(a)} * S(b)) >> 32) + c; });
  Check32("div.s32 %d, %a, %b;", [](U32 a, U32 b, U32) { return b == 0 ? ~0u : b == ~0u ? 0 - a : U32(S(a) / S(b)); });
  Check32("div.u32 %d, %a, %b;", [](U32 a, U32 b, U32) { return b == 0 ? ~0u : a / b; });
  Check32("rem.s32 %d, %a, %b;", [](U32 a, U32 b, U32) { return b == 0 ? a : b == ~0u ? 0 : U32(S(a) % S(b)); });
  Check32("rem.u32 %d, %a, %b;", [](U32 a, U32 b, U32) { return b == 0 ? a : a % b; });
  Check32("abs.s32 %d, %a;", [](U32 a, U32, U32) { return S(a) < 0 ? 0 - a : a; });
  Check32("neg.s32 %d, %a;", [](U32 a, U32, U32) { return 0 - a; });
  Check32("min.s32 %d, %a, %b;", [](U32 a, U32 b, U32) { return U32(std::min(S(a), S(b))); });
  Check32("max.u32 %d, %a, %b;", [](U32 a, U32 b, U32) { return std::max(a, b); });
  Check32("max.s32 %d, %a, -3;", [](U32 a, U32, U32) { return U32(std::max(S(a), -3)); });
  Check32("sad.s32 %d, %a, %b, %c;", [](U32 a, U32 b, U32 c) { return c + U32(std::abs(int64_t{S(a)} - S(b))); });
  Check32("sad.u32 %d, %a, %b, %c;", [](U32 a, U32 b, U32 c) { return c + (a < b ? b - a : a - b); });
  const auto s24 = [](U32 v) { return int64_t{S(v << 8) >> 8}; };
  Check32("mul24.lo.s32 %d, %a, %b;", [=](U32 a, U32 b, U32) { return U32(s24(a) * s24(b)); });
  Check32("mul24.hi.s32 %d, %a, %b;", [=](U32 a, U32 b, U32) { return U32((s24(a) * s24(b)) >> 16); });
  Check32("mad24.lo.u32 %d, %a, %b, %c;",
          [](U32 a, U32 b, U32 c) { return U32(U64{a & 0xffffff} * (b & 0xffffff)) + c; });
  Check64("mul.lo.u64 %d, %a, %b;", [](U64 a, U64 b, U64) { return a * b; });
  Check64("mul.hi.s64 %d, %a, %b;", [](U64 a, U64 b, U64) { return U64((I128{S64(a)} * S64(b)) >> 64); });
  Check64("mul.hi.u64 %d, %a, %b;", [](U64 a, U64 b, U64) { return U64((W128{a} * b) >> 64); });
  Check64("mad.lo.s64 %d, %a, %b, %c;", [](U64 a, U64 b, U64 c) { return a * b + c; });
  Check64("div.s64 %d, %a, %b;", [](U64 a, U64 b, U64) {
    return b == 0 ? ~U64{0} : b == ~U64{0} ? 0 - a : U64(S64(a) / S64(b));
  });
  Check64("rem.u64 %d, %a, %b;", [](U64 a, U64 b, U64) { return b == 0 ? a : a % b; });
  Check64("min.s64 %d, %a, %b;", [](U64 a, U64 b, U64) { return U64(std::min(S64(a), S64(b))); });
  Check64("abs.s64 %d, %a;", [](U64 a, U64, U64) { return S64(a) < 0 ? 0 - a : a; });
  CheckInstruction<U64, U32, U32, U64>("mul.wide.s32 %d, %a, %b;",
                                       [](U32 a, U32 b, U64) { return U64(int64_t{S(a)} * S(b)); });
  CheckInstruction<U64, U32, U32, U64>("mad.wide.u32 %d, %a, %b, %c;",
                                       [](U32 a, U32 b, U64 c) { return U64{a} * b + c; });
  CheckInstruction<U32, uint16_t, uint16_t, U32>(
      "mul.wide.s16 %d, %a, %b;", [](uint16_t a, uint16_t b, U32) { return U32(int16_t(a) * int16_t(b)); });
  CheckInstruction<uint16_t, uint16_t, uint16_t, U32>("mul.lo.u16 %d, %a, %b;",
                                                      [](uint16_t a, uint16_t b, U32) { return uint16_t(U32{a} * b); });
  CheckInstruction<uint16_t, uint16_t, uint16_t, U32>("div.s16 %d, %a, %b;", [](uint16_t a, uint16_t b, U32) {
    return b == 0 ? uint16_t(0xffff) : uint16_t(int16_t(a) / int16_t(b));
  });
  CheckInstruction<uint16_t, uint16_t, uint16_t, U32>(
      "mul.hi.u16 %d, %a, %b;", [](uint16_t a, uint16_t b, U32) { return uint16_t((U32{a} * b) >> 16); });
  CheckInstruction<uint16_t, uint16_t, uint16_t, U32>(
      "max.s16 %d, %a, %b;", [](uint16_t a, uint16_t b, U32) { return uint16_t(std::max(int16_t(a), int16_t(b))); });
}

TEST(IntegerTest, CarriesThroughChains) {
  Check64(
      "{ .reg .b32 l<3>, h<3>; mov.b64 {l0,h0}, %a; mov.b64 {l1,h1}, %b; add.cc.u32 l2, l0, l1; addc.u32 h2, h0, h1; "
      "mov.b64 %d, {l2,h2}; }",
      [](U64 a, U64 b, U64) { return a + b; });
  Check64(
      "{ .reg .b32 l<3>, h<3>; mov.b64 {l0,h0}, %a; mov.b64 {l1,h1}, %b; sub.cc.u32 l2, l0, l1; subc.u32 h2, h0, h1; "
      "mov.b64 %d, {l2,h2}; }",
      [](U64 a, U64 b, U64) { return a - b; });
  Check64("{ .reg .b64 t; add.cc.u64 t, %a, %b; addc.u64 %d, %c, 0; }",
          [](U64 a, U64 b, U64 c) { return c + (a + b < a); });
  Check64("{ .reg .b64 t; sub.cc.u64 t, %a, %b; subc.cc.u64 t, %a, %b; subc.u64 %d, %c, 0; }", [](U64 a, U64 b, U64 c) {
    const bool first = a < b;
    return c - (W128{a} < W128{b} + first);
  });
  Check32("{ .reg .b32 t; mad.lo.cc.u32 t, %a, %b, %c; madc.hi.u32 %d, %a, %b, 0; }",
          [](U32 a, U32 b, U32 c) { return U32((U64{a} * b + c) >> 32); });
}

TEST(BitsTest, LogicShiftsAndFields) {
  Check32("and.b32 %d, %a, %b;", [](U32 a, U32 b, U32) { return a & b; });
  Check64("or.b64 %d, %a, %b;", [](U64 a, U64 b, U64) { return a | b; });
  Check32("xor.b32 %d, %a, %b;", [](U32 a, U32 b, U32) { return a ^ b; });
  Check64("not.b64 %d, %a;", [](U64 a, U64, U64) { return ~a; });
  Check32("cnot.b32 %d, %a;", [](U32 a, U32, U32) { return U32(a == 0); });
  Check32("shl.b32 %d, %a, %b;", [](U32 a, U32 b, U32) { return b > 31 ? 0 : a << b; });
  Check32("shr.u32 %d, %a, %b;", [](U32 a, U32 b, U32) { return b > 31 ? 0 : a >> b; });
  Check32("shr.s32 %d, %a, %b;", [](U32 a, U32 b, U32) { return U32(S(a) >> std::min(b, 31u)); });
  CheckInstruction<U64, U64, U32, U32>("shl.b64 %d, %a, %b;", [](U64 a, U32 b, U32) { return b > 63 ? 0 : a << b; });
  CheckInstruction<U64, U64, U32, U32>("shr.s64 %d, %a, %b;",
                                       [](U64 a, U32 b, U32) { return U64(S64(a) >> std::min(b, 63u)); });
  CheckInstruction<uint16_t, uint16_t, U32, U32>(
      "shr.s16 %d, %a, %b;", [](uint16_t a, U32 b, U32) { return uint16_t(int16_t(a) >> std::min(b, 15u)); });
  Check32("shf.l.wrap.b32 %d, %a, %b, %c;", [](U32 a, U32 b, U32 c) {
    c &= 31;
    return c ? b << c | a >> (32 - c) : b;
  });
  Check32("shf.r.clamp.b32 %d, %a, %b, %c;", [](U32 a, U32 b, U32 c) {
    return c >= 32 ? b : c ? b << (32 - c) | a >> c : a;
  });
  Check32("shf.l.clamp.b32 %d, %a, %b, %c;", [](U32 a, U32 b, U32 c) {
    return c >= 32 ? a : c ? b << c | a >> (32 - c) : b;
  });
  Check32("popc.b32 %d, %a;", [](U32 a, U32, U32) { return U32(__builtin_popcount(a)); });
  CheckInstruction<U32, U64, U32, U32>("popc.b64 %d, %a;",
                                       [](U64 a, U32, U32) { return U32(__builtin_popcountll(a)); });
  Check32("clz.b32 %d, %a;", [](U32 a, U32, U32) { return a ? U32(__builtin_clz(a)) : 32; });
  CheckInstruction<U32, U64, U32, U32>("clz.b64 %d, %a;",
                                       [](U64 a, U32, U32) { return a ? U32(__builtin_clzll(a)) : 64; });
  Check32("bfind.u32 %d, %a;", [](U32 a, U32, U32) { return a ? 31 - U32(__builtin_clz(a)) : ~0u; });
  Check32("bfind.shiftamt.s32 %d, %a;", [](U32 a, U32, U32) {
    const U32 v = S(a) < 0 ? ~a : a;
    return v ? U32(__builtin_clz(v)) : ~0u;
  });
  Check32("brev.b32 %d, %a;", [](U32 a, U32, U32) {
    U32 r = 0;
    for (int i = 0; i < 32; ++i) r = r << 1 | (a >> i & 1);
    return r;
  });
  const auto bfe = [](U64 a, U32 b, U32 c, int bits, bool sign) {
    const U32 pos = b & 255, len = c & 255;
    const U64 s = sign && len ? a >> std::min<U32>(pos + len - 1, bits - 1) & 1 : 0;
    U64 d = 0;
    for (int i = 0; i < bits; ++i) d |= (U32(i) < len && pos + i < U32(bits) ? a >> (pos + i) & 1 : s) << i;
    return d;
  };
  Check32("bfe.u32 %d, %a, %b, %c;", [=](U32 a, U32 b, U32 c) { return U32(bfe(a, b, c, 32, false)); });
  Check32("bfe.s32 %d, %a, %b, %c;", [=](U32 a, U32 b, U32 c) { return U32(bfe(a, b, c, 32, true)); });
  CheckInstruction<U64, U64, U32, U32>("bfe.s64 %d, %a, %b, %c;",
                                       [=](U64 a, U32 b, U32 c) { return bfe(a, b, c, 64, true); });
  const auto bfi = [](U64 a, U64 base, U32 pos, U32 len, U32 bits) {
    pos &= 255, len &= 255;
    for (U32 i = 0; i < len && pos + i < bits; ++i) base = (base & ~(U64{1} << (pos + i))) | (a >> i & 1) << (pos + i);
    return base;
  };
  Check32("bfi.b32 %d, %a, %b, %c, 7;", [=](U32 a, U32 b, U32 c) { return U32(bfi(a, b, c, 7, 32)); });
  Check32("bfi.b32 %d, %a, %b, 3, %c;", [=](U32 a, U32 b, U32 c) { return U32(bfi(a, b, 3, c, 32)); });
  CheckInstruction<U64, U64, U64, U32>("bfi.b64 %d, %a, %b, %c, 40;",
                                       [=](U64 a, U64 b, U32 c) { return bfi(a, b, c, 40, 64); });
  Check32("fns.b32 %d, %a, 3, 2;", [](U32 a, U32, U32) {
    int n = 0;
    for (int i = 3; i < 32; ++i)
      if (a >> i & 1 && ++n == 2) return U32(i);
    return ~0u;
  });
  Check32("bmsk.clamp.b32 %d, %a, %b;", [](U32 a, U32 b, U32) {
    U32 r = 0;
    for (U64 i = a; i < U64{a} + b && i < 32; ++i) r |= 1u << i;
    return r;
  });
  Check32("szext.wrap.s32 %d, %a, %b;", [](U32 a, U32 b, U32) {
    b &= 31;
    if (!b) return 0u;
    return U32(S(a << (32 - b)) >> (32 - b));
  });
}

TEST(BitsTest, PermutesAndComputesAnyFunctionOfThreeBits) {
  Check32("prmt.b32 %d, %a, %b, %c;", [](U32 a, U32 b, U32 c) {
    U32 r = 0;
    for (int i = 0; i < 4; ++i) {
      const U32 s = c >> 4 * i & 15;
      U32 v = (s & 4 ? b : a) >> 8 * (s & 3) & 255;
      if (s & 8) v = v & 128 ? 255 : 0;
      r |= v << 8 * i;
    }
    return r;
  });
  Check32("prmt.b32.f4e %d, %a, %b, %c;", [](U32 a, U32 b, U32 c) { return U32((U64{b} << 32 | a) >> 8 * (c & 3)); });
  Check32("prmt.b32.rc8 %d, %a, %b, %c;", [](U32 a, U32, U32 c) { return (a >> 8 * (c & 3) & 255) * 0x01010101u; });
  Check32("prmt.b32.rc16 %d, %a, %b, %c;",
          [](U32 a, U32, U32 c) { return (a >> 16 * (c & 1) & 0xffff) * 0x00010001u; });
  for (const U32 lut : {0x96u, 0xe8u, 0xcau, 0x1du, 0x00u, 0xffu}) {
    Check32(fmt::format("lop3.b32 %d, %a, %b, %c, {};", lut), [lut](U32 a, U32 b, U32 c) {
      U32 r = 0;
      for (int i = 0; i < 32; ++i) r |= (lut >> ((a >> i & 1) * 4 + (b >> i & 1) * 2 + (c >> i & 1)) & 1) << i;
      return r;
    });
  }
  Check32("setp.lt.u32 %p1, %b, %c; lop3.or.b32 %t1|%p2, %a, %b, %c, 0x80, %p1; selp.b32 %d, 1, 0, %p2;",
          [](U32 a, U32 b, U32 c) { return U32((a & b & c) != 0 || b < c); });
  Check32("dp4a.s32.u32 %d, %a, %b, %c;", [](U32 a, U32 b, U32 c) {
    for (int i = 0; i < 4; ++i) c += U32(int8_t(a >> 8 * i) * int(uint8_t(b >> 8 * i)));
    return c;
  });
  Check32("dp2a.hi.s32.s32 %d, %a, %b, %c;", [](U32 a, U32 b, U32 c) {
    for (int i = 0; i < 2; ++i) c += U32(int16_t(a >> 16 * i) * int8_t(b >> (16 + 8 * i)));
    return c;
  });
}

TEST(CompareTest, PredicatesCombineAndSelect) {
  Check32("setp.lt.s32 %p1, %a, %b; selp.b32 %d, 1, 2, %p1;", [](U32 a, U32 b, U32) { return S(a) < S(b) ? 1 : 2; });
  Check32("setp.hi.u32 %p1|%p2, %a, %b; selp.b32 %t1, 1, 0, %p1; selp.b32 %d, 2, %t1, %p2;",
          [](U32 a, U32 b, U32) { return a > b ? 1 : 2; });
  Check32(
      "setp.eq.u32 %p3, %c, 1; setp.ge.and.s32 %p1|%p2, %a, %b, !%p3; selp.b32 %t1, 1, 0, %p1; selp.b32 %t2, 2, 0, "
      "%p2; add.u32 %d, %t1, %t2;",
      [](U32 a, U32 b, U32 c) { return c == 1         ? 0
                                       : S(a) >= S(b) ? 1
                                                      : 2; });
  Check32("setp.ne.u32 %p1, %a, 0; setp.gt.xor.s32 %p2, %b, 0, %p1; @%p2 mov.b32 %d, 5; @!%p2 mov.b32 %d, 6;",
          [](U32 a, U32 b, U32) { return (S(b) > 0) != (a != 0) ? 5 : 6; });
  Check32("set.le.u32.u32 %d, %a, %b;", [](U32 a, U32 b, U32) { return a <= b ? ~0u : 0; });
  Check32("set.lt.f32.f32 %d, %a, %b;", [](U32 a, U32 b, U32) {
    return std::isless(std::bit_cast<float>(a), std::bit_cast<float>(b)) ? 0x3f800000u : 0;
  });
  Check32(
      "setp.ne.s32 %p1, %a, 0; setp.ne.s32 %p2, %b, 0; and.pred %p3, %p1, %p2; not.pred %p3, %p3; selp.b32 %d, 3, 4, "
      "%p3;",
      [](U32 a, U32 b, U32) { return !(a && b) ? 3 : 4; });
  Check32("slct.b32.s32 %d, %a, %b, %c;", [](U32 a, U32 b, U32 c) { return S(c) >= 0 ? a : b; });
  struct Row {
    const char* op;
    bool (*f)(double, double);
  };
  const Row rows[] = {{"eq", [](double a, double b) { return a == b; }},
                      {"ne", [](double a, double b) { return std::islessgreater(a, b); }},
                      {"lt", [](double a, double b) { return std::isless(a, b); }},
                      {"ge", [](double a, double b) { return std::isgreaterequal(a, b); }},
                      {"equ", [](double a, double b) { return std::isunordered(a, b) || a == b; }},
                      {"neu", [](double a, double b) { return !(a == b); }},
                      {"ltu", [](double a, double b) { return std::isunordered(a, b) || a < b; }},
                      {"gtu", [](double a, double b) { return std::isunordered(a, b) || a > b; }},
                      {"leu", [](double a, double b) { return std::isunordered(a, b) || a <= b; }},
                      {"geu", [](double a, double b) { return std::isunordered(a, b) || a >= b; }},
                      {"num", [](double a, double b) { return !std::isunordered(a, b); }},
                      {"nan", [](double a, double b) { return std::isunordered(a, b) != 0; }}};
  for (const Row& row : rows) {
    const auto f = row.f;
    Check32(fmt::format("setp.{}.f32 %p1, %a, %b; selp.b32 %d, 1, 0, %p1;", row.op),
            [f](U32 a, U32 b, U32) { return U32(f(std::bit_cast<float>(a), std::bit_cast<float>(b))); });
    CheckInstruction<U32, U64, U64, U32>(
        fmt::format("setp.{}.f64 %p1, %a, %b; selp.b32 %d, 1, 0, %p1;", row.op),
        [f](U64 a, U64 b, U32) { return U32(f(std::bit_cast<double>(a), std::bit_cast<double>(b))); });
  }
  Check32("testp.subnormal.f32 %p1, %a; selp.b32 %d, 1, 0, %p1;",
          [](U32 a, U32, U32) { return U32(std::fpclassify(std::bit_cast<float>(a)) == FP_SUBNORMAL); });
  Check32("testp.normal.f32 %p1, %a; selp.b32 %d, 1, 0, %p1;",
          [](U32 a, U32, U32) { return U32(std::fpclassify(std::bit_cast<float>(a)) == FP_NORMAL); });
}

using F1 = std::function<float(float, float, float)>;
void CheckF(std::string_view code, F1 f) {
  CheckInstruction<U32, U32, U32, U32>(
      code,
      [f](U32 a, U32 b, U32 c) {
        return std::bit_cast<U32>(f(std::bit_cast<float>(a), std::bit_cast<float>(b), std::bit_cast<float>(c)));
      },
      SameFloat);
}
using F2 = std::function<double(double, double, double)>;
void CheckD(std::string_view code, F2 f) {
  CheckInstruction<U64, U64, U64, U64>(
      code,
      [f](U64 a, U64 b, U64 c) {
        return std::bit_cast<U64>(f(std::bit_cast<double>(a), std::bit_cast<double>(b), std::bit_cast<double>(c)));
      },
      SameDouble);
}
template <typename T>
T Rounded(int mode, T (*f)(T, T, T), T a, T b, T c) {
  volatile T x = a, y = b, z = c;
  std::fesetround(mode);
  volatile T r = f(x, y, z);
  std::fesetround(FE_TONEAREST);
  return r;
}
float Zero(float a) {
  return std::fpclassify(a) == FP_SUBNORMAL ? std::copysign(0.0f, a) : a;
}

TEST(FloatTest, RoundsToNearestExactly) {
  CheckF("add.f32 %d, %a, %b;", [](float a, float b, float) { return a + b; });
  CheckF("sub.rn.f32 %d, %a, %b;", [](float a, float b, float) { return a - b; });
  CheckF("mul.f32 %d, %a, %b;", [](float a, float b, float) { return a * b; });
  CheckF("fma.rn.f32 %d, %a, %b, %c;", [](float a, float b, float c) { return std::fma(a, b, c); });
  CheckF("div.rn.f32 %d, %a, %b;", [](float a, float b, float) { return a / b; });
  CheckF("sqrt.rn.f32 %d, %a;", [](float a, float, float) { return std::sqrt(a); });
  CheckF("rcp.rn.f32 %d, %a;", [](float a, float, float) { return 1.0f / a; });
  CheckF("add.ftz.f32 %d, %a, %b;", [](float a, float b, float) { return Zero(Zero(a) + Zero(b)); });
  CheckF("mul.ftz.sat.f32 %d, %a, %b;", [](float a, float b, float) {
    const float r = Zero(Zero(a) * Zero(b));
    return r > 0 ? std::fmin(r, 1.0f) : 0.0f;
  });
  CheckF("neg.f32 %d, %a;", [](float a, float, float) { return -a; });
  CheckF("abs.f32 %d, %a;", [](float a, float, float) { return std::fabs(a); });
  CheckF("copysign.f32 %d, %a, %b;", [](float a, float b, float) { return std::copysign(b, a); });
  CheckF("add.f32 %d, %a, 0f3F800000;", [](float a, float, float) { return a + 1.0f; });
  CheckD("add.f64 %d, %a, %b;", [](double a, double b, double) { return a + b; });
  CheckD("fma.rn.f64 %d, %a, %b, %c;", [](double a, double b, double c) { return std::fma(a, b, c); });
  CheckD("div.rn.f64 %d, %a, %b;", [](double a, double b, double) { return a / b; });
  CheckD("sqrt.rn.f64 %d, %a;", [](double a, double, double) { return std::sqrt(a); });
  CheckD("max.f64 %d, %a, %b;", [](double a, double b, double) {
    return std::isnan(a) ? b : std::isnan(b) ? a : a == b ? (std::signbit(a) ? b : a) : std::max(a, b);
  });
}

TEST(FloatTest, RoundsInEveryDirection) {
  const std::pair<const char*, int> modes[] = {{"rz", FE_TOWARDZERO}, {"rm", FE_DOWNWARD}, {"rp", FE_UPWARD}};
  for (const auto& [name, mode] : modes) {
    const int m = mode;
    CheckF(fmt::format("add.{}.f32 %d, %a, %b;", name), [m](float a, float b, float c) {
      return Rounded<float>(m, [](float x, float y, float) { return x + y; }, a, b, c);
    });
    CheckF(fmt::format("mul.{}.f32 %d, %a, %b;", name), [m](float a, float b, float c) {
      return Rounded<float>(m, [](float x, float y, float) { return x * y; }, a, b, c);
    });
    CheckF(fmt::format("div.{}.f32 %d, %a, %b;", name), [m](float a, float b, float c) {
      return Rounded<float>(m, [](float x, float y, float) { return x / y; }, a, b, c);
    });
    CheckD(fmt::format("fma.{}.f64 %d, %a, %b, %c;", name), [m](double a, double b, double c) {
      return Rounded<double>(m, [](double x, double y, double z) { return std::fma(x, y, z); }, a, b, c);
    });
    CheckD(fmt::format("sqrt.{}.f64 %d, %a;", name), [m](double a, double b, double c) {
      return Rounded<double>(m, [](double x, double, double) { return std::sqrt(x); }, a, b, c);
    });
  }
}

TEST(FloatTest, MinAndMaxFollowTheNanRules) {
  const auto min = [](float a, float b) {
    return std::isnan(a) ? b : std::isnan(b) ? a : a == b ? (std::signbit(a) ? a : b) : std::min(a, b);
  };
  const auto max = [](float a, float b) {
    return std::isnan(a) ? b : std::isnan(b) ? a : a == b ? (std::signbit(a) ? b : a) : std::max(a, b);
  };
  CheckF("min.f32 %d, %a, %b;", [=](float a, float b, float) { return min(a, b); });
  CheckF("max.f32 %d, %a, %b;", [=](float a, float b, float) { return max(a, b); });
  CheckF("max.NaN.f32 %d, %a, %b;",
         [=](float a, float b, float) { return std::isnan(a) || std::isnan(b) ? NAN : max(a, b); });
  CheckF("min.xorsign.abs.f32 %d, %a, %b;", [=](float a, float b, float) {
    const float r = min(std::fabs(a), std::fabs(b));
    return std::signbit(a) != std::signbit(b) ? -std::fabs(r) : r;
  });
}

bool Near(U32 x, U32 y) {
  const float a = std::bit_cast<float>(x), b = std::bit_cast<float>(y);
  return SameFloat(x, y) || a == b || std::fabs(a - b) <= 4e-7f * std::fabs(b) + 1e-37f ||
         (std::isinf(a) && std::fabs(b) > 3e38f);
}

TEST(FloatTest, ApproximationsStayClose) {
  struct Row {
    const char* code;
    double (*f)(double);
  };
  const Row rows[] = {{"rcp.approx.f32", [](double a) { return 1 / a; }},
                      {"sqrt.approx.f32", [](double a) { return std::sqrt(a); }},
                      {"rsqrt.approx.f32", [](double a) { return 1 / std::sqrt(a); }},
                      {"ex2.approx.f32", [](double a) { return std::exp2(a); }},
                      {"lg2.approx.f32", [](double a) { return std::log2(a); }},
                      {"sin.approx.f32", [](double a) { return std::sin(a); }},
                      {"cos.approx.f32", [](double a) { return std::cos(a); }},
                      {"tanh.approx.f32", [](double a) { return std::tanh(a); }}};
  for (const Row& row : rows) {
    const auto f = row.f;
    CheckInstruction<U32, U32, U32, U32>(
        fmt::format("{} %d, %a;", row.code),
        [f](U32 a, U32, U32) { return std::bit_cast<U32>(static_cast<float>(f(std::bit_cast<float>(a)))); }, Near);
  }
  CheckInstruction<U32, U32, U32, U32>(
      "div.approx.f32 %d, %a, %b;",
      [](U32 a, U32 b, U32) { return std::bit_cast<U32>(std::bit_cast<float>(a) / std::bit_cast<float>(b)); }, Near);
}

TEST(ConvertTest, BetweenIntegersOfEverySize) {
  CheckInstruction<U64, U32, U32, U32>("cvt.s64.s32 %d, %a;", [](U32 a, U32, U32) { return U64(int64_t{S(a)}); });
  CheckInstruction<U64, U32, U32, U32>("cvt.u64.u32 %d, %a;", [](U32 a, U32, U32) { return U64{a}; });
  CheckInstruction<U32, U64, U32, U32>("cvt.u32.u64 %d, %a;", [](U64 a, U32, U32) { return U32(a); });
  Check32("cvt.s32.s8 %d, %a;", [](U32 a, U32, U32) { return U32(int8_t(a)); });
  Check32("cvt.u32.u16 %d, %a;", [](U32 a, U32, U32) { return U32(uint16_t(a)); });
  Check32("cvt.s8.s32 %d, %a;", [](U32 a, U32, U32) { return U32(int32_t{int8_t(a)}); });
  Check32("cvt.sat.u8.s32 %d, %a;", [](U32 a, U32, U32) { return U32(std::clamp(S(a), 0, 255)); });
  Check32("cvt.sat.s16.s32 %d, %a;", [](U32 a, U32, U32) { return U32(std::clamp(S(a), -32768, 32767)); });
  CheckInstruction<U32, U64, U32, U32>("cvt.sat.s32.s64 %d, %a;", [](U64 a, U32, U32) {
    return U32(std::clamp<int64_t>(S64(a), INT32_MIN, INT32_MAX));
  });
  Check32("cvt.sat.u32.s32 %d, %a;", [](U32 a, U32, U32) { return S(a) < 0 ? 0 : a; });
  Check32("cvt.pack.sat.s16.s32 %d, %a, %b;", [](U32 a, U32 b, U32) {
    return U32(uint16_t(std::clamp(S(a), -32768, 32767))) << 16 | uint16_t(std::clamp(S(b), -32768, 32767));
  });
  Check32("cvt.pack.sat.u8.s32.b32 %d, %a, %b, %c;", [](U32 a, U32 b, U32 c) {
    return c << 16 | U32(std::clamp(S(a), 0, 255)) << 8 | U32(std::clamp(S(b), 0, 255));
  });
}

U64 ToInt(double v, double low, double high) {
  return std::isnan(v) ? 0
         : v <= low    ? U64(S64(U64(low < 0 ? int64_t(low) : 0)))
         : v >= high   ? (high >= 0x1p64   ? ~U64{0}
                          : high >= 0x1p63 ? U64{1} << 63
                                           : U64(high)) -
                           (high >= 0x1p64 ? 0 : 1)
         : v < 0 ? U64(int64_t(v))
                 : U64(v);
}

TEST(ConvertTest, BetweenFloatsAndIntegers) {
  struct Row {
    const char* name;
    double (*f)(double);
  };
  const Row rows[] = {{"rni", [](double v) { return std::nearbyint(v); }},
                      {"rzi", [](double v) { return std::trunc(v); }},
                      {"rmi", [](double v) { return std::floor(v); }},
                      {"rpi", [](double v) { return std::ceil(v); }}};
  for (const Row& row : rows) {
    const auto f = row.f;
    const auto F = [](U32 a) { return double{std::bit_cast<float>(a)}; };
    Check32(fmt::format("cvt.{}.s32.f32 %d, %a;", row.name),
            [=](U32 a, U32, U32) { return U32(ToInt(f(F(a)), -0x1p31, 0x1p31)); });
    Check32(fmt::format("cvt.{}.u32.f32 %d, %a;", row.name),
            [=](U32 a, U32, U32) { return U32(ToInt(f(F(a)), 0, 0x1p32)); });
    CheckInstruction<U64, U32, U32, U32>(fmt::format("cvt.{}.s64.f32 %d, %a;", row.name),
                                         [=](U32 a, U32, U32) { return ToInt(f(F(a)), -0x1p63, 0x1p63); });
    CheckInstruction<U32, U64, U32, U32>(fmt::format("cvt.{}.s32.f64 %d, %a;", row.name), [=](U64 a, U32, U32) {
      return U32(ToInt(f(std::bit_cast<double>(a)), -0x1p31, 0x1p31));
    });
    Check64(fmt::format("cvt.{}.u64.f64 %d, %a;", row.name),
            [=](U64 a, U64, U64) { return ToInt(f(std::bit_cast<double>(a)), 0, 0x1p64); });
    CheckF(fmt::format("cvt.{}.f32.f32 %d, %a;", row.name),
           [=](float a, float, float) { return static_cast<float>(f(a)); });
    CheckD(fmt::format("cvt.{}.f64.f64 %d, %a;", row.name), [=](double a, double, double) { return f(a); });
  }
  Check32("cvt.rn.f32.s32 %d, %a;", [](U32 a, U32, U32) { return std::bit_cast<U32>(static_cast<float>(S(a))); });
  Check32("cvt.rn.f32.u32 %d, %a;", [](U32 a, U32, U32) { return std::bit_cast<U32>(static_cast<float>(a)); });
  Check32("cvt.rz.f32.u32 %d, %a;", [](U32 a, U32, U32) {
    float f = static_cast<float>(a);
    if (double{f} > a) f = std::nextafter(f, 0.0f);
    return std::bit_cast<U32>(f);
  });
  CheckInstruction<U64, U32, U32, U32>("cvt.rn.f64.s32 %d, %a;",
                                       [](U32 a, U32, U32) { return std::bit_cast<U64>(double(S(a))); });
  CheckInstruction<U32, U64, U32, U32>("cvt.rn.f32.u64 %d, %a;",
                                       [](U64 a, U32, U32) { return std::bit_cast<U32>(static_cast<float>(a)); });
  Check64("cvt.rn.f64.s64 %d, %a;", [](U64 a, U64, U64) { return std::bit_cast<U64>(double(S64(a))); });
  CheckInstruction<U32, U64, U32, U32>(
      "cvt.rn.f32.f64 %d, %a;",
      [](U64 a, U32, U32) { return std::bit_cast<U32>(static_cast<float>(std::bit_cast<double>(a))); }, SameFloat);
  CheckInstruction<U32, U64, U32, U32>(
      "cvt.rp.f32.f64 %d, %a;",
      [](U64 a, U32, U32) {
        volatile double v = std::bit_cast<double>(a);
        std::fesetround(FE_UPWARD);
        volatile float r = static_cast<float>(v);
        std::fesetround(FE_TONEAREST);
        return std::bit_cast<U32>(float{r});
      },
      SameFloat);
  CheckF("cvt.sat.f32.f32 %d, %a;", [](float a, float, float) { return a > 0 ? std::fmin(a, 1.0f) : 0.0f; });
  CheckF("cvt.ftz.f32.f32 %d, %a;", [](float a, float, float) { return Zero(a); });
}

}  // namespace
}  // namespace mignificient::cpu
