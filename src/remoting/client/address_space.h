// Where in its device window the client puts what it allocates, and which extents must be mapped for that. Pure
// bookkeeping: no commands, no locks, no clock. The server checks extents and budget itself; a wrong plan hurts only
// the client that made it.
//
// Small allocations share slabs; large ones have an extent of whole granules each. Freed memory stays mapped and is
// used again; under budget pressure unused extents are unmapped. Memory that is used again may still be read or written
// by work issued before it was freed, so such a plan asks for a fence (cuMemFree natively waits for the device
// instead).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

namespace mignificient::client {

struct Extent {
  uint64_t address = 0;
  uint64_t bytes = 0;
  bool operator==(const Extent&) const = default;
};

// Free ranges of addresses, coalesced; best fit.
class FreeRanges {
 public:
  void Insert(Extent range);
  // The lowest part of the smallest range that holds `bytes`.
  std::optional<Extent> Take(uint64_t bytes);
  // Removes exactly `range` if all of it is free.
  bool Remove(Extent range);
  bool empty() const { return by_address_.empty(); }

 private:
  void Erase(std::map<uint64_t, uint64_t>::iterator it);
  std::map<uint64_t, uint64_t> by_address_;          // address -> bytes
  std::set<std::pair<uint64_t, uint64_t>> by_size_;  // (bytes, address)
};

class AddressSpace {
 public:
  // Window [base, base + bytes), extents are multiples of `granule` (a power of two), at most `budget` bytes mapped.
  AddressSpace(Extent window, uint64_t granule, uint64_t budget);

  struct Plan {
    uint64_t address = 0;       // 0: out of memory (budget or window); what is to be unmapped is still to be unmapped
    std::vector<Extent> unmap;  // to do first, in order
    std::optional<Extent> map;  // then this
    bool fence = false;         // then this
    explicit operator bool() const { return address != 0; }
  };
  // Addresses are multiples of 512.
  Plan Allocate(uint64_t bytes);
  // False: no allocation begins at `address`.
  bool Free(uint64_t address);
  // The allocation that contains `address`.
  std::optional<Extent> Find(uint64_t address) const;

  bool InWindow(uint64_t address) const { return address - window_.address < window_.bytes; }
  // Mapped, but not part of any allocation.
  uint64_t unused_bytes() const { return mapped_ - used_; }
  uint64_t mapped_bytes() const { return mapped_; }

 private:
  Plan AllocateSmall(uint64_t bytes);
  Plan AllocateLarge(uint64_t bytes);
  // Unmaps unused extents until `bytes` more fit the budget. False: cannot.
  bool MakeRoom(uint64_t bytes, std::vector<Extent>& unmap);
  void TakeFence(Plan& plan);

  Extent window_;
  uint64_t granule_;
  uint64_t budget_;
  uint64_t slab_bytes_;
  uint64_t mapped_ = 0;
  uint64_t used_ = 0;
  bool freed_since_fence_ = false;
  FreeRanges addresses_;                      // unmapped parts of the window
  FreeRanges small_;                          // unused parts of slabs
  std::set<uint64_t> slabs_;                  // their addresses
  std::multimap<uint64_t, uint64_t> idle_;    // unused large extents: bytes -> address
  std::map<uint64_t, uint64_t> allocations_;  // address -> bytes (rounded)
};

}  // namespace mignificient::client
