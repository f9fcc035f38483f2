// Loads and stores. x: bit 0 sign extend, bit 1 the register is wide, bits 8.. elements of a vector
// (its rows are in extra), bit 2 acquire or release.
#include <atomic>

#include "driver/cpu/exec/ops/resolve.h"
#include "driver/cpu/exec/ops/shape.h"

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

// Lanes `part` and the fifteen after it of the result of a load: value(lane), for the lanes counted from `part`.
template <typename U, typename Value>
[[gnu::always_inline]] inline void Put(Warp& w, const Inst* i, int part, Value value) {
  const auto put = [&]<typename D, typename V>(D* d, V) {
#pragma GCC ivdep
    for (int l = 0; l < kPart; ++l) d[l] = static_cast<D>(static_cast<V>(value(l)));
  };
  if constexpr (sizeof(U) == 8) {
    put(w.Row<U>(i->d) + part, U{});
  } else if (i->x & 2) {
    uint64_t* d = w.Row<uint64_t>(i->d) + part;
    i->x & 1 ? put(d, std::make_signed_t<U>{}) : put(d, U{});
  } else if (sizeof(U) == 4) {
    put(w.Row<uint32_t>(i->d) + part, U{});
  } else {
    uint32_t* d = w.Row<uint32_t>(i->d) + part;
    i->x & 1 ? put(d, std::make_signed_t<U>{}) : put(d, U{});
  }
}

// A half of a warp whose lanes read or write neighbours, or all the same.
struct Half {
  Shape shape;
  char* at;
};

// False where one of the halves is neither, or may not touch it all: then lane by lane.
template <Where where, uint32_t bytes>
[[gnu::always_inline]] inline bool Halves(Warp& w, const Inst* i, Half (&halves)[2]) {
  using A = AddressIn<where>;
  const A* a = w.Row<A>(i->a);
  const A offset = static_cast<A>(i->imm);
#pragma GCC unroll 2
  for (int half = 0; half < 2; ++half) {
    const A first = a[kPart * half] + offset;
    const Shape shape = ShapeOf<bytes>(a + kPart * half);
    if (shape == Shape::kOther || first % bytes != 0) return false;
    halves[half] = {shape, Together<where>(w, first, shape == Shape::kRun ? kPart * bytes : bytes)};
    if (halves[half].at == nullptr) return false;
  }
  return true;
}

constexpr bool HasHalves(Where where) {
  return where != Where::kFrame && where != Where::kLocal;
}

template <Where where, typename U>
[[gnu::always_inline]] inline bool LoadHalves(Warp& w, const Inst* i) {
  Half halves[2];
  if (!Halves<where, sizeof(U)>(w, i, halves)) return false;
#pragma GCC unroll 2
  for (int half = 0; half < 2; ++half) {
    const U* from = reinterpret_cast<const U*>(halves[half].at);
    if (halves[half].shape == Shape::kRun) {
      // A copy first: what is read and the row might be one memory, for all the compiler knows.
      U values[kPart];
      std::memcpy(values, from, sizeof values);
      Put<U>(w, i, kPart * half, [&values](int l) { return values[l]; });
    } else {
      Put<U>(w, i, kPart * half, [v = Peek<U>(reinterpret_cast<uint64_t>(from))](int) { return v; });
    }
  }
  return true;
}

// Apart from the ways above, so that those need no room for 32 pointers.
template <Where where, typename U>
[[gnu::noinline]] bool LoadLanes(Warp& w, const Inst* i, uint32_t m) {
  Pointers p;
  if (!Resolve<where>(w, i, m, sizeof(U), sizeof(U), false, p)) return false;
  if (m == kAllLanes) {
    for (int part = 0; part < 32; part += kPart)
      Put<U>(w, i, part, [at = p.at + part](int l) { return Peek<U>(at[l]); });
    return true;
  }
  for (uint32_t rest = m; rest; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    if constexpr (sizeof(U) == 8) {
      w.Row<U>(i->d)[l] = Peek<U>(p.at[l]);
    } else {
      const uint64_t v = Extend<U>(Peek<U>(p.at[l]), i->x & 1);
      if (i->x & 2)
        w.Row<uint64_t>(i->d)[l] = v;
      else
        w.Row<uint32_t>(i->d)[l] = static_cast<uint32_t>(v);
    }
  }
  return true;
}

template <Where where, typename U>
const Inst* Load(Warp& w, const Inst* i, uint32_t m) {
  bool done = false;
  if constexpr (HasHalves(where)) {
    if (m == kAllLanes) done = LoadHalves<where, U>(w, i);
  }
  if constexpr (where == Where::kShared32 && sizeof(U) >= 4) {
    if (m == kAllLanes && !done && (sizeof(U) == 8 || !(i->x & 2)))
      done = Gather<U>(w.Row<U>(i->d), w.block->shared, w.Row<uint32_t>(i->a), static_cast<uint32_t>(i->imm),
                       w.block->shared_bytes);
  }
  if (!done && !LoadLanes<where, U>(w, i, m)) return nullptr;
  if (i->x & 4) std::atomic_thread_fence(std::memory_order_acquire);
  return i + 1;
}

