#include "remoting/client/virtual_space.h"

namespace mignificient::client {
namespace {

// The entry of `map` that begins at or before `address`.
template <typename Map>
auto Before(Map& map, uint64_t address) {
  auto it = map.upper_bound(address);
  return it == map.begin() ? map.end() : std::prev(it);
}

}  // namespace

void VirtualSpace::Reserved(Extent range, uint64_t given) {
  reservations_.emplace(range.address, Reservation{range.bytes, given});
}

CUresult VirtualSpace::Unreserve(uint64_t address, uint64_t given, Extent& range) {
  const auto it = reservations_.find(address);
  if (it == reservations_.end() || it->second.given != given) return CUDA_ERROR_INVALID_VALUE;
  const auto mapping = mappings_.lower_bound(address);
  if (mapping != mappings_.end() && mapping->first - address < it->second.bytes) return CUDA_ERROR_INVALID_VALUE;
  range = {address, it->second.bytes};
  reservations_.erase(it);
  return CUDA_SUCCESS;
}

void VirtualSpace::Created(Handle handle, uint64_t bytes, const CUmemAllocationProp& prop) {
  memory_.emplace(handle, Memory{bytes, prop, 1, 0});
}

const CUmemAllocationProp* VirtualSpace::Properties(Handle handle) const {
  const auto it = memory_.find(handle);
  return it == memory_.end() || it->second.references == 0 ? nullptr : &it->second.prop;
}

std::optional<uint64_t> VirtualSpace::DropIfGone(Handle handle) {
  const auto it = memory_.find(handle);
  if (it->second.references > 0 || it->second.mappings > 0) return std::nullopt;
  const uint64_t bytes = it->second.bytes;
  memory_.erase(it);
  return bytes;
}

CUresult VirtualSpace::Release(Handle handle, std::optional<uint64_t>& gone) {
  if (Properties(handle) == nullptr) return CUDA_ERROR_INVALID_VALUE;
  --memory_.at(handle).references;
  gone = DropIfGone(handle);
  return CUDA_SUCCESS;
}

CUresult VirtualSpace::Retain(uint64_t address, Handle& handle) {
  const auto mapping = FindMapping(address);
  if (!mapping) return CUDA_ERROR_INVALID_VALUE;
  handle = mapping->handle;
  ++memory_.at(handle).references;
  return CUDA_SUCCESS;
}

bool VirtualSpace::InReservation(uint64_t address, uint64_t bytes) const {
  const auto range = FindReservation(address);
  return range && bytes <= range->bytes - (address - range->address);
}

CUresult VirtualSpace::MayMap(uint64_t address, uint64_t bytes, uint64_t offset, Handle handle) const {
  if (bytes == 0 || Properties(handle) == nullptr) return CUDA_ERROR_INVALID_VALUE;
  // What is no part of the memory comes before where it would be, as driver 580 has it.
  const uint64_t whole = memory_.at(handle).bytes;
  if (bytes % granule_ != 0 || offset % granule_ != 0 || offset > whole || bytes > whole - offset)
    return CUDA_ERROR_NOT_SUPPORTED;
  if (address % granule_ != 0) return CUDA_ERROR_INVALID_VALUE;
  if (!InReservation(address, bytes) || FindMapping(address)) return CUDA_ERROR_INVALID_VALUE;
  const auto next = mappings_.lower_bound(address);
  return next != mappings_.end() && next->first - address < bytes ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

void VirtualSpace::Mapped(uint64_t address, uint64_t bytes, Handle handle) {
  mappings_.emplace(address, Mapping{{address, bytes}, handle, CU_MEM_ACCESS_FLAGS_PROT_NONE});
  ++memory_.at(handle).mappings;
}

bool VirtualSpace::WholeMappings(uint64_t address, uint64_t bytes) const {
  uint64_t covered = 0;
  for (auto it = mappings_.find(address); it != mappings_.end() && covered < bytes; ++it) {
    if (it->first != address + covered) return false;
    covered += it->second.extent.bytes;
  }
  return bytes != 0 && covered == bytes;
}

std::optional<std::vector<Extent>> VirtualSpace::MayUnmap(uint64_t address, uint64_t bytes) const {
  if (bytes == 0 || address % granule_ != 0 || bytes % granule_ != 0 || !InReservation(address, bytes))
    return std::nullopt;
  std::vector<Extent> extents;
  if (const auto first = FindMapping(address); first && first->extent.address < address) return std::nullopt;
  for (auto it = mappings_.lower_bound(address); it != mappings_.end() && it->first - address < bytes; ++it) {
    if (it->second.extent.bytes > bytes - (it->first - address)) return std::nullopt;
    extents.push_back(it->second.extent);
  }
  return extents;
}

std::optional<std::pair<VirtualSpace::Handle, uint64_t>> VirtualSpace::Unmapped(uint64_t address) {
  const auto mapping = mappings_.extract(address);
  const Handle handle = mapping.mapped().handle;
  --memory_.at(handle).mappings;
  const auto gone = DropIfGone(handle);
  return gone ? std::optional(std::pair(handle, *gone)) : std::nullopt;
}

void VirtualSpace::SetAccess(uint64_t address, uint64_t bytes, int flags) {
  const auto end = mappings_.lower_bound(address + bytes);
  for (auto it = mappings_.find(address); it != end; ++it) it->second.access = flags;
}

std::optional<VirtualSpace::Mapping> VirtualSpace::FindMapping(uint64_t address) const {
  const auto it = Before(mappings_, address);
  if (it == mappings_.end() || address - it->first >= it->second.extent.bytes) return std::nullopt;
  return it->second;
}

std::optional<Extent> VirtualSpace::FindAccessible(uint64_t address) const {
  const auto usable = [](const auto& it) { return it->second.access != CU_MEM_ACCESS_FLAGS_PROT_NONE; };
  const auto at = Before(mappings_, address);
  if (at == mappings_.end() || address - at->first >= at->second.extent.bytes || !usable(at)) return std::nullopt;
  Extent found = at->second.extent;
  for (auto it = at; it != mappings_.begin();) {
    --it;
    if (!usable(it) || it->first + it->second.extent.bytes != found.address) break;
    found = {it->first, found.bytes + it->second.extent.bytes};
  }
  for (auto it = std::next(at); it != mappings_.end() && usable(it) && it->first == found.address + found.bytes; ++it)
    found.bytes += it->second.extent.bytes;
  return found;
}

std::optional<Extent> VirtualSpace::FindReservation(uint64_t address) const {
  const auto it = Before(reservations_, address);
  if (it == reservations_.end() || address - it->first >= it->second.bytes) return std::nullopt;
  return Extent{it->first, it->second.bytes};
}

}  // namespace mignificient::client
