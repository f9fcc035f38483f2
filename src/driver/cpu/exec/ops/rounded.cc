// Directed roundings, by the processor's rounding mode. Compiled with -frounding-math.
#include <cfenv>
#include <cmath>

#include "driver/cpu/exec/ops/lanes.h"

namespace mignificient::cpu::MIG_ISA {
namespace {

struct RoundingMode {
  explicit RoundingMode(Round round) : before(std::fegetround()) {
    std::fesetround(round == Round::kZero ? FE_TOWARDZERO : round == Round::kDown ? FE_DOWNWARD : FE_UPWARD);
  }
  ~RoundingMode() { std::fesetround(before); }
  int before;
};

template <typename T>
T Finish(T value, bool ftz, bool sat) {
  if (ftz && sizeof(T) == 4 && std::abs(value) < T(0x1p-126)) value = std::copysign(T{0}, value);
  if (sat) value = value > T{0} ? (value < T{1} ? value : T{1}) : T{0};
  return value;
}
template <typename T>
T Start(T value, bool ftz) {
  return ftz && sizeof(T) == 4 && std::abs(value) < T(0x1p-126) ? std::copysign(T{0}, value) : value;
}

enum class Kind { kAdd, kSub, kMul, kFma, kDiv, kRcp, kSqrt };

template <typename T, Kind kind, Round round, bool ftz, bool sat>
[[gnu::noinline]] const Inst* Directed(Warp& w, const Inst* i, uint32_t m) {
  const RoundingMode mode(round);
  for (uint32_t rest = m; rest; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    volatile T a = Start(w.Row<T>(i->a)[l], ftz);
    volatile T r = 0;
    if constexpr (kind == Kind::kRcp) {
      r = T{1} / a;
    } else if constexpr (kind == Kind::kSqrt) {
      r = std::sqrt(a);
    } else {
      volatile T b = Start(w.Row<T>(i->b)[l], ftz);
      if constexpr (kind == Kind::kAdd) r = a + b;
      if constexpr (kind == Kind::kSub) r = a - b;
      if constexpr (kind == Kind::kMul) r = a * b;
      if constexpr (kind == Kind::kDiv) r = a / b;
      if constexpr (kind == Kind::kFma) r = std::fma(T(a), T(b), Start(w.Row<T>(i->c)[l], ftz));
    }
    w.Row<T>(i->d)[l] = Finish<T>(r, ftz, sat);
  }
  return i + 1;
}

template <typename T, Kind kind, bool ftz, bool sat>
Handler OfRound(Round round) {
  if (round == Round::kZero) return Directed<T, kind, Round::kZero, ftz, sat>;
  if (round == Round::kDown) return Directed<T, kind, Round::kDown, ftz, sat>;
  return Directed<T, kind, Round::kUp, ftz, sat>;
}

template <typename T, Kind kind>
Handler OfFlags(const Spec& s) {
  if constexpr (sizeof(T) == 8)
    return OfRound<T, kind, false, false>(s.round);
  else if (s.ftz)
    return s.sat ? OfRound<T, kind, true, true>(s.round) : OfRound<T, kind, true, false>(s.round);
  else
    return s.sat ? OfRound<T, kind, false, true>(s.round) : OfRound<T, kind, false, false>(s.round);
}

template <typename T>
Handler OfType(const Spec& s) {
  if (s.op == "add") return OfFlags<T, Kind::kAdd>(s);
  if (s.op == "sub") return OfFlags<T, Kind::kSub>(s);
  if (s.op == "mul") return OfFlags<T, Kind::kMul>(s);
  if (s.op == "fma" || s.op == "mad") return OfFlags<T, Kind::kFma>(s);
  if (s.op == "div") return OfFlags<T, Kind::kDiv>(s);
  if (s.op == "rcp") return OfFlags<T, Kind::kRcp>(s);
  if (s.op == "sqrt") return OfFlags<T, Kind::kSqrt>(s);
  return nullptr;
}

}  // namespace

Handler FindRounded(const Spec& s) {
  if (s.round != Round::kZero && s.round != Round::kDown && s.round != Round::kUp) return nullptr;
  return s.type == ptx::Type::kF64 ? OfType<double>(s) : OfType<float>(s);
}

}  // namespace mignificient::cpu::MIG_ISA
