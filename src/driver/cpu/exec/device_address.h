// Where a thread's generic address leads in this process. For operations that are built once; those of ops/ have a
// faster way for whole warps.
#pragma once

#include <cstdint>

#include "driver/cpu/exec/warp.h"

namespace mignificient::cpu {

// Null where lane `lane` may not touch [address, address + bytes).
inline char* HostAddress(const Warp& warp, uint64_t address, uint32_t bytes, uint32_t lane) {
  const Block& block = *warp.block;
  if (address < kSharedWindow) {
    const auto& map = block.grid->launch->memory;
    const auto* extent = map == nullptr ? nullptr : map->Find(address);
    return extent != nullptr && bytes <= extent->end - address ? reinterpret_cast<char*>(address) : nullptr;
  }
  const uint64_t window = address & ~(kWindowBytes - 1), offset = address & (kWindowBytes - 1);
  if (window == kSharedWindow && offset + bytes <= block.shared_bytes) return block.shared + offset;
  if (window == kLocalWindow && offset + bytes <= warp.local_stride)
    return warp.local + uint64_t{warp.local_stride} * lane + offset;
  return nullptr;
}

}  // namespace mignificient::cpu
