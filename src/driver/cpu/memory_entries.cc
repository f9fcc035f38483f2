// Virtual memory management and registered host memory.
#include "driver/cpu/entries.h"

namespace mignificient::cpu {
namespace {

constexpr unsigned kRegisterKnownFlags = 15;  // portable, device map, I/O memory, read only

bool OnThisDevice(const CUmemLocation& location) {
  return location.type == CU_MEM_LOCATION_TYPE_DEVICE && location.id == 0;
}

// Without a context nothing runs that could still use memory.
DeviceMemory::Drain DrainOf(Device& device) {
  return [context = device.context()] {
    if (context != nullptr) context->scheduler().WaitRunning();
  };
}

CUresult MemGetInfo(size_t* free_bytes, size_t* total_bytes) {
  return InContext([&](Context& context) {
    if (free_bytes == nullptr || total_bytes == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *free_bytes = context.device().memory().free_bytes();
    *total_bytes = context.device().memory().total_bytes();
    return CUDA_SUCCESS;
  });
}

CUresult MemGetAllocationGranularity(size_t* bytes, const CUmemAllocationProp* prop, int) {
  return OnDevice([&](Device&) {
    if (bytes == nullptr || prop == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *bytes = DeviceMemory::kGranularity;
    return CUDA_SUCCESS;
  });
}

CUresult MemAddressReserve(CUdeviceptr* ptr, size_t bytes, size_t align, CUdeviceptr hint, unsigned long long flags) {
  return OnDevice([&](Device& device) {
    if (ptr == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
    return device.memory().Reserve(ptr, bytes, align, hint);
  });
}

CUresult MemAddressFree(CUdeviceptr ptr, size_t bytes) {
  return OnDevice([&](Device& device) { return device.memory().FreeReservation(ptr, bytes); });
}

CUresult MemCreate(CUmemGenericAllocationHandle* handle, size_t bytes, const CUmemAllocationProp* prop,
                   unsigned long long flags) {
  return OnDevice([&](Device& device) {
    if (handle == nullptr || prop == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
    if (prop->type != CU_MEM_ALLOCATION_TYPE_PINNED || !OnThisDevice(prop->location)) return CUDA_ERROR_INVALID_VALUE;
    if (prop->requested_handle_types != 0) return CUDA_ERROR_NOT_SUPPORTED;
    return device.memory().CreateAllocation(handle, bytes);
  });
}

CUresult MemRelease(CUmemGenericAllocationHandle handle) {
  return OnDevice([&](Device& device) { return device.memory().Release(handle); });
}

CUresult MemMap(CUdeviceptr ptr, size_t bytes, size_t offset, CUmemGenericAllocationHandle handle,
                unsigned long long flags) {
  return OnDevice([&](Device& device) {
    return flags != 0 ? CUDA_ERROR_INVALID_VALUE : device.memory().Map(ptr, bytes, offset, handle);
  });
}

CUresult MemUnmap(CUdeviceptr ptr, size_t bytes) {
  return OnDevice([&](Device& device) { return device.memory().Unmap(ptr, bytes, DrainOf(device)); });
}

CUresult MemSetAccess(CUdeviceptr ptr, size_t bytes, const CUmemAccessDesc* desc, size_t count) {
  return OnDevice([&](Device& device) {
    if (desc == nullptr || count != 1 || !OnThisDevice(desc->location)) return CUDA_ERROR_INVALID_VALUE;
    if (desc->flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE) return device.memory().Allow(ptr, bytes);
    if (desc->flags == CU_MEM_ACCESS_FLAGS_PROT_NONE) return device.memory().Forbid(ptr, bytes, DrainOf(device));
    return CUDA_ERROR_NOT_SUPPORTED;
  });
}

CUresult MemHostRegister(void* host, size_t bytes, unsigned flags) {
  return InContext([&](Context& context) {
    if (flags > kRegisterKnownFlags) return CUDA_ERROR_INVALID_VALUE;
    if ((flags & CU_MEMHOSTREGISTER_READ_ONLY) != 0) return CUDA_ERROR_NOT_SUPPORTED;
    return context.device().memory().RegisterHost(reinterpret_cast<uint64_t>(host), bytes);
  });
}

CUresult MemHostUnregister(void* host) {
  return InContext([&](Context& context) {
    if (host == nullptr) return CUDA_ERROR_INVALID_VALUE;
    return context.device().memory().UnregisterHost(reinterpret_cast<uint64_t>(host), context.drain());
  });
}

}  // namespace

void FillMemoryEntries(DriverTable& table) {
  table.cuMemGetInfo_v2 = MemGetInfo;
  table.cuMemGetAllocationGranularity = MemGetAllocationGranularity;
  table.cuMemAddressReserve = MemAddressReserve;
  table.cuMemAddressFree = MemAddressFree;
  table.cuMemCreate = MemCreate;
  table.cuMemRelease = MemRelease;
  table.cuMemMap = MemMap;
  table.cuMemUnmap = MemUnmap;
  table.cuMemSetAccess = MemSetAccess;
  table.cuMemHostRegister_v2 = MemHostRegister;
  table.cuMemHostUnregister = MemHostUnregister;
}

}  // namespace mignificient::cpu
