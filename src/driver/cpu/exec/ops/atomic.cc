// atom and red. Each lane in turn, each truly atomic across the blocks of every worker where those can see it.
#include "driver/cpu/exec/ops/half.h"
#include "driver/cpu/exec/ops/resolve.h"

namespace mignificient::cpu::MIG_ISA {
namespace {

using ptx::Type;

// The old value; F gives the new one from it. U has the size of the memory touched. `alone`: nobody else can touch it,
// as with shared memory, whose block one worker runs.
template <bool alone, typename U, typename F>
U Update(uint64_t at, F f) {
  auto* p = reinterpret_cast<U*>(at);
  U old = __atomic_load_n(p, __ATOMIC_RELAXED);
  if constexpr (alone) {
    __atomic_store_n(p, f(old), __ATOMIC_RELAXED);
    return old;
  }
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

// Integers added by lanes to one place: a single addition to memory, and each lane is told what it would have found.
template <Where where, typename U>
const Inst* Add(Warp& w, const Inst* i, uint32_t m) {
  Pointers p;
  if (!Resolve<where>(w, i, m, sizeof(U), sizeof(U), true, p)) return nullptr;
  const U* b = w.Row<U>(i->b);
  U* d = i->d != 0 ? w.Row<U>(i->d) : nullptr;
  uint64_t differ = 0;  // lanes outside the mask repeat an active one
  for (int l = 0; l < 32; ++l) differ |= p.at[l] ^ p.at[0];
  const auto add = [](uint64_t at, U value) {
    if constexpr (IsShared(where)) return Update<true, U>(at, [=](U old) { return static_cast<U>(old + value); });
    return __atomic_fetch_add(reinterpret_cast<U*>(at), value, __ATOMIC_SEQ_CST);
  };
  if (differ != 0) {
    for (uint32_t rest = m; rest; rest &= rest - 1) {
      const int l = std::countr_zero(rest);
      const U old = add(p.at[l], b[l]);
      if (d != nullptr) d[l] = old;
    }
    return i + 1;
  }
  U sum = 0, before[32];
  for (uint32_t rest = m; rest; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    before[l] = sum;
    sum += b[l];
  }
  const U old = add(p.at[0], sum);
  for (uint32_t rest = d != nullptr ? m : 0; rest; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    d[l] = old + before[l];
  }
  return i + 1;
}

template <bool alone, typename T, typename U>
constexpr auto kAddFloat = [](uint64_t at, U b, U) {
  return Update<alone, U>(at, [&](U old) { return std::bit_cast<U>(std::bit_cast<T>(old) + std::bit_cast<T>(b)); });
};
template <typename F>
uint16_t Add16(uint16_t a, uint16_t b) {
  return F::FromFloat(F::ToFloat(a) + F::ToFloat(b));
}
template <bool alone, typename F>
constexpr auto kAdd16 = [](uint64_t at, uint16_t b, uint16_t) {
  return Update<alone, uint16_t>(at, [&](uint16_t old) { return Add16<F>(old, b); });
};
template <bool alone, typename F>
constexpr auto kAddPair = [](uint64_t at, uint32_t b, uint32_t) {
  return Update<alone, uint32_t>(at, [&](uint32_t old) {
    return uint32_t{Add16<F>(static_cast<uint16_t>(old), static_cast<uint16_t>(b))} |
           uint32_t{Add16<F>(static_cast<uint16_t>(old >> 16), static_cast<uint16_t>(b >> 16))} << 16;
  });
};

template <Where where, typename U, typename S>
Handler Integer(const std::string& op, bool is_signed) {
  static constexpr bool alone = IsShared(where);
  if (op == "add") return Add<where, U>;
  if (op == "and")
    return Apply<where, U, [](uint64_t at, U b, U) { return Update<alone, U>(at, [=](U o) { return o & b; }); }>;
  if (op == "or")
    return Apply<where, U, [](uint64_t at, U b, U) { return Update<alone, U>(at, [=](U o) { return o | b; }); }>;
  if (op == "xor")
    return Apply<where, U, [](uint64_t at, U b, U) { return Update<alone, U>(at, [=](U o) { return o ^ b; }); }>;
  if (op == "inc")
    return Apply<where, U, [](uint64_t at, U b, U) {
      return Update<alone, U>(at, [=](U o) { return o >= b ? U{0} : static_cast<U>(o + 1); });
    }>;
  if (op == "dec")
    return Apply<where, U, [](uint64_t at, U b, U) {
      return Update<alone, U>(at, [=](U o) { return o == 0 || o > b ? b : static_cast<U>(o - 1); });
    }>;
  if (op == "min" && is_signed)
    return Apply<where, U, [](uint64_t at, U b, U) {
      return Update<alone, U>(at, [=](U o) { return static_cast<S>(o) < static_cast<S>(b) ? o : b; });
    }>;
  if (op == "max" && is_signed)
    return Apply<where, U, [](uint64_t at, U b, U) {
      return Update<alone, U>(at, [=](U o) { return static_cast<S>(o) > static_cast<S>(b) ? o : b; });
    }>;
  if (op == "min")
    return Apply<where, U,
                 [](uint64_t at, U b, U) { return Update<alone, U>(at, [=](U o) { return o < b ? o : b; }); }>;
  if (op == "max")
    return Apply<where, U,
                 [](uint64_t at, U b, U) { return Update<alone, U>(at, [=](U o) { return o > b ? o : b; }); }>;
  return nullptr;
}

template <Where where, typename U>
Handler Exchange(const std::string& op) {
  static constexpr bool alone = IsShared(where);
  if (op == "exch")
    return Apply<where, U, [](uint64_t at, U b, U) {
      if constexpr (alone) return Update<alone, U>(at, [=](U) { return b; });
      return __atomic_exchange_n(reinterpret_cast<U*>(at), b, __ATOMIC_SEQ_CST);
    }>;
  if (op != "cas") return nullptr;
  return Apply<where, U, [](uint64_t at, U b, U c) {
    if constexpr (alone) return Update<alone, U>(at, [=](U o) { return o == b ? c : o; });
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
      return op == "add" ? Apply<where, uint32_t, kAddFloat<IsShared(where), float, uint32_t>> : nullptr;
    case Type::kF64:
      return op == "add" ? Apply<where, uint64_t, kAddFloat<IsShared(where), double, uint64_t>> : nullptr;
    case Type::kF16:
      return op == "add" ? Apply<where, uint16_t, kAdd16<IsShared(where), Half>> : nullptr;
    case Type::kBf16:
      return op == "add" ? Apply<where, uint16_t, kAdd16<IsShared(where), Brain>> : nullptr;
    case Type::kF16x2:
      return op == "add" ? Apply<where, uint32_t, kAddPair<IsShared(where), Half>> : nullptr;
    case Type::kBf16x2:
      return op == "add" ? Apply<where, uint32_t, kAddPair<IsShared(where), Brain>> : nullptr;
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
  if (s.rest.at(0) == "shared32") return Of<Where::kShared32>(s, s.op);
  if (s.rest.at(0) == "generic") return Of<Where::kGeneric>(s, s.op);
  return nullptr;
}

}  // namespace mignificient::cpu::MIG_ISA
