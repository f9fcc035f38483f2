#include "remoting/client/address_space.h"

#include <algorithm>

namespace mignificient::client {
namespace {

constexpr uint64_t kAlign = ExtentTable::kUnitBytes;
constexpr uint64_t kSlabBytes = 2 << 20;

uint64_t RoundUp(uint64_t value, uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

}  // namespace

void FreeRanges::Erase(std::map<uint64_t, uint64_t>::iterator it) {
  by_size_.erase({it->second, it->first});
  by_address_.erase(it);
}

void FreeRanges::Change(ByAddress::iterator it, Extent range) {
  auto size = by_size_.extract({it->second, it->first});
  size.value() = {range.bytes, range.address};
  by_size_.insert(std::move(size));
  if (it->first == range.address) {
    it->second = range.bytes;
    return;
  }
  const auto after = std::next(it);
  auto node = by_address_.extract(it);
  node.key() = range.address;
  node.mapped() = range.bytes;
  by_address_.insert(after, std::move(node));
}

void FreeRanges::Insert(Extent range) {
  const auto after = by_address_.lower_bound(range.address);
  const bool joins_after = after != by_address_.end() && range.address + range.bytes == after->first;
  if (after != by_address_.begin()) {
    const auto before = std::prev(after);
    if (before->first + before->second == range.address) {
      range = {before->first, before->second + range.bytes};
      if (joins_after) {
        range.bytes += after->second;
        Erase(after);
      }
      return Change(before, range);
    }
  }
  if (joins_after) return Change(after, {range.address, range.bytes + after->second});
  by_address_.emplace_hint(after, range.address, range.bytes);
  by_size_.emplace(range.bytes, range.address);
}

std::optional<Extent> FreeRanges::Take(uint64_t bytes, uint64_t align) {
  for (auto fit = by_size_.lower_bound({bytes, 0}); fit != by_size_.end(); ++fit) {
    const uint64_t address = RoundUp(fit->second, align);
    if (address < fit->second || address - fit->second > fit->first - bytes) continue;
    Cut(by_address_.find(fit->second), {address, bytes});
    return Extent{address, bytes};
  }
  return std::nullopt;
}

void FreeRanges::MoveTo(FreeRanges& other) {
  for (const auto& [address, bytes] : by_address_) other.Insert({address, bytes});
  by_address_.clear();
  by_size_.clear();
}

bool FreeRanges::Remove(Extent range) {
  auto it = by_address_.upper_bound(range.address);
  if (it == by_address_.begin()) return false;
  --it;
  if (it->first + it->second < range.address + range.bytes) return false;
  Cut(it, range);
  return true;
}

void FreeRanges::Cut(ByAddress::iterator it, Extent range) {
  const uint64_t begin = it->first, end = it->first + it->second, cut_end = range.address + range.bytes;
  if (begin == range.address && end == cut_end) return Erase(it);
  if (begin == range.address) return Change(it, {cut_end, end - cut_end});
  Change(it, {begin, range.address - begin});
  if (end == cut_end) return;
  by_address_.emplace_hint(std::next(it), cut_end, end - cut_end);
  by_size_.emplace(end - cut_end, cut_end);
}

AddressSpace::AddressSpace(Extent window, uint64_t granule, uint64_t budget)
    : window_(window),
      granule_(granule),
      budget_(budget),
      slab_bytes_(std::max(granule, kSlabBytes)),
      allocations_(window) {
  addresses_.Insert(window);
}

uint64_t AddressSpace::Rounded(uint64_t bytes) const {
  const uint64_t rounded = RoundUp(bytes, kAlign);
  return Small(rounded) ? rounded : RoundUp(bytes, granule_);
}

AddressSpace::Plan AddressSpace::Allocate(uint64_t bytes, uint64_t passed, Rather rather) {
  if (bytes == 0 || bytes > window_.bytes) return {};
  Settle(passed);
  const uint64_t rounded = Rounded(bytes);
  Plan plan = Small(rounded) ? AllocateSmall(rounded, rather) : AllocateLarge(rounded, rather);
  if (plan) allocations_.Insert({plan.address, bytes});
  return plan;
}

void AddressSpace::Settle(uint64_t passed) {
  for (; !pending_.empty() && pending_.front().epoch <= passed; pending_.pop_front()) {
    const auto& [epoch, extent] = pending_.front();
    if (Small(extent.bytes)) {
      pending_small_bytes_ -= extent.bytes;
    } else {
      auto size = pending_large_.find(extent.bytes);
      while (size->second != epoch) ++size;
      pending_large_.erase(size);
    }
    Unused(extent);
  }
}

void AddressSpace::Unused(Extent extent) {
  if (!Small(extent.bytes)) {
    idle_.emplace(extent.bytes, extent.address);
    return;
  }
  const uint64_t units = extent.bytes / kAlign;
  if (units >= spare_.size()) spare_.resize(units + 1);
  spare_[units].push_back(extent.address);
  spare_bytes_ += extent.bytes;
}

void AddressSpace::Grant(Plan& plan, uint64_t address, uint64_t bytes) {
  plan.granted = true;
  plan.address = address;
  used_ += bytes;
}

uint64_t AddressSpace::TakeSmall(uint64_t bytes) {
  const uint64_t units = bytes / kAlign;
  if (units < spare_.size() && !spare_[units].empty()) return TakeSpare(units);
  if (const auto range = small_.Take(bytes)) return range->address;
  if (fresh_.bytes >= bytes) {
    const uint64_t address = fresh_.address;
    fresh_ = {address + bytes, fresh_.bytes - bytes};
    return address;
  }
  if (spare_bytes_ + fresh_.bytes == 0) return 0;
  Join();
  const auto range = small_.Take(bytes);
  return range ? range->address : 0;
}

void AddressSpace::Join() {
  if (fresh_.bytes > 0) small_.Insert(fresh_);
  fresh_ = {};
  for (uint64_t units = 0; units < spare_.size(); ++units) {
    for (const uint64_t address : spare_[units]) small_.Insert({address, units * kAlign});
    spare_[units].clear();
  }
  spare_bytes_ = 0;
}

AddressSpace::Plan AddressSpace::AllocateSmall(uint64_t bytes, Rather rather) {
  Plan plan;
  if (const uint64_t address = TakeSmall(bytes)) {
    Grant(plan, address, bytes);
    return plan;
  }
  // Rather one more slab than a wait, unless a slab's worth is about to come back.
  if (rather == Rather::kWait && pending_small_bytes_ >= slab_bytes_) {
    plan.wait = pending_.front().epoch;
    return plan;
  }
  if (!MakeRoom(slab_bytes_, plan)) return plan;
  const auto slab = addresses_.Take(slab_bytes_, granule_);
  if (!slab) return plan;
  plan.map = slab;
  mapped_ += slab_bytes_;
  slabs_.insert(slab->address);
  if (fresh_.bytes > 0) small_.Insert(fresh_);
  fresh_ = {slab->address + bytes, slab_bytes_ - bytes};
  Grant(plan, slab->address, bytes);
  return plan;
}

AddressSpace::Plan AddressSpace::AllocateLarge(uint64_t bytes, Rather rather) {
  Plan plan;
  if (const auto idle = idle_.find(bytes); idle != idle_.end()) {
    const uint64_t address = idle->second;
    idle_.erase(idle);
    Grant(plan, address, bytes);
    return plan;
  }
  const auto pending = pending_large_.find(bytes);
  if (rather == Rather::kWait && pending != pending_large_.end()) {
    plan.wait = pending->second;
    return plan;
  }
  if (!MakeRoom(bytes, plan)) return plan;
  plan.map = addresses_.Take(bytes, granule_);
  if (!plan.map) return plan;
  mapped_ += bytes;
  Grant(plan, plan.map->address, bytes);
  return plan;
}

void AddressSpace::Undo(const Plan& plan) {
  Free(plan.address, 0);
  Join();
  if (slabs_.erase(plan.map->address) > 0)
    small_.Remove(*plan.map);
  else
    std::erase_if(idle_, [&](const auto& idle) { return idle.second == plan.map->address; });
  mapped_ -= plan.map->bytes;
  addresses_.Insert(*plan.map);
}

AddressSpace::Plan AddressSpace::Charge(uint64_t bytes, uint64_t passed) {
  Plan plan;
  Settle(passed);
  if (!MakeRoom(bytes, plan)) return plan;
  plan.granted = true;
  used_ += bytes;
  mapped_ += bytes;
  return plan;
}

void AddressSpace::Discharge(uint64_t bytes) {
  used_ -= bytes;
  mapped_ -= bytes;
}

std::optional<Extent> AddressSpace::Reserve(uint64_t bytes, uint64_t align, uint64_t hint) {
  align = std::max(align, granule_);
  if (bytes == 0 || bytes > window_.bytes) return std::nullopt;
  const Extent wanted{hint, RoundUp(bytes, granule_)};
  if (InWindow(hint) && hint % align == 0 && addresses_.Remove(wanted)) return wanted;
  return addresses_.Take(wanted.bytes, align);
}

bool AddressSpace::MakeRoom(uint64_t bytes, Plan& plan) {
  if (bytes > budget_ || used_ > budget_ - bytes) return false;
  ReleaseUntil(budget_ - bytes, plan.unmap);
  if (mapped_ <= budget_ - bytes) return true;
  if (!pending_.empty()) plan.wait = pending_.front().epoch;
  return false;
}

void AddressSpace::ReleaseUntil(uint64_t limit, std::vector<Extent>& unmap) {
  const auto release = [&](Extent extent) {
    mapped_ -= extent.bytes;
    addresses_.Insert(extent);
    unmap.push_back(extent);
  };
  while (mapped_ > limit && !idle_.empty()) {
    const auto largest = std::prev(idle_.end());
    release({largest->second, largest->first});
    idle_.erase(largest);
  }
  if (mapped_ > limit) Join();
  for (auto slab = slabs_.begin(); mapped_ > limit && slab != slabs_.end();) {
    const Extent extent{*slab, slab_bytes_};
    if (!small_.Remove(extent)) {
      ++slab;
      continue;
    }
    release(extent);
    slab = slabs_.erase(slab);
  }
}

std::vector<Extent> AddressSpace::ReleaseUnused(uint64_t passed) {
  std::vector<Extent> unmap;
  Settle(passed);
  ReleaseUntil(0, unmap);
  return unmap;
}

bool AddressSpace::Free(uint64_t address, uint64_t epoch) {
  const uint64_t asked = allocations_.Erase(address);
  if (asked == 0) return false;
  const Extent extent{address, Rounded(asked)};
  used_ -= extent.bytes;
  if (epoch == 0) {
    Unused(extent);
    return true;
  }
  if (Small(extent.bytes))
    pending_small_bytes_ += extent.bytes;
  else
    pending_large_.emplace(extent.bytes, epoch);
  pending_.push_back({epoch, extent});
  return true;
}

std::optional<Extent> AddressSpace::Find(uint64_t address) const {
  return allocations_.Find(address);
}

}  // namespace mignificient::client
