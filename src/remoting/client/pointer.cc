// What a pointer is: answered from what this process has allocated.

#include <optional>

#include "remoting/client/allocations.h"
#include "remoting/client/call.h"
#include "remoting/client/globals.h"
#include "remoting/client/memory.h"
#include "remoting/client/memory_pool.h"
#include "remoting/client/virtual_memory.h"

namespace mignificient::client {
namespace {

// Device, pinned or managed memory; `kind` 0 for anything else, which CUDA calls unregistered host memory.
struct Pointer {
  unsigned memory_type = 0;
  Extent extent;
  bool managed = false;
  uint64_t device = 0;  // host memory: where the device has the extent; 0: nowhere
  CUmemoryPool pool = nullptr;
  std::optional<Extent> mapping;  // of memory that the program maps itself; `extent` is then the whole reservation
  int access = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
};

Pointer OfDevice(Extent extent) {
  return {CU_MEMORYTYPE_DEVICE, extent, false, extent.address, nullptr, std::nullopt};
}

Pointer Identify(CUdeviceptr ptr) {
  if (const auto pooled = TheMemoryPools().Find(ptr)) {
    Pointer pointer = OfDevice(pooled->extent);
    pointer.pool = pooled->pool;
    return pointer;
  }
  if (const auto range = TheVirtualMemory().FindReservation(ptr)) {
    Pointer pointer = OfDevice(*range);
    const auto mapping = TheVirtualMemory().FindMapping(ptr);
    if (!mapping) pointer.memory_type = 0;
    if (mapping) pointer.mapping = mapping->extent;
    if (mapping) pointer.access = mapping->access;
    return pointer;
  }
  // Nearly always one that the thread has named before; else, it may be memory that the program has not asked for.
  if (TheDeviceMemory().InWindow(ptr)) {
    if (const auto extent = TheAllocations().Named(ptr)) return OfDevice(*extent);
    if (const auto extent = TheDeviceMemory().Find(ptr)) return OfDevice(*extent);
  }
  if (const auto block = ThePinnedMemory().Find(ptr))
    return {block->managed() ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST,
            block->extent,
            block->managed(),
            block->device,
            nullptr,
            std::nullopt};
  if (const auto variable = TheGlobals().Find(ptr)) return OfDevice(*variable);
  return {};
}

template <typename T>
CUresult Put(void* data, T value) {
  *static_cast<T*>(data) = value;
  return CUDA_SUCCESS;
}

CUresult Attribute(const Pointer& pointer, CUdeviceptr ptr, int attribute, void* data) {
  const bool host = pointer.memory_type == CU_MEMORYTYPE_HOST || pointer.managed;
  const uint64_t offset = (host ? ThePinnedMemory().InProgram(ptr) : ptr) - pointer.extent.address;
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
      return Put(data, CurrentContext());
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
      return Put(data, pointer.memory_type);
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
      return pointer.device != 0 ? Put(data, pointer.device + offset) : CUDA_ERROR_INVALID_VALUE;
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
      return host ? Put(data, pointer.extent.address + offset) : CUDA_ERROR_INVALID_VALUE;
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
      return Put(data, TheDeviceMemory().IsSynchronous(ptr) ? 1u : 0u);
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
      return Put(data, static_cast<unsigned long long>(pointer.extent.address));
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
      return Put(data, pointer.managed ? 1u : 0u);
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
      return Put(data, 0);
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
      return Put(data, 0u);
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
      return Put(data, static_cast<CUdeviceptr>(pointer.extent.address));
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
      return Put(data, static_cast<size_t>(pointer.extent.bytes));
    case CU_POINTER_ATTRIBUTE_MAPPED:
      return Put(data, pointer.device != 0 ? 1u : 0u);
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
      return Put(data, uint64_t{0});
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE:
      return Put(data, 0u);
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
      return Put(data, pointer.access);
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
      return Put(data, pointer.pool);
    case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
      return Put(data, static_cast<size_t>(pointer.mapping.value_or(pointer.extent).bytes));
    case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
      return Put(data, static_cast<CUdeviceptr>(pointer.mapping.value_or(pointer.extent).address));
    case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
      return Put(data, static_cast<unsigned long long>(pointer.mapping.value_or(pointer.extent).address));
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

CUresult Answer(const Pointer& pointer, CUdeviceptr ptr, int attribute, void* data) {
  // Nothing is known of addresses that the program has reserved and not mapped.
  return pointer.memory_type != 0 ? Attribute(pointer, ptr, attribute, data) : CUDA_ERROR_INVALID_VALUE;
}

// What cuPointerGetAttributes reports about a pointer that CUDA does not know: nothing, as zeros, but for the pointer
// itself (0: of memory that it knows), which it takes for one of the host.
CUresult Absent(CUdeviceptr ptr, int attribute, void* data) {
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
      return Put(data, uint64_t{ptr});
    case CU_POINTER_ATTRIBUTE_CONTEXT:
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
    case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
    case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
    case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
      return Put(data, uint64_t{0});
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
      return Put(data, -2);
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
    case CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE:
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
    case CU_POINTER_ATTRIBUTE_MAPPED:
      return Put(data, 0u);
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

}  // namespace

MIG_EXPORT CUresult cuPointerGetAttribute(void* data, int attribute, CUdeviceptr ptr) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (data == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Pointer pointer = Identify(ptr);
  return Answer(pointer, ptr, attribute, data);
}

MIG_EXPORT CUresult cuPointerGetAttributes(unsigned count, int* attributes, void** data, CUdeviceptr ptr) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (attributes == nullptr || data == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Pointer pointer = Identify(ptr);
  for (unsigned i = 0; i < count; ++i) {
    if (data[i] == nullptr) return CUDA_ERROR_INVALID_VALUE;
    CUresult result = Answer(pointer, ptr, attributes[i], data[i]);
    if (result == CUDA_ERROR_INVALID_VALUE) result = Absent(pointer.memory_type == 0 ? ptr : 0, attributes[i], data[i]);
    if (result != CUDA_SUCCESS) return result;
  }
  return CUDA_SUCCESS;
}

// Copies that CUDA calls synchronous wait here anyway, so the setting is remembered, no more.
MIG_EXPORT CUresult cuPointerSetAttribute(const void* value, int attribute, CUdeviceptr ptr) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (value == nullptr || attribute != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS) return CUDA_ERROR_INVALID_VALUE;
  const bool synchronous = *static_cast<const unsigned*>(value) != 0;
  return TheDeviceMemory().SetSynchronous(ptr, synchronous) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

}  // namespace mignificient::client
