#include "remoting/client/pool_space.h"

#include <algorithm>

namespace mignificient::client {
namespace {

constexpr uint64_t kAlign = 512;

}  // namespace

void PoolSpace::Level::Add(uint64_t bytes) {
  current += bytes;
  high = std::max(high, current);
}

void PoolSpace::Settle(uint64_t passed) {
  while (!freed_.empty() && freed_.begin()->first.first <= passed) {
    freed_.begin()->second.MoveTo(ready_);
    freed_.erase(freed_.begin());
  }
}

std::optional<uint64_t> PoolSpace::Take(uint64_t bytes, uint64_t stream, uint64_t passed) {
  Settle(passed);
  const uint64_t rounded = (bytes + kAlign - 1) / kAlign * kAlign;
  if (rounded < bytes) return std::nullopt;
  std::optional<Extent> range;
  for (auto it = freed_.begin(); it != freed_.end() && !range; ++it) {
    if (it->first.second != stream) continue;
    range = it->second.Take(rounded);
    if (!range || !it->second.empty()) continue;
    freed_.erase(it);
    break;
  }
  if (!range) range = ready_.Take(rounded);
  if (!range) return std::nullopt;
  allocations_.emplace(range->address, rounded);
  used.Add(rounded);
  return range->address;
}

bool PoolSpace::Free(uint64_t address, uint64_t stream, uint64_t epoch) {
  const auto it = allocations_.find(address);
  if (it == allocations_.end()) return false;
  const Extent extent{it->first, it->second};
  allocations_.erase(it);
  used.Remove(extent.bytes);
  (epoch == 0 ? ready_ : freed_[{epoch, stream}]).Insert(extent);
  return true;
}

std::optional<Extent> PoolSpace::Find(uint64_t address) const {
  auto it = allocations_.upper_bound(address);
  if (it == allocations_.begin()) return std::nullopt;
  --it;
  if (address - it->first >= it->second) return std::nullopt;
  return Extent{it->first, it->second};
}

void PoolSpace::AddChunk(Extent chunk) {
  chunks_.emplace(chunk.address, chunk.bytes);
  reserved.Add(chunk.bytes);
  ready_.Insert(chunk);
}

std::vector<Extent> PoolSpace::Trim(uint64_t keep, uint64_t passed) {
  Settle(passed);
  std::vector<Extent> out;
  for (auto it = chunks_.begin(); it != chunks_.end() && reserved.current > keep;) {
    const Extent chunk{it->first, it->second};
    if (reserved.current - chunk.bytes < keep || !ready_.Remove(chunk)) {
      ++it;
      continue;
    }
    reserved.Remove(chunk.bytes);
    out.push_back(chunk);
    it = chunks_.erase(it);
  }
  return out;
}

}  // namespace mignificient::client
