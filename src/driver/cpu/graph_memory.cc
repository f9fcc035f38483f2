#include "driver/cpu/graph_memory.h"

#include <algorithm>
#include <utility>

namespace mignificient::cpu {

CUresult GraphMemory::Reserve(uint64_t bytes, std::shared_ptr<GraphAllocation>* allocation) {
  constexpr uint64_t kFar = uint64_t{1} << 46;
  if (bytes == 0 || bytes > kFar) return bytes == 0 ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_OUT_OF_MEMORY;
  auto made = std::make_shared<GraphAllocation>();
  made->bytes = bytes;
  made->mapped_bytes =
      (bytes + DeviceMemory::kGranularity - 1) / DeviceMemory::kGranularity * DeviceMemory::kGranularity;
  const std::lock_guard lock(mutex_);
  if (const CUresult result = memory_.Reserve(&made->address, made->mapped_bytes, 0, 0); result != CUDA_SUCCESS)
    return result;
  allocations_.push_back(made);
  *allocation = std::move(made);
  return CUDA_SUCCESS;
}

std::shared_ptr<GraphAllocation> GraphMemory::Find(CUdeviceptr address) {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find_if(allocations_, [&](const auto& each) { return each->address == address; });
  return found == allocations_.end() ? nullptr : *found;
}

bool GraphMemory::Covers(CUdeviceptr address) {
  const std::lock_guard lock(mutex_);
  return std::ranges::any_of(allocations_,
                             [&](const auto& each) { return address - each->address < each->mapped_bytes; });
}

CUresult GraphMemory::Hold(GraphAllocation& allocation) {
  const std::lock_guard lock(mutex_);
  if (allocation.held) return CUDA_ERROR_INVALID_VALUE;
  if (!allocation.mapped) {
    CUmemGenericAllocationHandle pages = 0;
    CUresult result = memory_.CreateAllocation(&pages, allocation.mapped_bytes);
    if (result != CUDA_SUCCESS) return result;
    result = memory_.Map(allocation.address, allocation.mapped_bytes, 0, pages);
    if (result == CUDA_SUCCESS) result = memory_.Allow(allocation.address, allocation.mapped_bytes);
    memory_.Release(pages);  // the mapping keeps them
    if (result != CUDA_SUCCESS) return result;
    allocation.mapped = true;
    reserved_ += allocation.mapped_bytes;
    most_reserved_ = std::max(most_reserved_, reserved_);
  }
  allocation.held = true;
  used_ += allocation.bytes;
  most_used_ = std::max(most_used_, used_);
  return CUDA_SUCCESS;
}

bool GraphMemory::Release(GraphAllocation& allocation) {
  const std::lock_guard lock(mutex_);
  if (!std::exchange(allocation.held, false)) return false;
  used_ -= allocation.bytes;
  return true;
}

uint64_t GraphMemory::Attribute(int attribute) {
  const std::lock_guard lock(mutex_);
  const uint64_t values[] = {used_, most_used_, reserved_, most_reserved_};
  return values[attribute];
}

void GraphMemory::Trim(const DeviceMemory::Drain& drain) {
  const std::lock_guard lock(mutex_);
  for (const auto& allocation : allocations_)
    if (!allocation->held) Unmap(*allocation, drain);
}

void GraphMemory::Collect(const DeviceMemory::Drain& drain) {
  const std::lock_guard lock(mutex_);
  std::erase_if(allocations_, [&](const auto& allocation) {
    if (allocation.use_count() > 1 || allocation->held) return false;
    Unmap(*allocation, drain);
    memory_.FreeReservation(allocation->address, allocation->mapped_bytes);
    return true;
  });
}

void GraphMemory::RemoveAll() {
  for (const auto& allocation : allocations_) allocation->held = false;
  Collect([] {});
}

void GraphMemory::Unmap(GraphAllocation& allocation, const DeviceMemory::Drain& drain) {
  if (!std::exchange(allocation.mapped, false)) return;
  memory_.Unmap(allocation.address, allocation.mapped_bytes, drain);
  reserved_ -= allocation.mapped_bytes;
}

}  // namespace mignificient::cpu
