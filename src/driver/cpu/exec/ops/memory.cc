// Loads and stores. x: bit 0 sign extend, bit 1 the register is wide, bits 8.. elements of a vector
// (its rows are in extra), bit 2 acquire or release.
#include <atomic>

#include "driver/cpu/exec/ops/resolve.h"

namespace mignificient::cpu::MIG_ISA {
namespace {

template <typename U>
[[gnu::always_inline]] inline U Peek(uint64_t at) {
  // Relaxed: other workers may write the same place, as threads of a GPU may.
  return __atomic_load_n(reinterpret_cast<const U*>(at), __ATOMIC_RELAXED);
}

template <typename U>
uint64_t Extend(U value, bool is_signed) {
  return is_signed ? static_cast<uint64_t>(static_cast<int64_t>(static_cast<std::make_signed_t<U>>(value))) : value;
}

template <Where where, typename U>
const Inst* Load(Warp& w, const Inst* i, uint32_t m) {
  Pointers p;
  if (!Resolve<where>(w, i, m, sizeof(U), sizeof(U), false, p)) return nullptr;
  if constexpr (sizeof(U) >= 4) {
    U* d = w.Row<U>(i->d);
    if (m == kAllLanes) {
      uint64_t contiguous = 0, same = 0;
      for (int l = 0; l < 32; ++l) {
        contiguous |= p.at[l] ^ (p.at[0] + sizeof(U) * static_cast<uint32_t>(l));
        same |= p.at[l] ^ p.at[0];
      }
      if (contiguous == 0) {
        std::memcpy(d, reinterpret_cast<const void*>(p.at[0]), 32 * sizeof(U));
      } else if (same == 0) {
        const U v = Peek<U>(p.at[0]);
        for (int l = 0; l < 32; ++l) d[l] = v;
      } else {
        for (int l = 0; l < 32; ++l) d[l] = Peek<U>(p.at[l]);
      }
    } else {
      for (uint32_t rest = m; rest; rest &= rest - 1) {
        const int l = std::countr_zero(rest);
        d[l] = Peek<U>(p.at[l]);
      }
    }
  } else {
    for (uint32_t rest = m; rest; rest &= rest - 1) {
      const int l = std::countr_zero(rest);
      const uint64_t v = Extend<U>(Peek<U>(p.at[l]), i->x & 1);
      if (i->x & 2)
        w.Row<uint64_t>(i->d)[l] = v;
      else
        w.Row<uint32_t>(i->d)[l] = static_cast<uint32_t>(v);
    }
  }
  if (i->x & 4) std::atomic_thread_fence(std::memory_order_acquire);
  return i + 1;
}

template <Where where, typename U>
const Inst* LoadVector(Warp& w, const Inst* i, uint32_t m) {
  const uint32_t count = i->x >> 8;
  Pointers p;
  if (!Resolve<where>(w, i, m, count * sizeof(U), count * sizeof(U), false, p)) return nullptr;
  for (uint32_t k = 0; k < count; ++k) {
    const uint32_t row = i->extra->rows[k];
    if (row == 0) continue;
    const bool wide = i->extra->wide[k];
    for (uint32_t rest = m; rest; rest &= rest - 1) {
      const int l = std::countr_zero(rest);
      const uint64_t v = Extend<U>(Peek<U>(p.at[l] + k * sizeof(U)), i->x & 1);
      if (wide)
        w.Row<uint64_t>(row)[l] = v;
      else
        w.Row<uint32_t>(row)[l] = static_cast<uint32_t>(v);
    }
  }
  if (i->x & 4) std::atomic_thread_fence(std::memory_order_acquire);
  return i + 1;
}

template <Where where, typename U>
const Inst* Store(Warp& w, const Inst* i, uint32_t m) {
  if (i->x & 4) std::atomic_thread_fence(std::memory_order_release);
  Pointers p;
  if (!Resolve<where>(w, i, m, sizeof(U), sizeof(U), true, p)) return nullptr;
  const Slot<U>* b = w.Row<Slot<U>>(i->b);
  if constexpr (sizeof(U) >= 4) {
    if (m == kAllLanes) {
      uint64_t contiguous = 0;
      for (int l = 0; l < 32; ++l) contiguous |= p.at[l] ^ (p.at[0] + sizeof(U) * static_cast<uint32_t>(l));
      if (contiguous == 0) {
        std::memcpy(reinterpret_cast<void*>(p.at[0]), b, 32 * sizeof(U));
        return i + 1;
      }
    }
  }
  for (uint32_t rest = m; rest; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    __atomic_store_n(reinterpret_cast<U*>(p.at[l]), static_cast<U>(b[l]), __ATOMIC_RELAXED);
  }
  return i + 1;
}

template <Where where, typename U>
const Inst* StoreVector(Warp& w, const Inst* i, uint32_t m) {
  if (i->x & 4) std::atomic_thread_fence(std::memory_order_release);
  const uint32_t count = i->x >> 8;
  Pointers p;
  if (!Resolve<where>(w, i, m, count * sizeof(U), count * sizeof(U), true, p)) return nullptr;
  for (uint32_t rest = m; rest; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    for (uint32_t k = 0; k < count; ++k) {
      const uint32_t row = i->extra->rows[k];
      const uint64_t v = i->extra->wide[k] ? w.Row<uint64_t>(row)[l] : w.Row<uint32_t>(row)[l];
      __atomic_store_n(reinterpret_cast<U*>(p.at[l] + k * sizeof(U)), static_cast<U>(v), __ATOMIC_RELAXED);
    }
  }
  return i + 1;
}

// cp.async: a is the shared destination, b the source row; x bytes, of which y come from the source
// (the rest is zero) or, with y == ~0, as many as row c says.
const Inst* CopyAsync(Warp& w, const Inst* i, uint32_t m) {
  Pointers to, from;
  if (!Resolve<Where::kShared>(w, i, m, i->x, i->x, true, to)) return nullptr;
  Inst source = *i;
  source.a = i->b;
  source.imm = i->d2;
  if (!Resolve<Where::kGlobal>(w, &source, m, i->x, i->x, false, from)) return nullptr;
  for (uint32_t rest = m; rest; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    const uint32_t bytes = std::min(i->x, i->y == ~0u ? w.Row<uint32_t>(i->c)[l] : i->y);
    std::memset(reinterpret_cast<void*>(to.at[l]), 0, i->x);
    std::memcpy(reinterpret_cast<void*>(to.at[l]), reinterpret_cast<const void*>(from.at[l]), bytes);
  }
  return i + 1;
}

template <Where where, typename U>
Handler Of(const Spec& s) {
  if (s.op == "ld") return Load<where, U>;
  if (s.op == "ldv") return LoadVector<where, U>;
  if (s.op == "st") return Store<where, U>;
  return StoreVector<where, U>;
}

template <Where where>
Handler OfSize(const Spec& s) {
  switch (ptx::SizeOf(s.type)) {
    case 1:
      return Of<where, uint8_t>(s);
    case 2:
      return Of<where, uint16_t>(s);
    case 4:
      return Of<where, uint32_t>(s);
    case 8:
      return Of<where, uint64_t>(s);
    default:
      return nullptr;
  }
}

}  // namespace

Handler FindMemory(const Spec& s) {
  if (s.op == "cp.async") return CopyAsync;
  const std::string& where = s.rest.at(0);
  if (where == "global") return OfSize<Where::kGlobal>(s);
  if (where == "shared") return OfSize<Where::kShared>(s);
  if (where == "local") return OfSize<Where::kLocal>(s);
  if (where == "param") return OfSize<Where::kParam>(s);
  if (where == "frame") return OfSize<Where::kFrame>(s);
  return OfSize<Where::kGeneric>(s);
}

}  // namespace mignificient::cpu::MIG_ISA