// Vectors of neighbours: lane l's element k is number count * l + k behind the first.
template <uint32_t count, typename U>
[[gnu::always_inline]] inline void Unzip(Warp& w, const Inst* i, const char* at, int part) {
  const U* from = reinterpret_cast<const U*>(at);
  for (uint32_t k = 0; k < count; ++k) {
    if (i->extra->rows[k] == 0) continue;
    U* d = w.Row<U>(i->extra->rows[k]) + part;
#pragma GCC ivdep
    for (uint32_t l = 0; l < kPart; ++l) d[l] = from[count * l + k];
  }
}

template <uint32_t count, Where where, typename U>
[[gnu::always_inline]] inline bool LoadVectorHalves(Warp& w, const Inst* i) {
  Half halves[2];
  if (!Halves<where, count * sizeof(U)>(w, i, halves)) return false;
  if (halves[0].shape != Shape::kRun || halves[1].shape != Shape::kRun) return false;
#pragma GCC unroll 2
  for (int half = 0; half < 2; ++half) Unzip<count, U>(w, i, halves[half].at, kPart * half);
  return true;
}

template <Where where, typename U>
const Inst* LoadVector(Warp& w, const Inst* i, uint32_t m) {
  const uint32_t count = i->x >> 8;
  bool done = false;
  if constexpr (HasHalves(where) && sizeof(U) >= 4) {
    if (m == kAllLanes && count == 2) done = LoadVectorHalves<2, where, U>(w, i);
    if (m == kAllLanes && count == 4) done = LoadVectorHalves<4, where, U>(w, i);
  }
  Pointers p;
  if (!done && !Resolve<where>(w, i, m, count * sizeof(U), count * sizeof(U), false, p)) return nullptr;
  for (uint32_t k = 0; k < count && !done; ++k) {
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
[[gnu::always_inline]] inline bool StoreHalves(Warp& w, const Inst* i) {
  Half halves[2];
  if (!Halves<where, sizeof(U)>(w, i, halves)) return false;
#pragma GCC unroll 2
  for (int half = 0; half < 2; ++half) {
    const Slot<U>* b = w.Row<Slot<U>>(i->b) + kPart * half;
    U* to = reinterpret_cast<U*>(halves[half].at);
    if (halves[half].shape == Shape::kRun) {
#pragma GCC ivdep
      for (int l = 0; l < kPart; ++l) to[l] = static_cast<U>(b[l]);
    } else {
      __atomic_store_n(to, static_cast<U>(b[kPart - 1]), __ATOMIC_RELAXED);
    }
  }
  return true;
}

template <Where where, typename U>
[[gnu::noinline]] const Inst* StoreLanes(Warp& w, const Inst* i, uint32_t m) {
  Pointers p;
  if (!Resolve<where>(w, i, m, sizeof(U), sizeof(U), true, p)) return nullptr;
  const Slot<U>* b = w.Row<Slot<U>>(i->b);
  for (uint32_t rest = m; rest; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    __atomic_store_n(reinterpret_cast<U*>(p.at[l]), static_cast<U>(b[l]), __ATOMIC_RELAXED);
  }
  return i + 1;
}

template <Where where, typename U>
const Inst* Store(Warp& w, const Inst* i, uint32_t m) {
  if (i->x & 4) std::atomic_thread_fence(std::memory_order_release);
  if constexpr (HasHalves(where)) {
    if (m == kAllLanes && StoreHalves<where, U>(w, i)) return i + 1;
  }
  return StoreLanes<where, U>(w, i, m);
}

template <uint32_t count, Where where, typename U>
[[gnu::always_inline]] inline bool StoreVectorHalves(Warp& w, const Inst* i) {
  Half halves[2];
  if (!Halves<where, count * sizeof(U)>(w, i, halves)) return false;
  if (halves[0].shape != Shape::kRun || halves[1].shape != Shape::kRun) return false;
#pragma GCC unroll 2
  for (int half = 0; half < 2; ++half) {
    U* to = reinterpret_cast<U*>(halves[half].at);
    for (uint32_t k = 0; k < count; ++k) {
      const U* b = w.Row<U>(i->extra->rows[k]) + kPart * half;
#pragma GCC ivdep
      for (uint32_t l = 0; l < kPart; ++l) to[count * l + k] = b[l];
    }
  }
  return true;
}

template <Where where, typename U>
const Inst* StoreVector(Warp& w, const Inst* i, uint32_t m) {
  if (i->x & 4) std::atomic_thread_fence(std::memory_order_release);
  const uint32_t count = i->x >> 8;
  if constexpr (HasHalves(where) && sizeof(U) >= 4) {
    if (m == kAllLanes && count == 2 && StoreVectorHalves<2, where, U>(w, i)) return i + 1;
    if (m == kAllLanes && count == 4 && StoreVectorHalves<4, where, U>(w, i)) return i + 1;
  }
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
  if (where == "shared32") return OfSize<Where::kShared32>(s);
  if (where == "local") return OfSize<Where::kLocal>(s);
  if (where == "param") return OfSize<Where::kParam>(s);
  if (where == "frame") return OfSize<Where::kFrame>(s);
  return OfSize<Where::kGeneric>(s);
}

}  // namespace mignificient::cpu::MIG_ISA
