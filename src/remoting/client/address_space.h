// Where in its device window the client puts what it allocates, and which extents must be mapped for that. Pure
// bookkeeping: no commands, no locks, no clock. The server checks extents and budget itself; a wrong plan hurts only
// the client that made it.
//
// Small allocations share slabs; large ones have an extent of whole granules each. Freed memory stays mapped and is
// used again, small memory first for the same size and joined with what lies beside it only where nothing else would
// do; under budget pressure unused extents are unmapped. Work issued before a free may still read or write the memory,
// so a free belongs to an epoch (client/fence.h) and is used again, or unmapped, once that has passed.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "remoting/client/extent_table.h"

namespace mignificient::client {

// Free ranges of addresses, coalesced; best fit. A range that only changes its bounds costs no allocation.
class FreeRanges {
 public:
  void Insert(Extent range);
  // The lowest part of the smallest range that holds `bytes`, at a multiple of `align` (a power of two).
  std::optional<Extent> Take(uint64_t bytes, uint64_t align = 1);
  // Removes exactly `range` if all of it is free.
  bool Remove(Extent range);
  // Moves every range to `other`.
  void MoveTo(FreeRanges& other);
  bool Fits(uint64_t bytes) const { return !by_size_.empty() && by_size_.rbegin()->first >= bytes; }
  bool empty() const { return by_address_.empty(); }

 private:
  using ByAddress = std::map<uint64_t, uint64_t>;
  void Erase(ByAddress::iterator it);
  // Gives the range at `it` other bounds, between which and its old ones lies no other range.
  void Change(ByAddress::iterator it, Extent range);
  void Cut(ByAddress::iterator it, Extent range);    // `range` is part of the range at `it`
  ByAddress by_address_;                             // address -> bytes
  std::set<std::pair<uint64_t, uint64_t>> by_size_;  // (bytes, address)
};

class AddressSpace {
 public:
  // Window [base, base + bytes), extents are multiples of `granule` (a power of two), at most `budget` bytes mapped.
  AddressSpace(Extent window, uint64_t granule, uint64_t budget);

  struct Plan {
    bool granted = false;  // false: see `wait`
    uint64_t wait = 0;     // not 0: ask again once this epoch has passed. Else: out of memory (budget or window)
    uint64_t address = 0;
    std::vector<Extent> unmap;  // to do first, in order, even if nothing is granted
    std::optional<Extent> map;  // then this
    explicit operator bool() const { return granted; }
  };
  enum class Rather { kWait, kMap };  // than the other, where freed memory would do but for its epoch
  // Addresses are multiples of 512. `passed`: the last epoch that has passed.
  Plan Allocate(uint64_t bytes, uint64_t passed, Rather rather = Rather::kWait);
  // Where there is nothing to carry out, since small memory of just this size was freed and may be used again. 0: make
  // a plan.
  uint64_t AllocateAgain(uint64_t bytes, uint64_t passed) {
    if (!pending_.empty()) Settle(passed);
    const uint64_t units = (bytes + ExtentTable::kUnitBytes - 1) / ExtentTable::kUnitBytes;
    if (units >= spare_.size() || spare_[units].empty()) return 0;
    const uint64_t address = TakeSpare(units);
    used_ += units * ExtentTable::kUnitBytes;
    allocations_.Insert({address, bytes});
    return address;
  }
  // A granted plan could not be carried out: its `map` has failed.
  void Undo(const Plan& plan);
  // Freed in `epoch`, which is none before that of an earlier free; 0: nothing uses it any more. False: no allocation
  // begins at `address`.
  bool Free(uint64_t address, uint64_t epoch);

  // What is to be unmapped so that only what allocations need stays.
  std::vector<Extent> ReleaseUnused(uint64_t passed);

  // Takes `bytes` of the budget for memory that is not mapped from here (no address in the plan), and gives it back.
  Plan Charge(uint64_t bytes, uint64_t passed);
  void Discharge(uint64_t bytes);
  // Addresses without memory: at `hint` if that is aligned and free, else anywhere. nullopt: there is no such room.
  std::optional<Extent> Reserve(uint64_t bytes, uint64_t align, uint64_t hint);
  void Unreserve(Extent range) { addresses_.Insert(range); }

  // The allocation that contains `address`, with as many bytes as were asked for.
  std::optional<Extent> Find(uint64_t address) const;

  bool InWindow(uint64_t address) const { return address - window_.address < window_.bytes; }
  // Mapped, but not part of any allocation.
  uint64_t unused_bytes() const { return mapped_ - used_; }
  uint64_t mapped_bytes() const { return mapped_; }

 private:
  struct Pending {
    uint64_t epoch;
    Extent extent;
  };
  bool Small(uint64_t bytes) const { return bytes < slab_bytes_ / 2; }
  // What an allocation of `bytes` takes.
  uint64_t Rounded(uint64_t bytes) const;
  void Unused(Extent extent);  // may be used again at once
  void Settle(uint64_t passed);
  // The last that was freed of so many units; there is one.
  uint64_t TakeSpare(uint64_t units) {
    const uint64_t address = spare_[units].back();
    spare_[units].pop_back();
    spare_bytes_ -= units * ExtentTable::kUnitBytes;
    return address;
  }
  // Parts of slabs that are not used; 0: there is none of `bytes` in one piece.
  uint64_t TakeSmall(uint64_t bytes);
  // Joins all of them with what lies beside them.
  void Join();
  Plan AllocateSmall(uint64_t bytes, Rather rather);
  Plan AllocateLarge(uint64_t bytes, Rather rather);
  // Unmaps unused extents until `bytes` more fit the budget. False: cannot; then plan.wait says whether waiting helps.
  bool MakeRoom(uint64_t bytes, Plan& plan);
  // Releases unused extents while more than `limit` is mapped.
  void ReleaseUntil(uint64_t limit, std::vector<Extent>& unmap);
  void Grant(Plan& plan, uint64_t address, uint64_t bytes);

  Extent window_;
  uint64_t granule_;
  uint64_t budget_;
  uint64_t slab_bytes_;
  uint64_t mapped_ = 0;
  uint64_t used_ = 0;
  ExtentTable allocations_;                 // with the bytes that were asked for
  FreeRanges addresses_;                    // unmapped parts of the window
  std::set<uint64_t> slabs_;                // their addresses
  std::multimap<uint64_t, uint64_t> idle_;  // unused large extents: bytes -> address
  // Unused parts of slabs are in one of these three.
  std::vector<std::vector<uint64_t>> spare_;  // freed ones by their size in units: addresses, the last one first
  uint64_t spare_bytes_ = 0;
  Extent fresh_;  // the rest of the newest slab
  FreeRanges small_;
  // Freed, and not known to be unused: in order of their epochs.
  std::deque<Pending> pending_;
  uint64_t pending_small_bytes_ = 0;
  std::multimap<uint64_t, uint64_t> pending_large_;  // bytes -> epoch
};

}  // namespace mignificient::client
