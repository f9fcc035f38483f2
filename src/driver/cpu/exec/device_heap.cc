#include "driver/cpu/exec/device_heap.h"

#include <algorithm>
#include <iterator>

namespace mignificient::cpu {

uint64_t DeviceHeap::Allocate(uint64_t bytes) {
  constexpr uint64_t kAlignment = 16;
  if (bytes > ~uint64_t{0} - kAlignment) return 0;
  bytes = std::max<uint64_t>((bytes + kAlignment - 1) / kAlignment * kAlignment, kAlignment);
  const std::lock_guard lock(mutex_);
  const auto fits = std::ranges::find_if(free_, [bytes](const auto& each) { return each.second >= bytes; });
  if (fits == free_.end()) return 0;
  const auto [begin, room] = *fits;
  free_.erase(fits);
  if (room > bytes) free_.emplace(begin + bytes, room - bytes);
  used_.emplace(begin, bytes);
  return begin;
}

bool DeviceHeap::Free(uint64_t address) {
  const std::lock_guard lock(mutex_);
  const auto block = used_.extract(address);
  if (block.empty()) return false;
  auto [freed, inserted] = free_.emplace(address, block.mapped());
  if (const auto next = std::next(freed); next != free_.end() && freed->first + freed->second == next->first) {
    freed->second += next->second;
    free_.erase(next);
  }
  if (freed == free_.begin()) return true;
  if (const auto before = std::prev(freed); before->first + before->second == freed->first) {
    before->second += freed->second;
    free_.erase(freed);
  }
  return true;
}

}  // namespace mignificient::cpu
