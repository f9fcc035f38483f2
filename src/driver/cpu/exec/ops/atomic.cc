// atom and red. Each lane in turn, each truly atomic across the blocks of every worker.
#include "driver/cpu/exec/ops/half.h"
#include "driver/cpu/exec/ops/resolve.h"

namespace mignificient::cpu::MIG_ISA {
namespace {

using ptx::Type;

// The old value; F gives the new one from it. U has the size of the memory touched.
template <typename U, typename F>
U Update(uint64_t at, F f) {
  auto* p = reinterpret_cast<U*>(at);
  U old = __atomic_load_n(p, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(p, &old, f(old), true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
  }
  return old;
}

template <Where where, typename U, auto F>
const Inst* Apply(Warp& w, const Inst* i, uint32_t m) {
  Pointers p;
  if (!Resolve<where>(w, i, m, sizeof(U), sizeof(U), true, p)) return nullptr;
  for (uint32_t rest = m; rest; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    const U b = static_cast<U>(w.Row<Slot<U>>(i->b)[l]);
    const U c = static_cast<U>(w.Row<Slot<U>>(i->c)[l]);
    const U old = F(p.at[l], b, c);
    if (i->d != 0) w.Row<Slot<U>>(i->d)[l] = old;
  }
  return i + 1;
}

template <typename T, typename U>
constexpr auto kAddFloat = [](uint64_t at, U b, U) {
  return Update<U>(at, [&](U old) { return std::bit_cast<U>(std::bit_cast<T>(old) + std::bit_cast<T>(b)); });
};
template <typename F>
uint16_t Add16(uint16_t a, uint16_t b) {
  return F::FromFloat(F::ToFloat(a) + F::ToFloat(b));
}
template <typename F>
constexpr auto kAdd16 = [](uint64_t at, uint16_t b, uint16_t) {
  return Update<uint16_t>(at, [&](uint16_t old) { return Add16<F>(old, b); });
};
template <typename F>
constexpr auto kAddPair = [](uint64_t at, uint32_t b, uint32_t) {
  return Update<uint32_t>(at, [&](uint32_t old) {
    return uint32_t{Add16<F>(static_cast<uint16_t>(old), static_cast<uint16_t>(b))} |
           uint32_t{Add16<F>(static_cast<uint16_t>(old >> 16), static_cast<uint16_t>(b >> 16))} << 16;
  });
};

template <Where where, typename U, typename S>
Handler Integer(const std::string& op, bool is_signed) {
  if (op == "add")
    return Apply<where, U,
                 [](uint64_t at, U b, U) { return __atomic_fetch_add(reinterpret_cast<U*>(at), b, __ATOMIC_SEQ_CST); }>;
  if (op == "and")
    return Apply<where, U,
                 [](uint64_t at, U b, U) { return __atomic_fetch_and(reinterpret_cast<U*>(at), b, __ATOMIC_SEQ_CST); }>;
  if (op == "or")
    return Apply<where, U,
                 [](uint64_t at, U b, U) { return __atomic_fetch_or(reinterpret_cast<U*>(at), b, __ATOMIC_SEQ_CST); }>;
  if (op == "xor")
    return Apply<where, U,
                 [](uint64_t at, U b, U) { return __atomic_fetch_xor(reinterpret_cast<U*>(at), b, __ATOMIC_SEQ_CST); }>;
  if (op == "inc")
    return Apply<where, U, [](uint64_t at, U b, U) {
      return Update<U>(at, [&](U o) { return o >= b ? U{0} : static_cast<U>(o + 1); });
    }>;
  if (op == "dec")
    return Apply<where, U, [](uint64_t at, U b, U) {
      return Update<U>(at, [&](U o) { return o == 0 || o > b ? b : static_cast<U>(o - 1); });
    }>;
  if (op == "min" && is_signed)
    return Apply<where, U, [](uint64_t at, U b, U) {
      return Update<U>(at, [&](U o) { return static_cast<S>(o) < static_cast<S>(b) ? o : b; });
    }>;
  if (op == "max" && is_signed)
    return Apply<where, U, [](uint64_t at, U b, U) {
      return Update<U>(at, [&](U o) { return static_cast<S>(o) > static_cast<S>(b) ? o : b; });
    }>;
  if (op == "min")
    return Apply<where, U, [](uint64_t at, U b, U) { return Update<U>(at, [&](U o) { return o < b ? o : b; }); }>;
  if (op == "max")
    return Apply<where, U, [](uint64_t at, U b, U) { return Update<U>(at, [&](U o) { return o > b ? o : b; }); }>;
  return nullptr;
}

template <Where where, typename U>
Handler Exchange(const std::string& op) {
  if (op == "exch")
    return Apply<where, U, [](uint64_t at, U b, U) {
      return __atomic_exchange_n(reinterpret_cast<U*>(at), b, __ATOMIC_SEQ_CST);
    }>;
  if (op != "cas") return nullptr;
  return Apply<where, U, [](uint64_t at, U b, U c) {
    __atomic_compare_exchange_n(reinterpret_cast<U*>(at), &b, c, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return b;
  }>;
}

template <Where where>
Handler Of(const Spec& s, const std::string& op) {
  if (op == "exch" || op == "cas") {
    switch (ptx::SizeOf(s.type)) {
      case 2:
        return Exchange<where, uint16_t>(op);
      case 4:
        return Exchange<where, uint32_t>(op);
      case 8:
        return Exchange<where, uint64_t>(op);
      default:
        return nullptr;
    }
  }
  switch (s.type) {
    case Type::kF32:
      return op == "add" ? Apply<where, uint32_t, kAddFloat<float, uint32_t>> : nullptr;
    case Type::kF64:
      return op == "add" ? Apply<where, uint64_t, kAddFloat<double, uint64_t>> : nullptr;
    case Type::kF16:
      return op == "add" ? Apply<where, uint16_t, kAdd16<Half>> : nullptr;
    case Type::kBf16:
      return op == "add" ? Apply<where, uint16_t, kAdd16<Brain>> : nullptr;
    case Type::kF16x2:
      return op == "add" ? Apply<where, uint32_t, kAddPair<Half>> : nullptr;
    case Type::kBf16x2:
      return op == "add" ? Apply<where, uint32_t, kAddPair<Brain>> : nullptr;
    case Type::kB32:
    case Type::kU32:
    case Type::kS32:
      return Integer<where, uint32_t, int32_t>(op, s.type == Type::kS32);
    case Type::kB64:
    case Type::kU64:
    case Type::kS64:
      return Integer<where, uint64_t, int64_t>(op, s.type == Type::kS64);
    default:
      return nullptr;
  }
}

}  // namespace

Handler FindAtomic(const Spec& s) {
  if (s.rest.at(0) == "global") return Of<Where::kGlobal>(s, s.op);
  if (s.rest.at(0) == "shared") return Of<Where::kShared>(s, s.op);
  if (s.rest.at(0) == "generic") return Of<Where::kGeneric>(s, s.op);
  return nullptr;
}

}  // namespace mignificient::cpu::MIG_ISA
