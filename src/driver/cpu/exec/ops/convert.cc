// cvt between any two types: the common pairs as vectors, the rest lane by lane from a descriptor.
// x of the general form: destination type, source type << 8, rounding << 16, sat << 24, ftz << 25, relu << 26.
#include <cfenv>
#include <cmath>
#include <limits>

#include "driver/cpu/exec/ops/half.h"
#include "driver/cpu/exec/ops/lanes.h"

namespace mignificient::cpu::MIG_ISA {
namespace {

using ptx::Type;

double RoundToInteger(double v, Round round) {
  switch (round) {
    case Round::kIntNearest:
      return std::nearbyint(v);
    case Round::kIntDown:
    case Round::kDown:
      return std::floor(v);
    case Round::kIntUp:
    case Round::kUp:
      return std::ceil(v);
    case Round::kNearest:
      return std::nearbyint(v);
    default:
      return std::trunc(v);
  }
}

// From the exact value; every mode from the nearest by comparison.
template <typename F>
uint16_t To16(double v, Round round) {
  uint16_t h = F::FromFloat(FloatToOdd(v));
  if (v != v || round == Round::kNearest || round == Round::kNone) return h;
  const double back = F::ToFloat(h);
  const bool high = back > v, low = back < v, negative = h & 0x8000;
  const bool down = round == Round::kDown || (round == Round::kZero && v > 0);
  if (down && high) return negative ? h + 1 : h == 0 ? 0x8001 : h - 1;
  if (!down && low) return negative ? (h == 0x8000 ? 1 : h - 1) : h + 1;
  return h;
}

float ToFloat(double v, Round round) {
  if (round == Round::kNone || round == Round::kNearest) return static_cast<float>(v);
  const float f = static_cast<float>(v);
  if (v != v || f == v) return f;
  const bool down = round == Round::kDown || (round == Round::kZero && v > 0);
  if (down && f > v) return std::nextafter(f, -HUGE_VALF);
  if (!down && f < v) return std::nextafter(f, HUGE_VALF);
  return f;
}

template <typename T>
T IntToFloat(bool is_signed, uint64_t raw, Round round) {
  const int before = std::fegetround();
  if (round == Round::kZero) std::fesetround(FE_TOWARDZERO);
  if (round == Round::kDown) std::fesetround(FE_DOWNWARD);
  if (round == Round::kUp) std::fesetround(FE_UPWARD);
  volatile uint64_t in = raw;
  volatile T out;
  if (is_signed)
    out = static_cast<T>(static_cast<int64_t>(in));
  else
    out = static_cast<T>(in);
  std::fesetround(before);
  return out;
}

uint64_t SignExtend(uint64_t raw, uint32_t bytes) {
  const int shift = 64 - 8 * static_cast<int>(bytes);
  return static_cast<uint64_t>(static_cast<int64_t>(raw << shift) >> shift);
}
uint64_t Truncate(uint64_t raw, uint32_t bytes) {
  return bytes >= 8 ? raw : raw & ((uint64_t{1} << 8 * bytes) - 1);
}

uint64_t FloatToInt(double v, Type to) {
  if (v != v) return 0;
  const int bits = 8 * static_cast<int>(ptx::SizeOf(to));
  if (ptx::IsSigned(to)) {
    const double top = std::ldexp(1.0, bits - 1);
    if (v >= top) return (uint64_t{1} << (bits - 1)) - 1;
    if (v < -top) return SignExtend(uint64_t{1} << (bits - 1), ptx::SizeOf(to));
    return static_cast<uint64_t>(static_cast<int64_t>(v));
  }
  if (v <= 0) return 0;
  if (v >= std::ldexp(1.0, bits)) return Truncate(~uint64_t{0}, ptx::SizeOf(to));
  return static_cast<uint64_t>(v);
}

// Of an integer already extended to 64 bits.
uint64_t IntToInt(uint64_t v, bool from_signed, Type to, bool sat) {
  const uint32_t bytes = ptx::SizeOf(to);
  if (sat) {
    const int bits = 8 * static_cast<int>(bytes);
    const bool negative = from_signed && static_cast<int64_t>(v) < 0;
    if (ptx::IsSigned(to)) {
      const uint64_t top = (uint64_t{1} << (bits - 1)) - 1;
      if (!negative && v > top) v = top;
      if (negative && static_cast<int64_t>(v) < -static_cast<int64_t>(top) - 1) v = ~top;
    } else {
      if (negative)
        v = 0;
      else if (v > Truncate(~uint64_t{0}, bytes))
        v = Truncate(~uint64_t{0}, bytes);
    }
  }
  return ptx::IsSigned(to) ? SignExtend(v, bytes) : Truncate(v, bytes);
}

double Read(Type type, uint64_t raw, bool ftz) {
  switch (type) {
    case Type::kF16:
      return Half::ToFloat(static_cast<uint16_t>(raw));
    case Type::kBf16:
      return Brain::ToFloat(static_cast<uint16_t>(raw));
    case Type::kF32: {
      const float f = std::bit_cast<float>(static_cast<uint32_t>(raw));
      return ftz && std::abs(f) < 0x1p-126f ? std::copysign(0.0f, f) : f;
    }
    default:
      return std::bit_cast<double>(raw);
  }
}

uint64_t FloatToFloat(double v, Type to, Type from, Round round, bool sat, bool ftz, bool relu) {
  const bool whole = round >= Round::kIntNearest;
  if (whole || (to == from && round != Round::kNone)) v = RoundToInteger(v, round), round = Round::kNone;
  if (sat) v = v > 0 ? (v < 1 ? v : 1) : 0;
  if (relu && v <= 0) v = 0;
  switch (to) {
    case Type::kF16:
      return To16<Half>(v, round);
    case Type::kBf16:
      return To16<Brain>(v, round);
    case Type::kF32: {
      float f = ToFloat(v, round);
      if (ftz && std::abs(f) < 0x1p-126f) f = std::copysign(0.0f, f);
      return f != f ? 0x7fffffffu : std::bit_cast<uint32_t>(f);
    }
    default:
      return std::bit_cast<uint64_t>(v);
  }
}

uint64_t ConvertOne(uint32_t how, uint64_t raw) {
  const auto to = static_cast<Type>(how & 0xff), from = static_cast<Type>((how >> 8) & 0xff);
  const auto round = static_cast<Round>((how >> 16) & 0xff);
  const bool sat = how >> 24 & 1, ftz = how >> 25 & 1, relu = how >> 26 & 1;
  if (ptx::IsFloat(from)) {
    const double v = Read(from, raw, ftz);
    if (ptx::IsFloat(to)) return FloatToFloat(v, to, from, round, sat, ftz, relu);
    return FloatToInt(RoundToInteger(v, round), to);
  }
  const bool is_signed = ptx::IsSigned(from);
  const uint64_t v = is_signed ? SignExtend(raw, ptx::SizeOf(from)) : Truncate(raw, ptx::SizeOf(from));
  if (!ptx::IsFloat(to)) return IntToInt(v, is_signed, to, sat);
  if (to == Type::kF64) {
    const double d = IntToFloat<double>(is_signed, v, round);
    return std::bit_cast<uint64_t>(sat ? (d > 0 ? (d < 1 ? d : 1) : 0) : d);
  }
  if (to == Type::kF32) {
    const float f = IntToFloat<float>(is_signed, v, round);
    return std::bit_cast<uint32_t>(sat ? (f > 0 ? (f < 1 ? f : 1) : 0) : f);
  }
  const double d = is_signed ? static_cast<double>(static_cast<int64_t>(v)) : static_cast<double>(v);
  return FloatToFloat(d, to, Type::kNone, round, sat, ftz, relu);
}

template <typename D, typename S>
const Inst* General(Warp& w, const Inst* i, uint32_t m) {
  for (uint32_t rest = m; rest; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    w.Row<D>(i->d)[l] = static_cast<D>(ConvertOne(i->x, w.Row<S>(i->a)[l]));
  }
  return i + 1;
}

// cvt.rn.f16x2.f32 d, a, b: a goes to the upper half.
const Inst* ToPair(Warp& w, const Inst* i, uint32_t m) {
  for (uint32_t rest = m; rest; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    const uint64_t high = ConvertOne(i->x, w.Row<uint32_t>(i->a)[l]), low = ConvertOne(i->x, w.Row<uint32_t>(i->b)[l]);
    w.Row<uint32_t>(i->d)[l] = static_cast<uint32_t>(high << 16 | low);
  }
  return i + 1;
}

// cvt.pack.sat.to.s32{.b32} d, a, b{, c}: y is the bits of one item.
const Inst* ToPack(Warp& w, const Inst* i, uint32_t m) {
  const uint32_t bits = i->y, mask = (1u << bits) - 1;
  for (uint32_t rest = m; rest; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    const auto high = static_cast<uint32_t>(ConvertOne(i->x, w.Row<uint32_t>(i->a)[l])) & mask;
    const auto low = static_cast<uint32_t>(ConvertOne(i->x, w.Row<uint32_t>(i->b)[l])) & mask;
    const uint32_t upper = bits < 16 ? w.Row<uint32_t>(i->c)[l] << 2 * bits : 0;
    w.Row<uint32_t>(i->d)[l] = upper | high << bits | low;
  }
  return i + 1;
}

template <typename I, typename F>
I Clip(F v) {
  constexpr F kTop = static_cast<F>(std::numeric_limits<I>::max() / 2 + 1) * 2;
  if constexpr (std::is_signed_v<I>) {
    const F in = v < -kTop ? -kTop : v;
    const bool over = v >= kTop;
    return v != v ? I{0} : over ? std::numeric_limits<I>::max() : static_cast<I>(over || in != in ? F{0} : in);
  } else {
    const bool over = v >= kTop;
    return over ? std::numeric_limits<I>::max() : v > 0 ? static_cast<I>(v) : I{0};
  }
}

template <typename D, typename S>
Handler Widen(Type from) {
  switch (from) {
    case Type::kU8:
    case Type::kB8:
      return Map<[](S a) { return static_cast<D>(static_cast<uint8_t>(a)); }, D, S>;
    case Type::kS8:
      return Map<[](S a) { return static_cast<D>(static_cast<int8_t>(a)); }, D, S>;
    case Type::kU16:
    case Type::kB16:
      return Map<[](S a) { return static_cast<D>(static_cast<uint16_t>(a)); }, D, S>;
    case Type::kS16:
      return Map<[](S a) { return static_cast<D>(static_cast<int16_t>(a)); }, D, S>;
    case Type::kS32:
      return Map<[](S a) { return static_cast<D>(static_cast<int32_t>(a)); }, D, S>;
    default:
      return Map<[](S a) { return static_cast<D>(a); }, D, S>;
  }
}

Handler Fast(const Spec& s) {
  using enum Type;
  const Type to = s.type, from = s.source;
  const bool rn = s.round == Round::kNearest || s.round == Round::kNone;
  if (s.sat || s.ftz || s.relu) return nullptr;
  if (ptx::IsInteger(to) && ptx::IsInteger(from)) {
    const uint32_t size = ptx::SizeOf(to), have = ptx::SizeOf(from);
    if (size == 8) return have == 8 ? Widen<uint64_t, uint64_t>(from) : Widen<uint64_t, uint32_t>(from);
    if (size == 4) return have == 8 ? Widen<uint32_t, uint64_t>(from) : Widen<uint32_t, uint32_t>(from);
    return nullptr;
  }
  if (to == kF32 && from == kS32 && rn) return Map<[](int32_t a) { return static_cast<float>(a); }, float, int32_t>;
  if (to == kF32 && from == kU32 && rn) return Map<[](uint32_t a) { return static_cast<float>(a); }, float, uint32_t>;
  if (to == kF64 && from == kS32) return Map<[](int32_t a) { return static_cast<double>(a); }, double, int32_t>;
  if (to == kF64 && from == kU32) return Map<[](uint32_t a) { return static_cast<double>(a); }, double, uint32_t>;
  if (to == kF64 && from == kF32) return Map<[](float a) { return static_cast<double>(a); }, double, float>;
  if (to == kF32 && from == kF64 && rn) return Map<[](double a) { return static_cast<float>(a); }, float, double>;
  if (to == kF32 && from == kF16) return Map<Half::ToFloat, float, uint16_t>;
  if (to == kF32 && from == kBf16) return Map<Brain::ToFloat, float, uint16_t>;
  if (to == kF16 && from == kF32 && rn) return Map<Half::FromFloat, uint16_t, float>;
  if (to == kBf16 && from == kF32 && rn) return Map<Brain::FromFloat, uint16_t, float>;
  if (s.round == Round::kIntZero && from == kF32) {
    if (to == kS32) return Map<Clip<int32_t, float>, int32_t, float>;
    if (to == kU32) return Map<Clip<uint32_t, float>, uint32_t, float>;
  }
  if (s.round == Round::kIntZero && from == kF64) {
    if (to == kS32) return Map<Clip<int32_t, double>, int32_t, double>;
    if (to == kU32) return Map<Clip<uint32_t, double>, uint32_t, double>;
  }
  return nullptr;
}

}  // namespace

Handler FindConvert(const Spec& s) {
  if (s.op == "cvt.pair") return ToPair;
  if (s.op == "cvt.pack") return ToPack;
  if (ptx::SizeOf(s.type) == 0 || ptx::SizeOf(s.source) == 0 || s.type == Type::kPred || s.source == Type::kPred)
    return nullptr;
  if (s.type == Type::kF16x2 || s.type == Type::kBf16x2 || s.source == Type::kF16x2 || s.source == Type::kBf16x2)
    return nullptr;
  if (ptx::SizeOf(s.type) > 8 || ptx::SizeOf(s.source) > 8) return nullptr;
  if (const Handler fast = Fast(s)) return fast;
  const bool wide = ptx::SizeOf(s.type) == 8;
  if (ptx::SizeOf(s.source) == 8) return wide ? General<uint64_t, uint64_t> : General<uint32_t, uint64_t>;
  return wide ? General<uint64_t, uint32_t> : General<uint32_t, uint32_t>;
}

}  // namespace mignificient::cpu::MIG_ISA
