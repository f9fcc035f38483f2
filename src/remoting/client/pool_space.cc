#include "remoting/client/pool_space.h"

#include <algorithm>
#include <span>

namespace mignificient::client {
namespace {

constexpr uint64_t kAlign = ExtentTable::kUnitBytes;

}  // namespace

void PoolSpace::Level::Add(uint64_t bytes) {
  current += bytes;
  high = std::max(high, current);
}

bool PoolSpace::pending() const {
  const auto recent = std::span(recent_).first(recent_count_);
  return !freed_.empty() || std::ranges::any_of(recent, [](const Freed& each) { return each.epoch != 0; });
}

uint64_t PoolSpace::TakeRecent(uint64_t bytes, uint64_t stream, uint64_t passed) {
  for (size_t i = recent_count_; i-- > 0;) {
    const Freed& each = recent_[i];
    if (each.extent.bytes != bytes || (each.stream != stream && each.epoch > passed)) continue;
    const uint64_t address = each.extent.address;
    std::copy(recent_.begin() + i + 1, recent_.begin() + recent_count_, recent_.begin() + i);
    --recent_count_;
    return address;
  }
  return 0;
}

void PoolSpace::Join(size_t count) {
  for (const Freed& each : std::span(recent_).first(count))
    (each.epoch == 0 ? ready_ : freed_[{each.epoch, each.stream}]).Insert(each.extent);
  std::copy(recent_.begin() + count, recent_.begin() + recent_count_, recent_.begin());
  recent_count_ -= count;
}

void PoolSpace::Settle(uint64_t passed) {
  Join(recent_count_);
  while (!freed_.empty() && freed_.begin()->first.first <= passed) {
    freed_.begin()->second.MoveTo(ready_);
    freed_.erase(freed_.begin());
  }
}

std::optional<uint64_t> PoolSpace::Take(uint64_t bytes, uint64_t stream, uint64_t passed) {
  const uint64_t rounded = (bytes + kAlign - 1) / kAlign * kAlign;
  if (rounded < bytes) return std::nullopt;
  uint64_t address = TakeRecent(rounded, stream, passed);
  if (address == 0) address = TakeJoined(rounded, stream, passed);
  if (address == 0) return std::nullopt;
  allocations_.Insert({address, rounded});
  used.Add(rounded);
  return address;
}

uint64_t PoolSpace::TakeJoined(uint64_t bytes, uint64_t stream, uint64_t passed) {
  Settle(passed);
  std::optional<Extent> range;
  for (auto it = freed_.begin(); it != freed_.end() && !range; ++it) {
    if (it->first.second != stream) continue;
    range = it->second.Take(bytes);
    if (!range || !it->second.empty()) continue;
    freed_.erase(it);
    break;
  }
  if (!range) range = ready_.Take(bytes);
  return range ? range->address : 0;
}

bool PoolSpace::Free(uint64_t address, uint64_t stream, uint64_t epoch) {
  const uint64_t bytes = allocations_.Erase(address);
  if (bytes == 0) return false;
  used.Remove(bytes);
  if (recent_count_ == kRecent) [[unlikely]]
    Join(kRecent / 2);
  recent_[recent_count_++] = {{address, bytes}, stream, epoch};
  return true;
}

std::optional<Extent> PoolSpace::Find(uint64_t address) const {
  return allocations_.Find(address);
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
