// Where in a memory pool stream-ordered allocations lie. Pure bookkeeping: no commands, no locks, no clock.
//
// A free takes effect when its stream comes to it, so freed memory is used again at once on the same stream, where what
// follows comes after the free; on any other stream once the epoch of the free has passed (client/fence.h). What was
// freed last is used first, where its size is right; it is joined with what lies beside it only where nothing else
// would do, or once there is more of it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "remoting/client/address_space.h"

namespace mignificient::client {

class PoolSpace {
 public:
  // For chunks within `window`.
  explicit PoolSpace(Extent window) : allocations_(window) {}

  // An address (a multiple of 512) of `bytes` that work in `stream` may use; nullopt: a chunk is needed. `passed`: the
  // last epoch that has passed.
  std::optional<uint64_t> Take(uint64_t bytes, uint64_t stream, uint64_t passed);
  // Freed in `stream` and `epoch`; epoch 0: nothing uses it any more. False: no allocation begins at `address`.
  bool Free(uint64_t address, uint64_t stream, uint64_t epoch);
  // The allocation that contains `address`.
  std::optional<Extent> Find(uint64_t address) const;

  // Memory that allocations are made from. None of it has been used, or no work uses it any more.
  void AddChunk(Extent chunk);
  // Takes out chunks without allocations and without frees that have not passed, as long as at least `keep` bytes
  // remain.
  std::vector<Extent> Trim(uint64_t keep, uint64_t passed);

  bool empty() const { return allocations_.empty(); }
  // Some freed memory waits for its epoch.
  bool pending() const;

  // Bytes in chunks and in allocations, and the most there were since the last reset.
  struct Level {
    uint64_t current = 0;
    uint64_t high = 0;
    void Add(uint64_t bytes);
    void Remove(uint64_t bytes) { current -= bytes; }
    void Reset() { high = current; }
  };
  Level reserved;
  Level used;

 private:
  struct Freed {
    Extent extent;
    uint64_t stream;
    uint64_t epoch;  // 0: nothing uses it any more
  };
  static constexpr size_t kRecent = 16;

  // The address of the last of `recent_` that has just this size and that `stream` may use; 0: there is none.
  uint64_t TakeRecent(uint64_t bytes, uint64_t stream, uint64_t passed);
  // The same of all others, joined.
  uint64_t TakeJoined(uint64_t bytes, uint64_t stream, uint64_t passed);
  // Puts the oldest `count` of them with the others.
  void Join(size_t count);
  void Settle(uint64_t passed);

  std::map<uint64_t, uint64_t> chunks_;  // address -> bytes
  ExtentTable allocations_;              // with rounded bytes
  // What was freed is in one of these three.
  std::array<Freed, kRecent> recent_;  // the first `recent_count_`: oldest first
  size_t recent_count_ = 0;
  FreeRanges ready_;                                           // any stream may use it
  std::map<std::pair<uint64_t, uint64_t>, FreeRanges> freed_;  // (epoch, stream) -> what was freed there
};

}  // namespace mignificient::client
