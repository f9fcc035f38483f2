// f32 and f64 arithmetic, rounded to nearest; other roundings are in rounded.cc.
#include <cmath>
#include <limits>

#include "driver/cpu/exec/ops/lanes.h"

namespace mignificient::cpu::MIG_ISA {
namespace {

using ptx::Type;

template <typename T>
constexpr T kNan = std::numeric_limits<T>::quiet_NaN();
constexpr float kCanonicalNan = std::bit_cast<float>(0x7fffffffu);

template <bool ftz, typename T>
[[gnu::always_inline]] inline T Flush(T a) {
  if constexpr (ftz && sizeof(T) == 4)
    return std::abs(a) < 0x1p-126f ? std::copysign(0.0f, a) : a;
  else
    return a;
}
template <bool sat, typename T>
[[gnu::always_inline]] inline T Saturate(T a) {
  if constexpr (!sat) return a;
  // NaN becomes +0, and so does -0.
  else
    return a > T{0} ? (a < T{1} ? a : T{1}) : T{0};
}

template <typename T>
T Fma(T a, T b, T c) {
  if constexpr (sizeof(T) == 4)
    return __builtin_fmaf(a, b, c);
  else
    return __builtin_fma(a, b, c);
}

template <typename T, bool ftz, bool sat>
Handler Basic(const std::string& op) {
  static constexpr auto in = [](T a) { return Flush<ftz>(a); };
  static constexpr auto out = [](T a) { return Saturate<sat>(Flush<ftz>(a)); };
  if (op == "add") return Map<[](T a, T b) { return out(in(a) + in(b)); }, T, T, T>;
  if (op == "sub") return Map<[](T a, T b) { return out(in(a)-in(b)); }, T, T, T>;
  if (op == "mul") return Map<[](T a, T b) { return out(in(a)*in(b)); }, T, T, T>;
  if (op == "fma" || op == "mad")
    return Map<[](T a, T b, T c) { return out(Fma<T>(in(a), in(b), in(c))); }, T, T, T, T>;
  return nullptr;
}

template <typename T, bool nan>
T Min(T a, T b) {
  const bool less = a < b || (a == b && std::signbit(a));
  const T r = less ? a : b;
  if constexpr (nan) return a != a || b != b ? kNan<T> : r;
  return a != a ? b : b != b ? a : r;
}
template <typename T, bool nan>
T Max(T a, T b) {
  const bool more = a > b || (a == b && !std::signbit(a));
  const T r = more ? a : b;
  if constexpr (nan) return a != a || b != b ? kNan<T> : r;
  return a != a ? b : b != b ? a : r;
}
template <bool nan, bool xorsign, bool max>
float Extreme(float a, float b) {
  float r;
  if constexpr (xorsign) {
    r = max ? Max<float, nan>(std::abs(a), std::abs(b)) : Min<float, nan>(std::abs(a), std::abs(b));
    r = std::bit_cast<float>(std::bit_cast<uint32_t>(r) |
                             ((std::bit_cast<uint32_t>(a) ^ std::bit_cast<uint32_t>(b)) & 0x80000000u));
  } else {
    r = max ? Max<float, nan>(a, b) : Min<float, nan>(a, b);
  }
  return r != r ? kCanonicalNan : r;
}

template <bool ftz, bool max>
Handler FindExtreme(const Spec& s) {
  static constexpr auto in = [](float a) { return Flush<ftz>(a); };
  if (s.nan && s.xorsign)
    return Map<[](float a, float b) { return Extreme<true, true, max>(in(a), in(b)); }, float, float, float>;
  if (s.nan) return Map<[](float a, float b) { return Extreme<true, false, max>(in(a), in(b)); }, float, float, float>;
  if (s.xorsign)
    return Map<[](float a, float b) { return Extreme<false, true, max>(in(a), in(b)); }, float, float, float>;
  return Map<[](float a, float b) { return Extreme<false, false, max>(in(a), in(b)); }, float, float, float>;
}

float SinOf(float a) {
  return std::sin(a);
}
float CosOf(float a) {
  return std::cos(a);
}

// 2^a: exact split into integer and fraction, a polynomial of degree 7 on [-0.5, 0.5]; error below 1 ulp.
float Exp2(float a) {
  const float clamped = a < -151.0f ? -151.0f : a > 129.0f ? 129.0f : a;
  const float shifted = clamped + 0x1.8p23f;
  const float whole = shifted - 0x1.8p23f;
  const float f = clamped - whole;
  float p = 1.525273380405984e-5f;
  p = p * f + 1.540353039338161e-4f;
  p = p * f + 1.333355814642844e-3f;
  p = p * f + 9.618129107628477e-3f;
  p = p * f + 5.550410866482158e-2f;
  p = p * f + 2.402265069591007e-1f;
  p = p * f + 6.931471805599453e-1f;
  p = p * f + 1.0f;
  // In two steps, so that results that are subnormal or infinite come out right.
  const int32_t n = static_cast<int32_t>(whole);
  const int32_t half = n >> 1;
  const float r = p * std::bit_cast<float>((half + 127) << 23) * std::bit_cast<float>((n - half + 127) << 23);
  return a != a ? a : r;
}

template <bool ftz>
Handler FindMath32(const Spec& s) {
  static constexpr auto in = [](float a) { return Flush<ftz>(a); };
  const std::string& op = s.op;
  if (op == "div") return Map<[](float a, float b) { return Flush<ftz>(in(a) / in(b)); }, float, float, float>;
  if (op == "rcp") return Map<[](float a) { return Flush<ftz>(1.0f / in(a)); }, float, float>;
  if (op == "sqrt") return Map<[](float a) { return Flush<ftz>(__builtin_sqrtf(in(a))); }, float, float>;
  if (op == "rsqrt")
    return Map<[](float a) { return Flush<ftz>(static_cast<float>(1.0 / __builtin_sqrt(double{in(a)}))); }, float,
               float>;
  if (op == "sin") return MapScalar<[](float a) { return Flush<ftz>(SinOf(in(a))); }, float, float>;
  if (op == "cos") return MapScalar<[](float a) { return Flush<ftz>(CosOf(in(a))); }, float, float>;
  if (op == "lg2") return MapScalar<[](float a) { return Flush<ftz>(std::log2(in(a))); }, float, float>;
  if (op == "ex2") return Map<[](float a) { return Flush<ftz>(Exp2(in(a))); }, float, float>;
  if (op == "tanh") return MapScalar<[](float a) { return Flush<ftz>(std::tanh(in(a))); }, float, float>;
  if (op == "neg") return Map<[](float a) { return -in(a); }, float, float>;
  if (op == "abs") return Map<[](float a) { return std::abs(in(a)); }, float, float>;
  if (op == "min") return FindExtreme<ftz, false>(s);
  if (op == "max") return FindExtreme<ftz, true>(s);
  if (op == "copysign") return Map<[](float a, float b) { return std::copysign(b, a); }, float, float, float>;
  return nullptr;
}

// Three-operand min and max of sm_100 and the packed f32x2 are unknown here.
Handler FindMath64(const Spec& s) {
  const std::string& op = s.op;
  if (op == "div") return Map<[](double a, double b) { return a / b; }, double, double, double>;
  if (op == "rcp" && s.approx) {  // approx.ftz: the low word of input and result are zero
    return Map<[](double a) {
      const double top = std::bit_cast<double>(std::bit_cast<uint64_t>(a) & 0xffffffff00000000u);
      const double in = std::abs(top) < 0x1p-1022 ? std::copysign(0.0, top) : top;
      const double r = std::bit_cast<double>(std::bit_cast<uint64_t>(1.0 / in) & 0xffffffff00000000u);
      return std::abs(r) < 0x1p-1022 ? std::copysign(0.0, r) : a != a ? kNan<double> : r;
    },
               double, double>;
  }
  if (op == "rsqrt" && s.approx && s.ftz) {
    return Map<[](double a) {
      const double top = std::bit_cast<double>(std::bit_cast<uint64_t>(a) & 0xffffffff00000000u);
      const double in = std::abs(top) < 0x1p-1022 ? std::copysign(0.0, top) : top;
      const double r = std::bit_cast<double>(std::bit_cast<uint64_t>(1.0 / __builtin_sqrt(in)) & 0xffffffff00000000u);
      return r != r ? kNan<double> : r;
    },
               double, double>;
  }
  if (op == "rcp") return Map<[](double a) { return 1.0 / a; }, double, double>;
  if (op == "sqrt") return Map<[](double a) { return __builtin_sqrt(a); }, double, double>;
  if (op == "rsqrt") return Map<[](double a) { return 1.0 / __builtin_sqrt(a); }, double, double>;
  if (op == "neg") return Map<[](double a) { return -a; }, double, double>;
  if (op == "abs") return Map<[](double a) { return std::abs(a); }, double, double>;
  if (op == "min") return Map<Min<double, false>, double, double, double>;
  if (op == "max") return Map<Max<double, false>, double, double, double>;
  if (op == "copysign") return Map<[](double a, double b) { return std::copysign(b, a); }, double, double, double>;
  return nullptr;
}

}  // namespace

Handler FindFloat(const Spec& s) {
  if (s.type == Type::kF64) {
    if (s.sat || s.nan || s.xorsign) return nullptr;
    if (s.round != Round::kNone && s.round != Round::kNearest) return FindRounded(s);
    if (const Handler found = Basic<double, false, false>(s.op)) return found;
    return FindMath64(s);
  }
  if (s.type != Type::kF32) return nullptr;
  if (s.round != Round::kNone && s.round != Round::kNearest) return FindRounded(s);
  const Handler found = s.ftz ? (s.sat ? Basic<float, true, true>(s.op) : Basic<float, true, false>(s.op))
                              : (s.sat ? Basic<float, false, true>(s.op) : Basic<float, false, false>(s.op));
  if (found) return found;
  if (s.sat) return nullptr;
  return s.ftz ? FindMath32<true>(s) : FindMath32<false>(s);
}

}  // namespace mignificient::cpu::MIG_ISA
