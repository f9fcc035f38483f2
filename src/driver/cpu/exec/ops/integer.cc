// Integer arithmetic, one lane at a time written, vectors compiled.
#include <algorithm>
#include <limits>

#include "driver/cpu/exec/ops/lanes.h"

namespace mignificient::cpu::MIG_ISA {
namespace {

using ptx::Type;

// Arithmetic of T wraps: computed in W, unsigned and never promoted to int.
template <typename T>
using Wrap = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;
template <typename T>
using Double =
    std::conditional_t<sizeof(T) == 2, std::conditional_t<std::is_signed_v<T>, int32_t, uint32_t>,
                       std::conditional_t<sizeof(T) == 4, std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>,
                                          std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>>>;

template <typename T>
T Lo(T a, T b) {
  return static_cast<T>(static_cast<Wrap<T>>(a) * static_cast<Wrap<T>>(b));
}
template <typename T>
T Hi(T a, T b) {
  return static_cast<T>((static_cast<Double<T>>(a) * static_cast<Double<T>>(b)) >> (8 * sizeof(T)));
}
template <typename T>
T Plus(T a, T b) {
  return static_cast<T>(static_cast<Wrap<T>>(a) + static_cast<Wrap<T>>(b));
}
template <typename T>
T Minus(T a, T b) {
  return static_cast<T>(static_cast<Wrap<T>>(a) - static_cast<Wrap<T>>(b));
}

// PTX leaves division by zero open; hardware gives all ones, and a % 0 = a.
template <typename T>
T Div(T a, T b) {
  if (b == 0) return static_cast<T>(~T{0});
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return Minus<T>(0, a);
  }
  return static_cast<T>(a / b);
}
template <typename T>
T Rem(T a, T b) {
  if (b == 0) return a;
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return 0;
  }
  return static_cast<T>(a % b);
}

int32_t Clamp32(int64_t value) {
  return static_cast<int32_t>(
      std::clamp<int64_t>(value, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()));
}

template <typename T>
Handler Arithmetic(const Spec& s) {
  const std::string& op = s.op;
  if (s.sat) {
    if constexpr (std::is_same_v<T, int32_t>) {
      if (op == "add") return Map<[](T a, T b) { return Clamp32(int64_t{a} + b); }, T, T, T>;
      if (op == "sub") return Map<[](T a, T b) { return Clamp32(int64_t{a} - b); }, T, T, T>;
      if (op == "mad.hi") return Map<[](T a, T b, T c) { return Clamp32(int64_t{Hi(a, b)} + c); }, T, T, T, T>;
    }
    return nullptr;
  }
  if (op == "add") return Map<[](T a, T b) { return Plus(a, b); }, T, T, T>;
  if (op == "sub") return Map<[](T a, T b) { return Minus(a, b); }, T, T, T>;
  if (op == "mul.lo") return Map<[](T a, T b) { return Lo(a, b); }, T, T, T>;
  if (op == "mul.hi") return Map<[](T a, T b) { return Hi(a, b); }, T, T, T>;
  if (op == "mad.lo") return Map<[](T a, T b, T c) { return Plus(Lo(a, b), c); }, T, T, T, T>;
  if (op == "mad.hi") return Map<[](T a, T b, T c) { return Plus(Hi(a, b), c); }, T, T, T, T>;
  if (op == "div") return MapScalar<[](T a, T b) { return Div(a, b); }, T, T, T>;
  if (op == "rem") return MapScalar<[](T a, T b) { return Rem(a, b); }, T, T, T>;
  if (op == "min") return Map<[](T a, T b) { return a < b ? a : b; }, T, T, T>;
  if (op == "max") return Map<[](T a, T b) { return b < a ? a : b; }, T, T, T>;
  if (op == "sad") {
    return Map<[](T a, T b, T c) { return Plus(c, a < b ? Minus(b, a) : Minus(a, b)); }, T, T, T, T>;
  }
  if (op == "slct.s32") return Map<[](T a, T b, int32_t c) { return c >= 0 ? a : b; }, T, T, T, int32_t>;
  if (op == "slct.f32") return Map<[](T a, T b, float c) { return c >= 0 ? a : b; }, T, T, T, float>;
  if constexpr (std::is_signed_v<T>) {
    if (op == "neg") return Map<[](T a) { return Minus<T>(0, a); }, T, T>;
    if (op == "abs") return Map<[](T a) { return a < 0 ? Minus<T>(0, a) : a; }, T, T>;
  }
  if constexpr (sizeof(T) < 8) {
    using D = Double<T>;
    if (op == "mul.wide")
      return Map<[](T a, T b) { return static_cast<D>(static_cast<D>(a) * static_cast<D>(b)); }, D, T, T>;
    if (op == "mad.wide") {
      return Map<[](T a, T b, D c) { return Plus(static_cast<D>(static_cast<D>(a) * static_cast<D>(b)), c); }, D, T, T,
                 D>;
    }
  }
  if constexpr (sizeof(T) == 4) {
    // 24-bit operands, sign or zero extended.
    static constexpr auto k24 = [](T a) { return static_cast<T>(static_cast<T>(static_cast<uint32_t>(a) << 8) >> 8); };
    static constexpr auto kLo = [](T a, T b) { return static_cast<T>(int64_t{k24(a)} * k24(b)); };
    static constexpr auto kHi = [](T a, T b) { return static_cast<T>((int64_t{k24(a)} * k24(b)) >> 16); };
    if (op == "mul24.lo") return Map<kLo, T, T, T>;
    if (op == "mul24.hi") return Map<kHi, T, T, T>;
    if (op == "mad24.lo") return Map<[](T a, T b, T c) { return Plus(kLo(a, b), c); }, T, T, T, T>;
    if (op == "mad24.hi") return Map<[](T a, T b, T c) { return Plus(kHi(a, b), c); }, T, T, T, T>;
  }
  return nullptr;
}

