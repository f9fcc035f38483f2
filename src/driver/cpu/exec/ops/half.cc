// f16, bf16 and their packed pairs: computed wider, rounded once.
#include "driver/cpu/exec/ops/half.h"

#include "driver/cpu/exec/ops/lanes.h"

namespace mignificient::cpu::MIG_ISA {
namespace {

using ptx::Type;
using H = uint16_t;

template <typename F>
bool IsNan(H a) {
  return (a & 0x7fff) > F::kInfinity;
}

template <typename F, bool ftz>
H Flush(H a) {
  if constexpr (ftz) return a & F::kInfinity ? a : a & F::kSign;
  return a;
}
template <typename F, bool sat, bool relu>
H Bound(H a) {
  if constexpr (sat) return IsNan<F>(a) || (a & F::kSign) ? H{0} : a > F::kOne ? F::kOne : a;
  if constexpr (relu) return IsNan<F>(a) ? F::kNan : a & F::kSign ? H{0} : a;
  return a;
}

template <typename F>
H Fused(H a, H b, H c) {
  return F::FromFloat(FloatToOdd(FusedToOdd(F::ToFloat(a), F::ToFloat(b), F::ToFloat(c))));
}

template <typename F, bool max, bool nan, bool xorsign>
H Extreme(H a, H b) {
  const H sign = xorsign ? (a ^ b) & F::kSign : H{0};
  if constexpr (xorsign) a &= 0x7fff, b &= 0x7fff;
  if (nan && (IsNan<F>(a) || IsNan<F>(b))) return F::kNan;
  if (IsNan<F>(a)) return IsNan<F>(b) ? F::kNan : static_cast<H>(b | sign);
  if (IsNan<F>(b)) return a | sign;
  const float x = F::ToFloat(a), y = F::ToFloat(b);
  const bool first = max ? x > y || (x == y && !(a & F::kSign)) : x < y || (x == y && (a & F::kSign));
  return (first ? a : b) | sign;
}

// Each function on one value or on both halves of a pair.
template <auto F, bool pair, typename... S>
Handler Lift() {
  if constexpr (!pair) {
    return Map<F, H, S...>;
  } else {
    return Map<[](std::conditional_t<true, uint32_t, S>... s) {
      const uint32_t low = F(static_cast<H>(s)...), high = F(static_cast<H>(s >> 16)...);
      return low | high << 16;
    },
               uint32_t, std::conditional_t<true, uint32_t, S>...>;
  }
}

template <typename F, bool pair, bool ftz, bool sat, bool relu>
Handler Arithmetic(const Spec& s) {
  static constexpr auto in = [](H a) { return F::ToFloat(Flush<F, ftz>(a)); };
  static constexpr auto out = [](float a) { return Bound<F, sat, relu>(Flush<F, ftz>(F::FromFloat(a))); };
  if (s.op == "add") return Lift<[](H a, H b) { return out(in(a) + in(b)); }, pair, H, H>();
  if (s.op == "sub") return Lift<[](H a, H b) { return out(in(a)-in(b)); }, pair, H, H>();
  if (s.op == "mul") return Lift<[](H a, H b) { return out(in(a)*in(b)); }, pair, H, H>();
  if (s.op == "fma") {
    return Lift<[](H a, H b, H c) {
      return Bound<F, sat, relu>(Flush<F, ftz>(Fused<F>(Flush<F, ftz>(a), Flush<F, ftz>(b), Flush<F, ftz>(c))));
    },
                pair, H, H, H>();
  }
  return nullptr;
}

template <typename F, bool pair, bool ftz>
Handler Other(const Spec& s) {
  static constexpr auto f = [](H a) { return Flush<F, ftz>(a); };
  if (s.op == "neg") return Lift<[](H a) { return static_cast<H>(f(a) ^ F::kSign); }, pair, H>();
  if (s.op == "abs") return Lift<[](H a) { return static_cast<H>(f(a) & 0x7fff); }, pair, H>();
  if (s.op == "ex2") return Lift<[](H a) { return f(F::FromFloat(std::exp2(F::ToFloat(f(a))))); }, pair, H>();
  if (s.op == "tanh") return Lift<[](H a) { return F::FromFloat(std::tanh(F::ToFloat(a))); }, pair, H>();
  if (s.op == "min") {
    if (s.nan && s.xorsign)
      return Lift<[](H a, H b) { return Extreme<F, false, true, true>(f(a), f(b)); }, pair, H, H>();
    if (s.nan) return Lift<[](H a, H b) { return Extreme<F, false, true, false>(f(a), f(b)); }, pair, H, H>();
    if (s.xorsign) return Lift<[](H a, H b) { return Extreme<F, false, false, true>(f(a), f(b)); }, pair, H, H>();
    return Lift<[](H a, H b) { return Extreme<F, false, false, false>(f(a), f(b)); }, pair, H, H>();
  }
  if (s.op == "max") {
    if (s.nan && s.xorsign)
      return Lift<[](H a, H b) { return Extreme<F, true, true, true>(f(a), f(b)); }, pair, H, H>();
    if (s.nan) return Lift<[](H a, H b) { return Extreme<F, true, true, false>(f(a), f(b)); }, pair, H, H>();
    if (s.xorsign) return Lift<[](H a, H b) { return Extreme<F, true, false, true>(f(a), f(b)); }, pair, H, H>();
    return Lift<[](H a, H b) { return Extreme<F, true, false, false>(f(a), f(b)); }, pair, H, H>();
  }
  return nullptr;
}

template <typename F, bool pair>
Handler Find(const Spec& s) {
  if (s.sat)
    return s.relu  ? nullptr
           : s.ftz ? Arithmetic<F, pair, true, true, false>(s)
                   : Arithmetic<F, pair, false, true, false>(s);
  if (s.relu) return s.ftz ? Arithmetic<F, pair, true, false, true>(s) : Arithmetic<F, pair, false, false, true>(s);
  const Handler found =
      s.ftz ? Arithmetic<F, pair, true, false, false>(s) : Arithmetic<F, pair, false, false, false>(s);
  if (found) return found;
  return s.ftz ? Other<F, pair, true>(s) : Other<F, pair, false>(s);
}

}  // namespace

Handler FindHalf(const Spec& s) {
  if (s.round != Round::kNone && s.round != Round::kNearest) return nullptr;
  switch (s.type) {
    case Type::kF16:
      return Find<Half, false>(s);
    case Type::kF16x2:
      return Find<Half, true>(s);
    case Type::kBf16:
      return Find<Brain, false>(s);
    case Type::kBf16x2:
      return Find<Brain, true>(s);
    default:
      return nullptr;
  }
}

}  // namespace mignificient::cpu::MIG_ISA
