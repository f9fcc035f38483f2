// The device addresses a launch may touch. On the software GPU a device address is a host address, so
// this map is what keeps a kernel inside the memory its owner allocated.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace mignificient::cpu {

// Reserved generic address ranges, outside any user-space host address (bits 48 and up). `cvta` adds
// the base of a window, `isspacep` tests for it, and a generic access in it resolves per block or thread.
inline constexpr uint64_t kWindowBytes = uint64_t{1} << 32;
inline constexpr uint64_t kSharedWindow = uint64_t{1} << 48;
inline constexpr uint64_t kLocalWindow = uint64_t{2} << 48;
inline constexpr uint64_t kParamWindow = uint64_t{3} << 48;
inline constexpr uint64_t kFunctionWindow = uint64_t{4} << 48;  // function pointers; never memory

// Immutable; shared by every launch that started while it was current.
class MemoryMap {
 public:
  // Valid addresses [begin, end).
  struct Extent {
    uint64_t begin = 0;
    uint64_t end = 0;
  };

  // Sorts, and joins extents that touch: an access may cross from one to the next.
  // Pass `join = false` when neighbours must stay apart (two allocations with no guard between).
  static std::shared_ptr<const MemoryMap> Of(std::vector<Extent> extents, bool join = false);

  // The extent that contains `address`, or null.
  const Extent* Find(uint64_t address) const;

  const std::vector<Extent>& extents() const { return extents_; }

 private:
  std::vector<Extent> extents_;  // sorted by begin, disjoint, none empty
};

}  // namespace mignificient::cpu
