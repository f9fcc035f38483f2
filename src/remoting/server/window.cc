#include "remoting/server/window.h"

namespace mignificient::server {

Result<std::unique_ptr<Window>> Window::Reserve(const Device& device, Session& session, uint64_t bytes, uint64_t hint) {
  CUdeviceptr base = 0;
  if (const CUresult result = device.driver->cuMemAddressReserve(&base, bytes, 0, hint, 0); result != CUDA_SUCCESS)
    return Fail(Code::kExhausted, "Reserving {} bytes of device addresses fails with {}.", bytes,
                static_cast<unsigned>(result));
  return std::unique_ptr<Window>(new Window(device, session, base, bytes));
}

Window::~Window() {
  for (const auto& [address, extent] : extents_) Drop(address, extent);
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

CUresult Window::Map(uint64_t address, uint64_t bytes) {
  if (!Allowed(address, bytes)) return CUDA_ERROR_INVALID_VALUE;
  if (!Session::Take(session_.mapped_bytes, bytes, session_.budget_bytes)) return CUDA_ERROR_OUT_OF_MEMORY;
  const CUresult result = Back(address, bytes);
  if (result != CUDA_SUCCESS) session_.mapped_bytes.fetch_sub(bytes, std::memory_order_relaxed);
  return result;
}

CUresult Window::Back(uint64_t address, uint64_t bytes) {
  const DriverTable& driver = *device_.driver;
  CUmemAllocationProp prop{};
  prop.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  prop.location = {CU_MEM_LOCATION_TYPE_DEVICE, device_.ordinal};
  CUmemGenericAllocationHandle memory = 0;
  if (const CUresult result = driver.cuMemCreate(&memory, bytes, &prop, 0); result != CUDA_SUCCESS) return result;
  if (const CUresult result = driver.cuMemMap(address, bytes, 0, memory, 0); result != CUDA_SUCCESS) {
    driver.cuMemRelease(memory);
    return result;
  }
  const CUmemAccessDesc access{prop.location, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
  const CUresult result = driver.cuMemSetAccess(address, bytes, &access, 1);
  if (result != CUDA_SUCCESS) {
    driver.cuMemUnmap(address, bytes);
    driver.cuMemRelease(memory);
    return result;
  }
  extents_.emplace(address, Extent{bytes, memory});
  return CUDA_SUCCESS;
}

CUresult Window::Unmap(uint64_t address, uint64_t bytes) {
  const auto it = extents_.find(address);
  if (it == extents_.end() || it->second.bytes != bytes) return CUDA_ERROR_INVALID_VALUE;
  Drop(address, it->second);
  extents_.erase(it);
  return CUDA_SUCCESS;
}

void Window::Drop(uint64_t address, const Extent& extent) {
  device_.driver->cuMemUnmap(address, extent.bytes);
  device_.driver->cuMemRelease(extent.memory);
  session_.mapped_bytes.fetch_sub(extent.bytes, std::memory_order_relaxed);
}

}  // namespace mignificient::server
