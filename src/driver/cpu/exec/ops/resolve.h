// Addresses of a warp to host pointers, checked: the one place that decides what a kernel may touch.
#pragma once

#include <algorithm>

#include "driver/cpu/exec/ops/lanes.h"

namespace mignificient::cpu::MIG_ISA {

// kShared32: shared memory by addresses that lie in rows of 32 bits.
enum class Where { kGlobal, kShared, kShared32, kLocal, kParam, kGeneric, kFrame };

constexpr bool IsShared(Where where) {
  return where == Where::kShared || where == Where::kShared32;
}

// How an address lies in its row.
template <Where where>
using AddressIn = std::conditional_t<where == Where::kShared32, uint32_t, uint64_t>;

// A pointer per lane; lanes outside the mask repeat an active one, so that loads need no mask.
struct Pointers {
  alignas(64) uint64_t at[32];
};

// Whether a global [address, address + bytes) lies in one extent.
[[gnu::always_inline]] inline bool Reaches(Block& block, uint64_t address, uint64_t bytes) {
  for (const MemoryMap::Extent& extent : block.recent) {
    if (address >= extent.begin && address <= extent.end - bytes) [[likely]]
      return true;
  }
  return block.Reach(address, bytes);
}

// Where [address, address + bytes) lies, for lanes that share it. Null: not there, or to be decided lane by lane.
template <Where where>
[[gnu::always_inline]] inline char* Together(Warp& w, uint64_t address, uint32_t bytes) {
  Block& block = *w.block;
  if constexpr (IsShared(where)) {
    return address <= block.shared_bytes && bytes <= block.shared_bytes - address ? block.shared + address : nullptr;
  } else if constexpr (where == Where::kParam) {
    const auto params = block.grid->launch->params;
    if (address > params.size() || bytes > params.size() - address) return nullptr;
    return const_cast<char*>(reinterpret_cast<const char*>(params.data())) + address;
  } else {
    static_assert(where == Where::kGlobal || where == Where::kGeneric);
    if (where == Where::kGeneric && address - kSharedWindow < kWindowBytes)
      return Together<Where::kShared>(w, address - kSharedWindow, bytes);
    return Reaches(block, address, bytes) ? reinterpret_cast<char*>(address) : nullptr;
  }
}

// Null when lane `l` may not touch [address, address + bytes); alignment is checked by the caller.
inline char* ResolveLane(Warp& w, uint64_t address, uint32_t bytes, int l, bool write) {
  if (address < kSharedWindow) return Reaches(*w.block, address, bytes) ? reinterpret_cast<char*>(address) : nullptr;
  const uint64_t window = address & ~(kWindowBytes - 1), offset = address & (kWindowBytes - 1);
  if (window == kSharedWindow) return Together<Where::kShared>(w, offset, bytes);
  if (window == kLocalWindow)
    return offset + bytes <= w.local_stride ? w.local + uint64_t{w.local_stride} * l + offset : nullptr;
  if (window == kParamWindow && !write) return Together<Where::kParam>(w, offset, bytes);
  return nullptr;
}

// Each lane by itself, through the window its space has among generic addresses.
template <Where where>
[[gnu::noinline]] bool ResolveLanes(Warp& w, const Inst* i, uint32_t m, uint32_t bytes, bool write, Pointers& out) {
  constexpr uint64_t kWindow = IsShared(where)          ? kSharedWindow
                               : where == Where::kLocal ? kLocalWindow
                               : where == Where::kParam ? kParamWindow
                                                        : 0;
  char* keep = nullptr;
  for (uint32_t rest = m; rest; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    const uint64_t address = out.at[l];
    // A window's own offsets stay in it: a huge one must not reach another window.
    const bool fits = kWindow == 0 || address < kWindowBytes - 16;
    const bool allowed = where != Where::kGlobal || address < kSharedWindow;
    char* pointer = fits && allowed ? ResolveLane(w, address + kWindow, bytes, l, write) : nullptr;
    if (pointer == nullptr) return FaultIllegal(w, i, static_cast<uint32_t>(l), bytes, address, write);
    out.at[l] = reinterpret_cast<uint64_t>(pointer);
    if (keep == nullptr) keep = pointer;
  }
  for (uint32_t rest = ~m; rest; rest &= rest - 1) out.at[std::countr_zero(rest)] = reinterpret_cast<uint64_t>(keep);
  return true;
}

// Fills `out` for `bytes` per lane at row a + imm. False: a fault is recorded.
template <Where where>
[[gnu::always_inline]] inline bool Resolve(Warp& w, const Inst* i, uint32_t m, uint32_t bytes, uint32_t align,
                                           bool write, Pointers& out) {
  using A = AddressIn<where>;
  if constexpr (where == Where::kFrame) {  // c: offset of the block, e: stride
    const uint64_t base = reinterpret_cast<uint64_t>(w.frame) + i->c + static_cast<uint64_t>(i->imm);
    for (int l = 0; l < 32; ++l) out.at[l] = base + uint64_t{i->e} * static_cast<uint32_t>(l);
    return true;
  } else {
    const A* a = w.Row<A>(i->a);
    const A offset = static_cast<A>(i->imm);
    const A keep = a[std::countr_zero(m)] + offset;
    A low = static_cast<A>(~A{0}), high = 0, bits = 0;
    const auto take = [&](int l, A v) {
      out.at[l] = v;
      low = v < low ? v : low, high = v > high ? v : high, bits |= v;
    };
    if (m == kAllLanes) {
      for (int l = 0; l < 32; ++l) take(l, a[l] + offset);
    } else {
      for (int l = 0; l < 32; ++l) take(l, (m >> l) & 1 ? a[l] + offset : keep);
    }
    if (bits & (align - 1)) [[unlikely]] {
      for (uint32_t rest = m; rest; rest &= rest - 1) {
        const int l = std::countr_zero(rest);
        if (out.at[l] & (align - 1)) return FaultMisaligned(w, i, static_cast<uint32_t>(l), bytes, out.at[l], write);
      }
    }
    if constexpr (where == Where::kLocal) {
      if (high + bytes < high || high + bytes > w.local_stride) return ResolveLanes<where>(w, i, m, bytes, write, out);
      for (int l = 0; l < 32; ++l)
        out.at[l] += reinterpret_cast<uint64_t>(w.local) + uint64_t{w.local_stride} * static_cast<uint32_t>(l);
      return true;
    } else {
      // The lanes of a warp are seldom further apart than one extent reaches.
      const bool near = high - low < (1u << 30) && !(where == Where::kParam && write);
      const char* first = near ? Together<where>(w, low, static_cast<uint32_t>(high - low) + bytes) : nullptr;
      if (first == nullptr) return ResolveLanes<where>(w, i, m, bytes, write, out);
      const uint64_t base = reinterpret_cast<uint64_t>(first) - low;
      if (where != Where::kGlobal) {
        for (int l = 0; l < 32; ++l) out.at[l] += base;
      }
      return true;
    }
  }
}

}  // namespace mignificient::cpu::MIG_ISA
