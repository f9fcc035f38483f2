// f16 and bf16 against the compiler's own _Float16 and rounding by enumeration.
#include "driver/cpu/exec/ops/half.h"

#include <cmath>

#include "driver/cpu/exec/instruction.h"

namespace mignificient::cpu {
namespace {

using H = uint16_t;
using U32 = uint32_t;

// The value of 16 bits with `mantissa` bits of mantissa, by definition.
double ValueOf(H bits, int mantissa) {
  const int exponent_bits = 15 - mantissa, bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (bits & 0x7fff) >> mantissa, fraction = bits & ((1 << mantissa) - 1);
  double v;
  if (exponent == (1 << exponent_bits) - 1)
    v = fraction ? NAN : INFINITY;
  else if (exponent == 0)
    v = std::ldexp(fraction, 1 - bias - mantissa);
  else
    v = std::ldexp((1 << mantissa) + fraction, exponent - bias - mantissa);
  return bits & 0x8000 ? -v : v;
}

// The nearest even 16-bit float of an exact value, by search.
H Nearest(long double v, int mantissa) {
  if (v != v) return 0x7fff;
  const H sign = std::signbit(v) ? 0x8000 : 0;
  const long double m = std::fabs(v);
  const H infinity = static_cast<H>(((1 << (15 - mantissa)) - 1) << mantissa);
  H low = 0, high = infinity;  // largest whose value is <= m
  while (low < high) {
    const H middle = static_cast<H>((low + high + 1) / 2);
    if (ValueOf(middle, mantissa) <= m)
      low = middle;
    else
      high = static_cast<H>(middle - 1);
  }
  if (low == infinity) return sign | infinity;
  const long double below = ValueOf(low, mantissa);
  const long double above = low + 1 == infinity ? 2 * below - ValueOf(static_cast<H>(low - 1), mantissa)
                                                : static_cast<long double>(ValueOf(static_cast<H>(low + 1), mantissa));
  const long double down = m - below, up = above - m;
  const H magnitude = down < up || (down == up && low % 2 == 0) ? low : static_cast<H>(low + 1);
  return sign | magnitude;
}

bool Same16(H x, H y, int mantissa) {
  return (std::isnan(ValueOf(x, mantissa)) && std::isnan(ValueOf(y, mantissa))) || x == y;
}

// a * b + c so exactly that rounding it to 16 bits is rounding once: an addend too small for the sum
// still decides on which side of a tie it lies.
long double Fused(double a, double b, double c) {
  const long double product = static_cast<long double>(a) * b, sum = product + c;
  if (!std::isfinite(sum)) return sum;
  if (sum == product && c != 0) return std::nextafter(sum, c > 0 ? HUGE_VALL : -HUGE_VALL);
  if (sum == c && product != 0) return std::nextafter(sum, product > 0 ? HUGE_VALL : -HUGE_VALL);
  return sum;
}

struct Format {
  const char* name;
  int mantissa;
};
constexpr Format kFormats[] = {{"f16", 10}, {"bf16", 7}};

TEST(HalfTest, EveryValueSurvivesTheWayToFloatAndBack) {
  for (U32 bits = 0; bits < 0x10000; ++bits) {
    const H h = static_cast<H>(bits);
    const float f = Half::ToFloat(h), b = Brain::ToFloat(h);
    ASSERT_TRUE(std::isnan(f) ? std::isnan(ValueOf(h, 10))
                              : double{f} == ValueOf(h, 10) && std::signbit(f) == (h >> 15))
        << bits;
    ASSERT_TRUE(std::isnan(b) ? std::isnan(ValueOf(h, 7)) : double{b} == ValueOf(h, 7)) << bits;
    ASSERT_TRUE(Same16(Half::FromFloat(f), h, 10)) << bits;
    ASSERT_TRUE(Same16(Brain::FromFloat(b), h, 7)) << bits;
  }
}

TEST(HalfTest, ArithmeticIsRoundedOnce) {
  for (const auto [name, mantissa] : kFormats) {
    const int k = mantissa;
    const auto check = [&](std::string op, std::function<long double(double, double, double)> f) {
      CheckInstruction<H, H, H, H>(
          fmt::format("{}.{} %d, %a, %b{};", op, name, op.starts_with("fma") ? ", %c" : ""),
          [f, k](H a, H b, H c) { return Nearest(f(ValueOf(a, k), ValueOf(b, k), ValueOf(c, k)), k); },
          [k](H x, H y) { return Same16(x, y, k); });
    };
    check("add", [](double a, double b, double) {
      return static_cast<long double>(static_cast<float>(a) + static_cast<float>(b));
    });
    check("sub", [](double a, double b, double) {
      return static_cast<long double>(static_cast<float>(a) - static_cast<float>(b));
    });
    check("mul", [](double a, double b, double) { return static_cast<long double>(a) * b; });
    check("fma.rn", Fused);
  }
}

TEST(HalfTest, PairsComputeEachHalf) {
  const auto low = [](U32 v) { return ValueOf(static_cast<H>(v), 10); };
  const auto high = [](U32 v) { return ValueOf(static_cast<H>(v >> 16), 10); };
  const auto same = [](U32 x, U32 y) {
    return Same16(static_cast<H>(x), static_cast<H>(y), 10) &&
           Same16(static_cast<H>(x >> 16), static_cast<H>(y >> 16), 10);
  };
  CheckInstruction<U32, U32, U32, U32>(
      "fma.rn.f16x2 %d, %a, %b, %c;",
      [=](U32 a, U32 b, U32 c) {
        return U32{Nearest(static_cast<long double>(low(a)) * low(b) + low(c), 10)} |
               U32{Nearest(static_cast<long double>(high(a)) * high(b) + high(c), 10)} << 16;
      },
      same);
  CheckInstruction<U32, U32, U32, U32>(
      "add.f16x2 %d, %a, %b;",
      [=](U32 a, U32 b, U32) { return U32{Nearest(low(a) + low(b), 10)} | U32{Nearest(high(a) + high(b), 10)} << 16; },
      same);
  CheckInstruction<U32, U32, U32, U32>("neg.f16x2 %d, %a;", [](U32 a, U32, U32) { return a ^ 0x80008000; });
  CheckInstruction<U32, U32, U32, U32>("set.gt.f16x2.f16x2 %d, %a, %b;", [=](U32 a, U32 b, U32) {
    return (std::isgreater(low(a), low(b)) ? 0x3c00u : 0) | (std::isgreater(high(a), high(b)) ? 0x3c000000u : 0);
  });
  CheckInstruction<U32, U32, U32, U32>(
      "setp.ltu.f16x2 %p1|%p2, %a, %b; selp.b32 %t1, 1, 0, %p1; selp.b32 %t2, 2, 0, %p2; or.b32 %d, %t1, %t2;",
      [=](U32 a, U32 b, U32) { return U32(!(low(a) >= low(b))) | U32(!(high(a) >= high(b))) << 1; });
}

TEST(HalfTest, MinMaxAndConversionsFollowTheRules) {
  CheckInstruction<H, H, H, H>("max.NaN.f16 %d, %a, %b;", [](H a, H b, H) {
    const double x = ValueOf(a, 10), y = ValueOf(b, 10);
    return std::isnan(x) || std::isnan(y) ? H{0x7fff} : x > y || (x == y && !(a >> 15)) ? a : b;
  });
  CheckInstruction<H, H, H, H>("min.bf16 %d, %a, %b;", [](H a, H b, H) {
    const double x = ValueOf(a, 7), y = ValueOf(b, 7);
    if (std::isnan(x)) return std::isnan(y) ? H{0x7fff} : b;
    return std::isnan(y) || x < y || (x == y && (a >> 15)) ? a : b;
  });
  const auto F = [](U32 a) { return std::bit_cast<float>(a); };
  CheckInstruction<H, U32, H, H>(
      "cvt.rn.f16.f32 %d, %a;", [=](U32 a, H, H) { return Nearest(F(a), 10); },
      [](H x, H y) { return Same16(x, y, 10); });
  CheckInstruction<H, U32, H, H>(
      "cvt.rn.bf16.f32 %d, %a;", [=](U32 a, H, H) { return Nearest(F(a), 7); },
      [](H x, H y) { return Same16(x, y, 7); });
  CheckInstruction<H, U32, H, H>(
      "cvt.rz.f16.f32 %d, %a;",
      [=](U32 a, H, H) {
        H h = Nearest(F(a), 10);
        if (!std::isnan(F(a)) && std::fabs(ValueOf(h, 10)) > std::fabs(F(a))) --h;
        return h;
      },
      [](H x, H y) { return Same16(x, y, 10); });
  CheckInstruction<H, uint64_t, H, H>(
      "cvt.rn.f16.f64 %d, %a;", [](uint64_t a, H, H) { return Nearest(std::bit_cast<double>(a), 10); },
      [](H x, H y) { return Same16(x, y, 10); });
  CheckInstruction<U32, U32, U32, U32>(
      "cvt.rn.f16x2.f32 %d, %a, %b;",
      [=](U32 a, U32 b, U32) { return U32{Nearest(F(a), 10)} << 16 | Nearest(F(b), 10); },
      [](U32 x, U32 y) {
        return Same16(static_cast<H>(x), static_cast<H>(y), 10) &&
               Same16(static_cast<H>(x >> 16), static_cast<H>(y >> 16), 10);
      });
  CheckInstruction<U32, H, H, H>(
      "cvt.f32.f16 %d, %a;", [](H a, H, H) { return std::bit_cast<U32>(static_cast<float>(ValueOf(a, 10))); },
      SameFloat);
  CheckInstruction<H, U32, H, H>("cvt.rn.f16.s32 %d, %a;",
                                 [](U32 a, H, H) { return Nearest(static_cast<int32_t>(a), 10); });
  CheckInstruction<U32, H, H, H>("cvt.rzi.s32.f16 %d, %a;", [](H a, H, H) {
    const double v = std::trunc(ValueOf(a, 10));
    return std::isnan(v) ? 0
           : v >= 0x1p31 ? 0x7fffffffu
           : v < -0x1p31 ? 0x80000000u
                         : static_cast<U32>(static_cast<int32_t>(v));
  });
}

}  // namespace
}  // namespace mignificient::cpu
