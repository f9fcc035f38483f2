#include "remoting/server/window.h"

namespace mignificient::server {

CUresult Physical::Create(const Device& device, Session& session, uint64_t bytes, std::shared_ptr<Physical>& out) {
  if (bytes == 0 || bytes % device.granule_bytes != 0) return CUDA_ERROR_INVALID_VALUE;
  if (!Session::Take(session.mapped_bytes, bytes, session.budget_bytes)) return CUDA_ERROR_OUT_OF_MEMORY;
  CUmemAllocationProp prop{};
  prop.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  prop.location = {CU_MEM_LOCATION_TYPE_DEVICE, device.ordinal};
  CUmemGenericAllocationHandle handle = 0;
  const CUresult result = device.driver->cuMemCreate(&handle, bytes, &prop, 0);
  if (result != CUDA_SUCCESS) {
    session.mapped_bytes.fetch_sub(bytes, std::memory_order_relaxed);
    return result;
  }
  out.reset(new Physical(device, session, bytes, handle));
  return CUDA_SUCCESS;
}

Physical::~Physical() {
  device_.driver->cuMemRelease(handle_);
  session_.mapped_bytes.fetch_sub(bytes_, std::memory_order_relaxed);
}

Result<std::unique_ptr<Window>> Window::Reserve(const Device& device, Session& session, uint64_t bytes, uint64_t hint) {
  CUdeviceptr base = 0;
  if (const CUresult result = device.driver->cuMemAddressReserve(&base, bytes, 0, hint, 0); result != CUDA_SUCCESS)
    return Fail(Code::kExhausted, "Reserving {} bytes of device addresses fails with {}.", bytes,
                static_cast<unsigned>(result));
  return std::unique_ptr<Window>(new Window(device, session, base, bytes));
}

Window::~Window() {
  for (const auto& [address, extent] : extents_) device_.driver->cuMemUnmap(address, extent.bytes);
  extents_.clear();
  device_.driver->cuMemAddressFree(base_, bytes_);
}

bool Window::Allowed(uint64_t address, uint64_t bytes) const {
  const uint64_t granule = device_.granule_bytes;
  if (bytes == 0 || address % granule != 0 || bytes % granule != 0) return false;
  if (address < base_ || bytes > bytes_ || address - base_ > bytes_ - bytes) return false;
  const auto next = extents_.lower_bound(address);
  if (next != extents_.end() && next->first < address + bytes) return false;
  if (next == extents_.begin()) return true;
  const auto& [before, extent] = *std::prev(next);
  return before + extent.bytes <= address;
}

bool Window::WholeExtents(uint64_t address, uint64_t bytes) const {
  uint64_t covered = 0;
  for (auto it = extents_.find(address); it != extents_.end() && covered < bytes; ++it) {
    if (it->first != address + covered) return false;
    covered += it->second.bytes;
  }
  return bytes != 0 && covered == bytes;
}

bool Window::IsExtent(uint64_t address, uint64_t bytes) const {
  const auto extent = extents_.find(address);
  return extent != extents_.end() && extent->second.bytes == bytes;
}

CUresult Window::Map(uint64_t address, uint64_t bytes) {
  if (!Allowed(address, bytes)) return CUDA_ERROR_INVALID_VALUE;
  std::shared_ptr<Physical> memory;
  if (const CUresult result = Physical::Create(device_, session_, bytes, memory); result != CUDA_SUCCESS) return result;
  if (const CUresult result = Map(address, bytes, 0, std::move(memory)); result != CUDA_SUCCESS) return result;
  const CUresult result = SetAccess(address, bytes, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
  if (result != CUDA_SUCCESS) Unmap(address, bytes);
  return result;
}

CUresult Window::Map(uint64_t address, uint64_t bytes, uint64_t offset, std::shared_ptr<Physical> memory) {
  if (!Allowed(address, bytes) || offset % device_.granule_bytes != 0) return CUDA_ERROR_INVALID_VALUE;
  if (offset > memory->bytes() || bytes > memory->bytes() - offset) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = device_.driver->cuMemMap(address, bytes, offset, memory->handle(), 0);
  if (result == CUDA_SUCCESS) extents_.emplace(address, Extent{bytes, std::move(memory)});
  return result;
}

CUresult Window::SetAccess(uint64_t address, uint64_t bytes, int flags) {
  if (!WholeExtents(address, bytes)) return CUDA_ERROR_INVALID_VALUE;
  const CUmemAccessDesc access{{CU_MEM_LOCATION_TYPE_DEVICE, device_.ordinal}, flags};
  return device_.driver->cuMemSetAccess(address, bytes, &access, 1);
}

CUresult Window::Unmap(uint64_t address, uint64_t bytes) {
  if (!WholeExtents(address, bytes)) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = device_.driver->cuMemUnmap(address, bytes);
  if (result != CUDA_SUCCESS) return result;
  extents_.erase(extents_.find(address), extents_.lower_bound(address + bytes));
  return CUDA_SUCCESS;
}

}  // namespace mignificient::server
