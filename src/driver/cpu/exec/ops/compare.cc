// Comparisons into predicates and values, selection, and logic on predicates.
#include "driver/cpu/exec/ops/half.h"
#include "driver/cpu/exec/ops/lanes.h"

namespace mignificient::cpu::MIG_ISA {
namespace {

using ptx::Type;

// `x`: 0 none, 1 .and, 2 .or, 3 .xor with predicate `e` (flipped by `y`); results in words d and d2.
[[gnu::always_inline]] inline const Inst* Combine(Warp& w, const Inst* i, uint32_t m, uint32_t bits) {
  const uint32_t c = w.Word(i->e) ^ i->y;
  uint32_t p = bits, q = ~bits;
  switch (i->x) {
    case 1:
      p &= c, q &= c;
      break;
    case 2:
      p |= c, q |= c;
      break;
    case 3:
      p ^= c, q ^= c;
      break;
    default:
      break;
  }
  SetBits(w.Word(i->d2), q, m);
  SetBits(w.Word(i->d), p, m);
  return i + 1;
}

template <auto F, typename T>
const Inst* SetPredicate(Warp& w, const Inst* i, uint32_t m) {
  return Combine(w, i, m, Bits<F, T>(w.Row<Slot<T>>(i->a), w.Row<Slot<T>>(i->b)));
}

// set: all ones, or 1.0 where imm says what true is.
template <auto F, typename T>
const Inst* SetValue(Warp& w, const Inst* i, uint32_t m) {
  uint32_t bits = Bits<F, T>(w.Row<Slot<T>>(i->a), w.Row<Slot<T>>(i->b));
  const uint32_t c = w.Word(i->e) ^ i->y;
  bits = i->x == 1 ? bits & c : i->x == 2 ? bits | c : i->x == 3 ? bits ^ c : bits;
  uint32_t* d = w.Row<uint32_t>(i->d);
  const uint32_t yes = static_cast<uint32_t>(i->imm);
  for (int l = 0; l < 32; ++l) {
    const uint32_t v = (bits >> l) & 1 ? yes : 0;
    d[l] = (m >> l) & 1 ? v : d[l];
  }
  return i + 1;
}

template <auto F, typename T>
Handler Either(bool set) {
  return set ? SetValue<F, T> : SetPredicate<F, T>;
}

template <typename T>
Handler Ordered(std::string_view c, bool set) {
  if (c == "eq") return Either<[](T a, T b) { return a == b; }, T>(set);
  if (c == "ne") return Either<[](T a, T b) { return a != b; }, T>(set);
  if (c == "lt" || c == "lo") return Either<[](T a, T b) { return a < b; }, T>(set);
  if (c == "le" || c == "ls") return Either<[](T a, T b) { return a <= b; }, T>(set);
  if (c == "gt" || c == "hi") return Either<[](T a, T b) { return b < a; }, T>(set);
  if (c == "ge" || c == "hs") return Either<[](T a, T b) { return a >= b; }, T>(set);
  return nullptr;
}

// Of a float format: V is how it lies in a register, Read makes it a number. An unordered comparison
// (equ, ltu ...) is true when an operand is NaN.
template <typename V, auto Read>
Handler Floating(std::string_view c, bool set) {
  if (c == "eq") return Either<[](V a, V b) { return Read(a) == Read(b); }, V>(set);
  if (c == "ne") return Either<[](V a, V b) { return Read(a) < Read(b) || Read(b) < Read(a); }, V>(set);
  if (c == "lt") return Either<[](V a, V b) { return Read(a) < Read(b); }, V>(set);
  if (c == "le") return Either<[](V a, V b) { return Read(a) <= Read(b); }, V>(set);
  if (c == "gt") return Either<[](V a, V b) { return Read(b) < Read(a); }, V>(set);
  if (c == "ge") return Either<[](V a, V b) { return Read(a) >= Read(b); }, V>(set);
  if (c == "equ") return Either<[](V a, V b) { return !(Read(a) < Read(b) || Read(a) > Read(b)); }, V>(set);
  if (c == "neu") return Either<[](V a, V b) { return Read(a) != Read(b); }, V>(set);
  if (c == "ltu") return Either<[](V a, V b) { return !(Read(a) >= Read(b)); }, V>(set);
  if (c == "leu") return Either<[](V a, V b) { return !(Read(a) > Read(b)); }, V>(set);
  if (c == "gtu") return Either<[](V a, V b) { return !(Read(a) <= Read(b)); }, V>(set);
  if (c == "geu") return Either<[](V a, V b) { return !(Read(a) < Read(b)); }, V>(set);
  if (c == "num") return Either<[](V a, V b) { return Read(a) == Read(a) && Read(b) == Read(b); }, V>(set);
  if (c == "nan") return Either<[](V a, V b) { return Read(a) != Read(a) || Read(b) != Read(b); }, V>(set);
  return nullptr;
}

float Flush(float a) {
  return std::abs(a) < 0x1p-126f ? std::copysign(0.0f, a) : a;
}

// One comparison of a packed pair's halves; y of the sub-instructions is set up by lowering, which
// unpacks. The value form writes 1.0 or all ones into each half.
Handler FindComparison(const Spec& s, std::string_view c, bool set) {
  switch (s.source) {
    case Type::kB16:
    case Type::kU16:
      return Ordered<uint16_t>(c, set);
    case Type::kS16:
      return Ordered<int16_t>(c, set);
    case Type::kB32:
    case Type::kU32:
      return Ordered<uint32_t>(c, set);
    case Type::kS32:
      return Ordered<int32_t>(c, set);
    case Type::kB64:
    case Type::kU64:
      return Ordered<uint64_t>(c, set);
    case Type::kS64:
      return Ordered<int64_t>(c, set);
    case Type::kF32:
      if (s.ftz) return Floating<float, Flush>(c, set);
      return Floating<float, [](float a) { return a; }>(c, set);
    case Type::kF64:
      return Floating<double, [](double a) { return a; }>(c, set);
    case Type::kF16:
      if (s.ftz) return Floating<uint16_t, [](uint16_t a) { return (a & 0x7c00) ? Half::ToFloat(a) : 0.0f; }>(c, set);
      return Floating<uint16_t, Half::ToFloat>(c, set);
    case Type::kBf16:
      return Floating<uint16_t, Brain::ToFloat>(c, set);
    default:
      return nullptr;
  }
}

// d = e ? a : b by predicate word e flipped by y.
template <typename S>
const Inst* SelectLanes(Warp& w, const Inst* i, uint32_t m) {
  const uint32_t p = w.Word(i->e) ^ i->y;
  const S* a = w.Row<S>(i->a);
  const S* b = w.Row<S>(i->b);
  S* d = w.Row<S>(i->d);
  if (m == kAllLanes) {
#pragma GCC ivdep
    for (int l = 0; l < 32; ++l) d[l] = (p >> l) & 1 ? a[l] : b[l];
  } else {
#pragma GCC ivdep
    for (int l = 0; l < 32; ++l) {
      const S v = (p >> l) & 1 ? a[l] : b[l];
      d[l] = (m >> l) & 1 ? v : d[l];
    }
  }
  return i + 1;
}

// Predicate words a (flipped by x) and b (flipped by y).
template <auto F>
const Inst* Logic(Warp& w, const Inst* i, uint32_t m) {
  SetBits(w.Word(i->d), F(w.Word(i->a) ^ i->x, w.Word(i->b) ^ i->y), m);
  return i + 1;
}

template <auto F, typename V>
const Inst* Test(Warp& w, const Inst* i, uint32_t m) {
  SetBits(w.Word(i->d), Bits<F, V>(w.Row<Slot<V>>(i->a), w.Row<Slot<V>>(i->a)), m);
  return i + 1;
}

template <typename V>
Handler FindTest(std::string_view op) {
  if (op == "testp.finite") return Test<[](V a, V) { return std::abs(a) <= std::numeric_limits<V>::max(); }, V>;
  if (op == "testp.infinite") return Test<[](V a, V) { return std::numeric_limits<V>::max() < std::abs(a); }, V>;
  if (op == "testp.number") return Test<[](V a, V) { return a == a; }, V>;
  if (op == "testp.notanumber") return Test<[](V a, V) { return a != a; }, V>;
  if (op == "testp.normal") {
    return Test<[](V a, V) {
      return std::abs(a) >= std::numeric_limits<V>::min() && std::abs(a) <= std::numeric_limits<V>::max();
    },
                V>;
  }
  if (op == "testp.subnormal")
    return Test<[](V a, V) { return a != 0 && std::abs(a) < std::numeric_limits<V>::min(); }, V>;
  return nullptr;
}

}  // namespace

Handler FindCompare(const Spec& s) {
  const std::string_view op = s.op;
  if (op.starts_with("setp.")) return FindComparison(s, op.substr(5), false);
  if (op.starts_with("set.")) return FindComparison(s, op.substr(4), true);
  if (op.starts_with("testp."))
    return s.type == Type::kF64 ? FindTest<double>(op) : s.type == Type::kF32 ? FindTest<float>(op) : nullptr;
  if (op == "selp") {
    const uint32_t size = ptx::SizeOf(s.type);
    if (s.type == Type::kPred || size < 2 || size > 8) return nullptr;
    return size == 8 ? SelectLanes<uint64_t> : SelectLanes<uint32_t>;
  }
  if (s.type != Type::kPred) return nullptr;
  if (op == "and") return Logic<[](uint32_t a, uint32_t b) { return a & b; }>;
  if (op == "or") return Logic<[](uint32_t a, uint32_t b) { return a | b; }>;
  if (op == "xor") return Logic<[](uint32_t a, uint32_t b) { return a ^ b; }>;
  if (op == "not") return Logic<[](uint32_t a, uint32_t) { return ~a; }>;
  if (op == "mov") return Logic<[](uint32_t a, uint32_t) { return a; }>;
  return nullptr;
}

}  // namespace mignificient::cpu::MIG_ISA
