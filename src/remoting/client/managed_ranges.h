// What a program has told CUDA about ranges of its managed memory: advice, and where it was prefetched to last. Ours
// stays where it is, in host memory that the device reaches, so this is remembered and reported, no more. Pure
// bookkeeping; no locks.
#pragma once

#include <cstdint>
#include <map>

#include "abi/cuda.h"
#include "remoting/client/address_space.h"

namespace mignificient::client {

inline constexpr int kNowhere = 0, kOnDevice = 1, kOnHost = 2, kOnHostNode = 3, kOnCurrentHostNode = 4;

struct RangeState {
  bool read_mostly = false;
  bool accessed_by_device = false;
  bool accessed_by_host = false;
  CUmemLocation preferred{kNowhere, 0};
  CUmemLocation prefetched{kNowhere, 0};
};

class ManagedRanges {
 public:
  // Changes every page of `range`. Ranges are rounded outwards to pages.
  template <typename Change>
  void Update(Extent range, Change change);
  void Forget(Extent range);
  // What holds for all of `range`; where its pages differ, what says nothing.
  RangeState Common(Extent range) const;

 private:
  // Makes `address` a boundary between two entries.
  void Split(uint64_t address);

  struct Stretch {
    uint64_t end;
    RangeState state;
  };
  std::map<uint64_t, Stretch> stretches_;  // by where they begin; what is in none has the state of a fresh range
};

template <typename Change>
void ManagedRanges::Update(Extent range, Change change) {
  const uint64_t end = range.address + range.bytes;
  Split(range.address);
  Split(end);
  for (uint64_t at = range.address; at < end;) {
    auto it = stretches_.lower_bound(at);
    if (it == stretches_.end() || it->first != at) {  // a gap
      const uint64_t gap_end = it == stretches_.end() || it->first > end ? end : it->first;
      it = stretches_.emplace(at, Stretch{gap_end, {}}).first;
    }
    change(it->second.state);
    at = it->second.end;
  }
}

}  // namespace mignificient::client
