// Logic, shifts and bit fields.
#include "driver/cpu/exec/ops/lanes.h"

namespace mignificient::cpu::MIG_ISA {
namespace {

using ptx::Type;

template <typename U>
constexpr uint32_t kBits = 8 * sizeof(U);

template <typename U>
U FieldMask(uint32_t length) {
  return length >= kBits<U> ? static_cast<U>(~U{0}) : static_cast<U>((U{1} << length) - 1);
}

template <typename U>
U ShiftRight(U a, uint32_t by) {
  return by < kBits<U> ? static_cast<U>(a >> by) : U{0};
}
template <typename U>
U ShiftLeft(U a, uint32_t by) {
  return by < kBits<U> ? static_cast<U>(a << by) : U{0};
}

// Bit field extract; T's sign says how the field is extended.
template <typename T>
T Extract(T a, uint32_t b, uint32_t c) {
  using U = std::make_unsigned_t<T>;
  const uint32_t position = b & 0xff, length = c & 0xff;
  const U field = ShiftRight<U>(static_cast<U>(a), position) & FieldMask<U>(length);
  if constexpr (std::is_signed_v<T>) {
    const uint32_t top = position + length - 1 < kBits<U> - 1 ? position + length - 1 : kBits<U> - 1;
    const bool sign = length != 0 && ((static_cast<U>(a) >> top) & 1);
    const uint32_t have = position >= kBits<U> ? 0 : (length < kBits<U> - position ? length : kBits<U> - position);
    return static_cast<T>(sign ? field | static_cast<U>(~FieldMask<U>(have)) : field);
  }
  return static_cast<T>(field);
}

template <typename U>
U Insert(U a, U b, uint32_t c, uint32_t d) {
  const uint32_t position = c & 0xff, length = d & 0xff;
  const U mask = ShiftLeft<U>(FieldMask<U>(length), position);
  return (b & ~mask) | (ShiftLeft<U>(a, position) & mask);
}

template <typename U>
U Reverse(U a) {
  U r = 0;
  for (uint32_t k = 0; k < kBits<U>; ++k) r |= static_cast<U>((a >> k) & 1) << (kBits<U> - 1 - k);
  return r;
}

// Position of the highest bit that differs from the sign; ~0 if none.
template <typename T, bool shift>
uint32_t FindTop(T a) {
  using U = std::make_unsigned_t<T>;
  U bits = static_cast<U>(a);
  if (std::is_signed_v<T> && a < 0) bits = static_cast<U>(~bits);
  if (bits == 0) return ~0u;
  const uint32_t top = kBits<U> - 1 - std::countl_zero(bits);
  return shift ? kBits<U> - 1 - top : top;
}

uint32_t FindNth(uint32_t mask, uint32_t base, int32_t offset) {
  base &= 31;
  if (offset == 0) return (mask >> base) & 1 ? base : ~0u;
  const int step = offset > 0 ? 1 : -1;
  int64_t left = offset > 0 ? offset : -int64_t{offset};
  for (int at = static_cast<int>(base); at >= 0 && at < 32; at += step) {
    if (((mask >> at) & 1) && --left == 0) return static_cast<uint32_t>(at);
  }
  return ~0u;
}

uint32_t Permute(uint32_t a, uint32_t b, uint32_t selector) {
  const uint64_t bytes = uint64_t{b} << 32 | a;
  uint32_t r = 0;
  for (int k = 0; k < 4; ++k) {
    const uint32_t pick = (selector >> 4 * k) & 15;
    uint32_t byte = static_cast<uint32_t>(bytes >> 8 * (pick & 7)) & 0xff;
    if (pick & 8) byte = byte & 0x80 ? 0xff : 0;
    r |= byte << 8 * k;
  }
  return r;
}

// The selector of a special prmt mode for the low bits of c.
uint32_t Select(int mode, uint32_t c) {
  static constexpr uint16_t kTables[6][4] = {
      {0x3210, 0x4321, 0x5432, 0x6543},  // f4e
      {0x5670, 0x6701, 0x7012, 0x0123},  // b4e
      {0x0000, 0x1111, 0x2222, 0x3333},  // rc8
      {0x3210, 0x3211, 0x3222, 0x3333},  // ecl
      {0x0000, 0x1110, 0x2210, 0x3210},  // ecr
      {0x1010, 0x3232, 0x1010, 0x3232},  // rc16
  };
  return kTables[mode][c & 3];
}
template <int mode>
uint32_t PermuteMode(uint32_t a, uint32_t b, uint32_t c) {
  return Permute(a, b, Select(mode, c));
}

template <bool left, bool wrap>
uint32_t Funnel(uint32_t a, uint32_t b, uint32_t c) {
  const uint32_t n = wrap ? c & 31 : (c < 32 ? c : 32);
  const uint64_t both = uint64_t{b} << 32 | a;
  return static_cast<uint32_t>(left ? (both << n) >> 32 : both >> n);
}

template <bool wrap>
uint32_t BitMask(uint32_t a, uint32_t b) {
  const uint32_t from = wrap ? a & 31 : a, length = wrap ? b & 31 : b;
  return ShiftLeft<uint32_t>(FieldMask<uint32_t>(length), from);
}

template <typename T, bool wrap>
T Extend(T a, uint32_t b) {
  const uint32_t n = wrap ? b & 31 : b;
  if (n == 0) return 0;
  if (n >= 32) return a;
  return static_cast<T>(static_cast<uint32_t>(a) << (32 - n)) >> (32 - n);
}

// Any function of three bits, by its truth table in imm. x: 0 none, 1 .and, 2 .or, 3 .xor with predicate e -> d2.
const Inst* Lop3(Warp& w, const Inst* i, uint32_t m) {
  const uint32_t* a = w.Row<uint32_t>(i->a);
  const uint32_t* b = w.Row<uint32_t>(i->b);
  const uint32_t* c = w.Row<uint32_t>(i->c);
  uint32_t r[32] = {};
  for (int k = 0; k < 8; ++k) {
    if (!((i->imm >> k) & 1)) continue;
    const uint32_t fa = k & 4 ? 0 : ~0u, fb = k & 2 ? 0 : ~0u, fc = k & 1 ? 0 : ~0u;
    for (int l = 0; l < 32; ++l) r[l] |= (a[l] ^ fa) & (b[l] ^ fb) & (c[l] ^ fc);
  }
  uint32_t* d = w.Row<uint32_t>(i->d);
  for (int l = 0; l < 32; ++l) d[l] = (m >> l) & 1 ? r[l] : d[l];
  if (i->x != 0) {
    uint32_t bits = 0;
    for (int l = 0; l < 32; ++l) bits |= static_cast<uint32_t>(r[l] != 0) << l;
    const uint32_t q = w.Word(i->e) ^ i->y;
    SetBits(w.Word(i->d2), i->x == 1 ? bits & q : i->x == 2 ? bits | q : bits ^ q, m);
  }
  return i + 1;
}

template <typename U>
Handler FindLogic(const Spec& s) {
  using S = std::make_signed_t<U>;
  const std::string& op = s.op;
  if (op == "and") return Map<[](U a, U b) { return static_cast<U>(a & b); }, U, U, U>;
  if (op == "or") return Map<[](U a, U b) { return static_cast<U>(a | b); }, U, U, U>;
  if (op == "xor") return Map<[](U a, U b) { return static_cast<U>(a ^ b); }, U, U, U>;
  if (op == "not") return Map<[](U a) { return static_cast<U>(~a); }, U, U>;
  if (op == "cnot") return Map<[](U a) { return static_cast<U>(a == 0); }, U, U>;
  if (op == "shl") return Map<[](U a, uint32_t b) { return ShiftLeft<U>(a, b); }, U, U, uint32_t>;
  if (op == "shr" && !ptx::IsSigned(s.type)) {
    return Map<[](U a, uint32_t b) { return ShiftRight<U>(a, b); }, U, U, uint32_t>;
  }
  if (op == "shr") {
    return Map<[](S a, uint32_t b) { return static_cast<S>(a >> (b < kBits<U> ? b : kBits<U> - 1)); }, S, S, uint32_t>;
  }
  return nullptr;
}

template <typename U>
Handler FindField(const Spec& s) {
  using S = std::make_signed_t<U>;
  using N = uint32_t;
  const std::string& op = s.op;
  if (op == "popc") return Map<[](U a) { return static_cast<N>(std::popcount(a)); }, N, U>;
  if (op == "clz") return Map<[](U a) { return static_cast<N>(std::countl_zero(a)); }, N, U>;
  if (op == "brev") return Map<[](U a) { return Reverse<U>(a); }, U, U>;
  if (op == "bfi") return Map<[](U a, U b, N c, N e) { return Insert<U>(a, b, c, e); }, U, U, U, N, N>;
  if (op == "bfe") {
    if (ptx::IsSigned(s.type)) return Map<Extract<S>, S, S, N, N>;
    return Map<Extract<U>, U, U, N, N>;
  }
  if (op == "bfind") {
    if (ptx::IsSigned(s.type)) return MapScalar<FindTop<S, false>, N, S>;
    return MapScalar<FindTop<U, false>, N, U>;
  }
  if (op == "bfind.shiftamt") {
    if (ptx::IsSigned(s.type)) return MapScalar<FindTop<S, true>, N, S>;
    return MapScalar<FindTop<U, true>, N, U>;
  }
  return nullptr;
}

Handler Find32(const Spec& s) {
  using N = uint32_t;
  const std::string& op = s.op;
  if (op == "lop3") return Lop3;
  if (op == "fns") return MapScalar<FindNth, N, N, N, int32_t>;
  if (op == "prmt") return Map<Permute, N, N, N, N>;
  if (op == "prmt.f4e") return Map<PermuteMode<0>, N, N, N, N>;
  if (op == "prmt.b4e") return Map<PermuteMode<1>, N, N, N, N>;
  if (op == "prmt.rc8") return Map<PermuteMode<2>, N, N, N, N>;
  if (op == "prmt.ecl") return Map<PermuteMode<3>, N, N, N, N>;
  if (op == "prmt.ecr") return Map<PermuteMode<4>, N, N, N, N>;
  if (op == "prmt.rc16") return Map<PermuteMode<5>, N, N, N, N>;
  if (op == "shf.l.clamp") return Map<Funnel<true, false>, N, N, N, N>;
  if (op == "shf.l.wrap") return Map<Funnel<true, true>, N, N, N, N>;
  if (op == "shf.r.clamp") return Map<Funnel<false, false>, N, N, N, N>;
  if (op == "shf.r.wrap") return Map<Funnel<false, true>, N, N, N, N>;
  if (op == "bmsk.clamp") return Map<BitMask<false>, N, N, N>;
  if (op == "bmsk.wrap") return Map<BitMask<true>, N, N, N>;
  const bool sign = ptx::IsSigned(s.type);
  if (op == "szext.clamp")
    return sign ? Handler(Map<Extend<int32_t, false>, int32_t, int32_t, N>) : Map<Extend<N, false>, N, N, N>;
  if (op == "szext.wrap")
    return sign ? Handler(Map<Extend<int32_t, true>, int32_t, int32_t, N>) : Map<Extend<N, true>, N, N, N>;
  return nullptr;
}

}  // namespace

Handler FindWideInteger(const Spec& s) {
  const uint32_t size = ptx::SizeOf(s.type);
  if (!ptx::IsInteger(s.type)) return nullptr;
  if (size == 2) return FindLogic<uint16_t>(s);
  if (size == 4) {
    if (const Handler found = FindLogic<uint32_t>(s)) return found;
    if (const Handler found = FindField<uint32_t>(s)) return found;
    return Find32(s);
  }
  if (size == 8) {
    if (const Handler found = FindLogic<uint64_t>(s)) return found;
    return FindField<uint64_t>(s);
  }
  return nullptr;
}

}  // namespace mignificient::cpu::MIG_ISA
