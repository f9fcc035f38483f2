#include "remoting/client/allocations.h"

#include "remoting/client/thread_owned.h"

namespace mignificient::client {
namespace {

// What a thread has named: the allocation of the last address, and one for each of some addresses, by their hash.
struct Recent {
  static constexpr size_t kSlots = 32;
  const Allocations* of = nullptr;
  uint64_t generation = 0;
  Extent last;
  Extent slots[kSlots];

  Extent& SlotOf(uint64_t address) {
    constexpr uint64_t kSpread = 0x9e3779b97f4a7c15;  // of Fibonacci hashing
    constexpr int kAlignBits = 9, kSlotBits = 5;      // allocations begin at multiples of 512
    static_assert(size_t{1} << kSlotBits == kSlots);
    return slots[((address >> kAlignBits) * kSpread) >> (64 - kSlotBits)];
  }
};

}  // namespace

void Allocations::Insert(Extent extent) {
  const std::lock_guard lock(lock_);
  extents_.Insert(extent);
}

void Allocations::Erase(uint64_t address) {
  const std::lock_guard lock(lock_);
  if (extents_.Erase(address) != 0) RaiseLocked();
}

void Allocations::Changed() {
  const std::lock_guard lock(lock_);
  RaiseLocked();
}

std::optional<Extent> Allocations::Find(uint64_t address) const {
  const std::lock_guard lock(lock_);
  return extents_.Find(address);
}

std::optional<Extent> Allocations::Named(uint64_t address) const {
  if (const Extent* const recent = FindRecent(address, 0)) return *recent;
  const uint64_t generation = generation_.load(std::memory_order_acquire);  // first, as in Contain
  const auto extent = Find(address);
  if (extent) Remember(*extent, address, generation);
  return extent;
}

const Extent* Allocations::FindRecent(uint64_t address, uint64_t bytes) const {
  Recent& mine = ThreadOwned<Recent>::Get();
  if (mine.of != this || mine.generation != generation_.load(std::memory_order_acquire)) return nullptr;
  if (Holds(mine.last, address, bytes)) return &mine.last;
  const Extent& other = mine.SlotOf(address);
  return Holds(other, address, bytes) ? &other : nullptr;
}

void Allocations::Remember(const Extent& extent, uint64_t address, uint64_t generation) const {
  Recent& mine = ThreadOwned<Recent>::Get();
  if (mine.of != this || mine.generation != generation) mine = {this, generation, {}, {}};
  mine.last = mine.SlotOf(address) = extent;
}

}  // namespace mignificient::client