// add.cc, addc, sub.cc, subc, mad.cc, madc: the frame's carry word is the condition code of each lane.
enum class Chain { kAdd, kSub, kMadLo, kMadHi };
template <typename U, Chain kind, bool in, bool out>
const Inst* Carry(Warp& w, const Inst* i, uint32_t m) {
  uint32_t& word = w.Word(kCarryWord);
  for (uint32_t rest = m; rest; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    U a = w.Row<U>(i->a)[l], b = w.Row<U>(i->b)[l], r;
    if constexpr (kind == Chain::kMadLo) a = Lo<U>(a, b), b = w.Row<U>(i->c)[l];
    if constexpr (kind == Chain::kMadHi) a = Hi<U>(a, b), b = w.Row<U>(i->c)[l];
    const U carry = in ? (word >> l) & 1 : 0;
    bool over;
    if constexpr (kind == Chain::kSub)
      over = __builtin_sub_overflow(a, b, &r) | __builtin_sub_overflow(r, carry, &r);
    else
      over = __builtin_add_overflow(a, b, &r) | __builtin_add_overflow(r, carry, &r);
    w.Row<U>(i->d)[l] = r;
    if constexpr (out) word = (word & ~(1u << l)) | static_cast<uint32_t>(over) << l;
  }
  return i + 1;
}

template <typename U, Chain kind>
Handler Carrying(bool in, bool out) {
  if (in) return out ? Carry<U, kind, true, true> : Carry<U, kind, true, false>;
  return out ? Carry<U, kind, false, true> : nullptr;
}

template <typename U>
Handler FindCarry(const Spec& s) {
  if (s.op == "add" || s.op == "addc") return Carrying<U, Chain::kAdd>(s.op == "addc", s.cc);
  if (s.op == "sub" || s.op == "subc") return Carrying<U, Chain::kSub>(s.op == "subc", s.cc);
  if (s.op == "mad.lo" || s.op == "madc.lo") return Carrying<U, Chain::kMadLo>(s.op == "madc.lo", s.cc);
  if (s.op == "mad.hi" || s.op == "madc.hi") return Carrying<U, Chain::kMadHi>(s.op == "madc.hi", s.cc);
  return nullptr;
}

template <typename A, typename B>
int32_t Dot4(uint32_t a, uint32_t b, int32_t c) {
  uint32_t sum = static_cast<uint32_t>(c);
  for (int k = 0; k < 4; ++k)
    sum += static_cast<uint32_t>(int32_t{static_cast<A>(a >> 8 * k)} * int32_t{static_cast<B>(b >> 8 * k)});
  return static_cast<int32_t>(sum);
}
template <typename A, typename B, int half>
int32_t Dot2(uint32_t a, uint32_t b, int32_t c) {
  using A16 = std::conditional_t<std::is_signed_v<A>, int16_t, uint16_t>;
  uint32_t sum = static_cast<uint32_t>(c);
  for (int k = 0; k < 2; ++k) {
    sum += static_cast<uint32_t>(int32_t{static_cast<A16>(a >> 16 * k)} *
                                 int32_t{static_cast<B>(b >> (8 * k + 16 * half))});
  }
  return static_cast<int32_t>(sum);
}

template <typename A, typename B>
Handler FindDot(const Spec& s) {
  using U = uint32_t;
  if (s.op == "dp4a") return Map<Dot4<A, B>, int32_t, U, U, int32_t>;
  if (s.op == "dp2a.lo") return Map<Dot2<A, B, 0>, int32_t, U, U, int32_t>;
  return Map<Dot2<A, B, 1>, int32_t, U, U, int32_t>;
}

}  // namespace

Handler FindInteger(const Spec& s) {
  if (s.op.starts_with("dp")) {
    const bool sa = s.type == Type::kS32, sb = s.source == Type::kS32;
    if (sa) return sb ? FindDot<int8_t, int8_t>(s) : FindDot<int8_t, uint8_t>(s);
    return sb ? FindDot<uint8_t, int8_t>(s) : FindDot<uint8_t, uint8_t>(s);
  }
  if (s.cc || s.op == "addc" || s.op == "subc" || s.op.starts_with("madc")) {
    return ptx::SizeOf(s.type) == 8 ? FindCarry<uint64_t>(s) : FindCarry<uint32_t>(s);
  }
  if (const Handler bits = FindWideInteger(s)) return bits;
  const bool slct = s.op.starts_with("slct");  // the type may be untyped bits or a float
  switch (s.type) {
    case Type::kU16:
      return Arithmetic<uint16_t>(s);
    case Type::kS16:
      return Arithmetic<int16_t>(s);
    case Type::kU32:
      return Arithmetic<uint32_t>(s);
    case Type::kS32:
      return Arithmetic<int32_t>(s);
    case Type::kU64:
      return Arithmetic<uint64_t>(s);
    case Type::kS64:
      return Arithmetic<int64_t>(s);
    case Type::kB16:
      return slct ? Arithmetic<uint16_t>(s) : nullptr;
    case Type::kB32:
    case Type::kF32:
      return slct ? Arithmetic<uint32_t>(s) : nullptr;
    case Type::kB64:
    case Type::kF64:
      return slct ? Arithmetic<uint64_t>(s) : nullptr;
    default:
      return nullptr;
  }
}

}  // namespace mignificient::cpu::MIG_ISA
