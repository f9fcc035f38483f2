#include "remoting/client/address_space.h"

#include <algorithm>

namespace mignificient::client {
namespace {

constexpr uint64_t kAlign = 512;
constexpr uint64_t kSlabBytes = 2 << 20;

uint64_t RoundUp(uint64_t value, uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

}  // namespace

void FreeRanges::Erase(std::map<uint64_t, uint64_t>::iterator it) {
  by_size_.erase({it->second, it->first});
  by_address_.erase(it);
}

void FreeRanges::Insert(Extent range) {
  auto after = by_address_.lower_bound(range.address);
  if (after != by_address_.end() && range.address + range.bytes == after->first) {
    range.bytes += after->second;
    Erase(after);
  }
  auto before = by_address_.lower_bound(range.address);
  if (before != by_address_.begin() && std::prev(before)->first + std::prev(before)->second == range.address) {
    --before;
    range = {before->first, before->second + range.bytes};
    Erase(before);
  }
  by_address_.emplace(range.address, range.bytes);
  by_size_.emplace(range.bytes, range.address);
}

std::optional<Extent> FreeRanges::Take(uint64_t bytes) {
  const auto fit = by_size_.lower_bound({bytes, 0});
  if (fit == by_size_.end()) return std::nullopt;
  const Extent range{fit->second, fit->first};
  Erase(by_address_.find(range.address));
  if (range.bytes > bytes) Insert({range.address + bytes, range.bytes - bytes});
  return Extent{range.address, bytes};
}

bool FreeRanges::Remove(Extent range) {
  auto it = by_address_.upper_bound(range.address);
  if (it == by_address_.begin()) return false;
  --it;
  const Extent around{it->first, it->second};
  const uint64_t end = range.address + range.bytes;
  if (around.address + around.bytes < end) return false;
  Erase(it);
  if (around.address < range.address) Insert({around.address, range.address - around.address});
  if (end < around.address + around.bytes) Insert({end, around.address + around.bytes - end});
  return true;
}

AddressSpace::AddressSpace(Extent window, uint64_t granule, uint64_t budget)
    : window_(window), granule_(granule), budget_(budget), slab_bytes_(std::max(granule, kSlabBytes)) {
  addresses_.Insert(window);
}

AddressSpace::Plan AddressSpace::Allocate(uint64_t bytes) {
  if (bytes == 0 || bytes > window_.bytes) return {};
  return bytes < slab_bytes_ / 2 ? AllocateSmall(RoundUp(bytes, kAlign)) : AllocateLarge(RoundUp(bytes, granule_));
}

void AddressSpace::TakeFence(Plan& plan) {
  plan.fence = freed_since_fence_;
  freed_since_fence_ = false;
}

AddressSpace::Plan AddressSpace::AllocateSmall(uint64_t bytes) {
  Plan plan;
  auto range = small_.Take(bytes);
  if (range) {
    TakeFence(plan);
  } else {
    if (!MakeRoom(slab_bytes_, plan.unmap)) return plan;
    const auto slab = addresses_.Take(slab_bytes_);
    if (!slab) return plan;
    plan.map = slab;
    mapped_ += slab_bytes_;
    slabs_.insert(slab->address);
    small_.Insert({slab->address + bytes, slab_bytes_ - bytes});
    range = Extent{slab->address, bytes};
  }
  plan.address = range->address;
  used_ += bytes;
  allocations_.emplace(plan.address, bytes);
  return plan;
}

AddressSpace::Plan AddressSpace::AllocateLarge(uint64_t bytes) {
  Plan plan;
  if (const auto idle = idle_.find(bytes); idle != idle_.end()) {
    plan.address = idle->second;
    idle_.erase(idle);
    TakeFence(plan);
  } else {
    if (!MakeRoom(bytes, plan.unmap)) return plan;
    plan.map = addresses_.Take(bytes);
    if (!plan.map) return plan;
    plan.address = plan.map->address;
    mapped_ += bytes;
  }
  used_ += bytes;
  allocations_.emplace(plan.address, bytes);
  return plan;
}

bool AddressSpace::MakeRoom(uint64_t bytes, std::vector<Extent>& unmap) {
  if (bytes > budget_ || used_ > budget_ - bytes) return false;
  const auto release = [&](Extent extent) {
    mapped_ -= extent.bytes;
    addresses_.Insert(extent);
    unmap.push_back(extent);
  };
  while (mapped_ + bytes > budget_ && !idle_.empty()) {
    const auto largest = std::prev(idle_.end());
    release({largest->second, largest->first});
    idle_.erase(largest);
  }
  for (auto slab = slabs_.begin(); mapped_ + bytes > budget_ && slab != slabs_.end();) {
    const Extent extent{*slab, slab_bytes_};
    if (!small_.Remove(extent)) {
      ++slab;
      continue;
    }
    release(extent);
    slab = slabs_.erase(slab);
  }
  return mapped_ + bytes <= budget_;
}

bool AddressSpace::Free(uint64_t address) {
  const auto it = allocations_.find(address);
  if (it == allocations_.end()) return false;
  const Extent extent{it->first, it->second};
  allocations_.erase(it);
  used_ -= extent.bytes;
  freed_since_fence_ = true;
  if (extent.bytes < slab_bytes_ / 2)
    small_.Insert(extent);
  else
    idle_.emplace(extent.bytes, extent.address);
  return true;
}

std::optional<Extent> AddressSpace::Find(uint64_t address) const {
  auto it = allocations_.upper_bound(address);
  if (it == allocations_.begin()) return std::nullopt;
  --it;
  if (address - it->first >= it->second) return std::nullopt;
  return Extent{it->first, it->second};
}

}  // namespace mignificient::client
