// Addresses of a warp to host pointers, checked: the one place that decides what a kernel may touch.
#pragma once

#include <fmt/format.h>

#include <algorithm>

#include "driver/cpu/exec/ops/lanes.h"

namespace mignificient::cpu::MIG_ISA {

enum class Where { kGlobal, kShared, kLocal, kParam, kGeneric, kFrame };

// A pointer per lane; lanes outside the mask repeat an active one, so that loads need no mask.
struct Pointers {
  alignas(64) uint64_t at[32];
};

// Null when lane `l` may not touch [address, address + bytes); alignment is checked by the caller.
inline char* ResolveLane(Warp& w, uint64_t address, uint32_t bytes, int l, bool write) {
  if (address >= kSharedWindow) {
    const uint64_t window = address & ~(kWindowBytes - 1), offset = address & (kWindowBytes - 1);
    if (window == kSharedWindow) return offset + bytes <= w.block->shared_bytes ? w.block->shared + offset : nullptr;
    if (window == kLocalWindow)
      return offset + bytes <= w.local_stride ? w.local + uint64_t{w.local_stride} * l + offset : nullptr;
    if (window == kParamWindow && !write) {
      const auto params = w.block->grid->launch->params;
      if (offset + bytes <= params.size())
        return const_cast<char*>(reinterpret_cast<const char*>(params.data())) + offset;
    }
    return nullptr;
  }
  if (address < w.extent_begin || address + bytes > w.extent_end) {
    const auto* extent = w.block->grid->launch->memory ? w.block->grid->launch->memory->Find(address) : nullptr;
    if (extent == nullptr || bytes > extent->end - address) return nullptr;
    w.extent_begin = extent->begin, w.extent_end = extent->end;
  }
  return reinterpret_cast<char*>(address);
}

// Fills `out` for `bytes` per lane at row a + imm. False: a fault is recorded.
template <Where where>
[[gnu::always_inline]] inline bool Resolve(Warp& w, const Inst* i, uint32_t m, uint32_t bytes, uint32_t align,
                                           bool write, Pointers& out) {
  const int first = std::countr_zero(m);
  if constexpr (where == Where::kFrame) {  // c: offset of the block, e: stride
    const uint64_t base = reinterpret_cast<uint64_t>(w.frame) + i->c + static_cast<uint64_t>(i->imm);
    for (int l = 0; l < 32; ++l) out.at[l] = base + uint64_t{i->e} * static_cast<uint32_t>(l);
    return true;
  }
  const uint64_t* a = w.Row<uint64_t>(i->a);
  const uint64_t offset = static_cast<uint64_t>(i->imm);
  const uint64_t keep = a[first] + offset;
  uint64_t low = ~uint64_t{0}, high = 0, bits = 0;
  if (m == kAllLanes) {
    for (int l = 0; l < 32; ++l) {
      const uint64_t v = a[l] + offset;
      out.at[l] = v;
      low = v < low ? v : low, high = v > high ? v : high, bits |= v;
    }
  } else {
    for (int l = 0; l < 32; ++l) {
      const uint64_t v = (m >> l) & 1 ? a[l] + offset : keep;
      out.at[l] = v;
      low = v < low ? v : low, high = v > high ? v : high, bits |= v;
    }
  }
  if (bits & (align - 1)) [[unlikely]] {
    for (uint32_t rest = m; rest; rest &= rest - 1) {
      const int l = std::countr_zero(rest);
      if (out.at[l] & (align - 1)) {
        w.Fault(i, LaunchStatus::kMisaligned, l,
                fmt::format("{} {} bytes at misaligned address 0x{:x}", write ? "writes" : "reads", bytes, out.at[l]));
        return false;
      }
    }
  }
  uint64_t base = 0;
  bool good = high + bytes >= high;
  if constexpr (where == Where::kShared) {
    good = good && high + bytes <= w.block->shared_bytes;
    base = reinterpret_cast<uint64_t>(w.block->shared);
  } else if constexpr (where == Where::kParam) {
    const auto params = w.block->grid->launch->params;
    good = good && !write && high + bytes <= params.size();
    base = reinterpret_cast<uint64_t>(params.data());
  } else if constexpr (where == Where::kLocal) {
    good = good && high + bytes <= w.local_stride;
    if (good) {
      for (int l = 0; l < 32; ++l)
        out.at[l] += reinterpret_cast<uint64_t>(w.local) + uint64_t{w.local_stride} * static_cast<uint32_t>(l);
      return true;
    }
  } else {
    good = good && low >= w.extent_begin && high + bytes <= w.extent_end;
  }
  if (good) [[likely]] {
    if constexpr (where == Where::kShared || where == Where::kParam) {
      for (int l = 0; l < 32; ++l) out.at[l] += base;
    }
    return true;
  }
  // The slow path: each lane by itself, through the window its space has among generic addresses.
  constexpr uint64_t kWindow = where == Where::kShared  ? kSharedWindow
                               : where == Where::kLocal ? kLocalWindow
                               : where == Where::kParam ? kParamWindow
                                                        : 0;
  char* keep_pointer = nullptr;
  for (uint32_t rest = m; rest; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    const uint64_t address = out.at[l];
    // A window's own offsets stay in it: a huge one must not reach another window.
    const bool fits = kWindow == 0 || address < kWindowBytes - 16;
    const bool allowed = where != Where::kGlobal || address < kSharedWindow;
    char* pointer = fits && allowed ? ResolveLane(w, address + kWindow, bytes, l, write) : nullptr;
    if (pointer == nullptr) {
      w.Fault(i, LaunchStatus::kIllegalAddress, l,
              fmt::format("{} {} bytes at illegal address 0x{:x}", write ? "writes" : "reads", bytes, address));
      return false;
    }
    out.at[l] = reinterpret_cast<uint64_t>(pointer);
    if (keep_pointer == nullptr) keep_pointer = pointer;
  }
  for (uint32_t rest = ~m; rest; rest &= rest - 1)
    out.at[std::countr_zero(rest)] = reinterpret_cast<uint64_t>(keep_pointer);
  return true;
}

}  // namespace mignificient::cpu::MIG_ISA
