// What the program may name of its device memory: each allocation with the bytes that it asked for. For calls that have
// to tell at once when a copy or a set leaves its allocation, and that must not wait for whoever allocates meanwhile.
// Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>

#include "abi/cuda.h"
#include "remoting/client/extent_table.h"
#include "remoting/client/lock.h"

namespace mignificient::client {

class Allocations {
 public:
  // For memory within `window`.
  explicit Allocations(Extent window) : extents_(window) {}

  void Insert(Extent extent);
  // Before the memory is freed, so that nobody else is given it first.
  void Erase(uint64_t address);
  // Something that was found outside of here has changed (Look).
  void Changed();

  // Whether [address, address + bytes) lies within one allocation. The few that the thread has named last are known to
  // it without a lock; `look(address)` finds memory that is not listed here: the extent around an address, or nullopt.
  template <typename Look>
  bool Contain(uint64_t address, uint64_t bytes, Look look) {
    if (FindRecent(address, bytes) != nullptr) [[likely]]
      return true;
    // Read first: what changes after this makes the entry stale.
    const uint64_t generation = generation_.load(std::memory_order_acquire);
    auto extent = Find(address);
    if (!extent) extent = look(address);
    if (!extent) return false;
    Remember(*extent, address, generation);
    return Holds(*extent, address, bytes);
  }

  // The allocation that contains `address`.
  std::optional<Extent> Find(uint64_t address) const;
  // The same; what the thread has named last is known to it without a lock.
  std::optional<Extent> Named(uint64_t address) const;

 private:
  static bool Holds(const Extent& extent, uint64_t address, uint64_t bytes) {
    const uint64_t offset = address - extent.address;
    return offset < extent.bytes && bytes <= extent.bytes - offset;
  }
  // Null: none that the thread has named lately.
  const Extent* FindRecent(uint64_t address, uint64_t bytes) const;
  void Remember(const Extent& extent, uint64_t address, uint64_t generation) const;
  void RaiseLocked() { generation_.store(generation_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

  // Raised, under the lock, by each change that takes something away.
  std::atomic<uint64_t> generation_{1};
  mutable Lock lock_;  // held while the table is looked at or changed, and never longer
  ExtentTable extents_;
};

// Of the device's window. Valid once Attach() has succeeded; leaked on purpose. Defined in memory.cc.
Allocations& TheAllocations();

}  // namespace mignificient::client
