// What a pointer is: answered from what this process has allocated.

#include "remoting/client/call.h"
#include "remoting/client/memory.h"

namespace mignificient::client {
namespace {

// Device, pinned or managed memory; `kind` 0 for anything else, which CUDA calls unregistered host memory.
struct Pointer {
  unsigned memory_type = 0;
  Extent extent;
  bool managed = false;
  uint64_t device = 0;  // host memory: where the device has the extent; 0: nowhere
};

Pointer Identify(CUdeviceptr ptr) {
  if (const auto extent = TheDeviceMemory().Find(ptr)) return {CU_MEMORYTYPE_DEVICE, *extent, false, extent->address};
  if (const auto block = ThePinnedMemory().Find(ptr))
    return {block->managed() ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST, block->extent, block->managed(),
            block->device};
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
    default:
      return CUDA_ERROR_NOT_SUPPORTED;
  }
}

// What cuPointerGetAttributes reports about a pointer that CUDA does not know: nothing, as zeros.
CUresult Absent(int attribute, void* data) {
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
      return Put(data, uint64_t{0});
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
      return Put(data, -2);
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
    case CU_POINTER_ATTRIBUTE_MAPPED:
      return Put(data, 0u);
    default:
      return CUDA_ERROR_NOT_SUPPORTED;
  }
}

}  // namespace

MIG_EXPORT CUresult cuPointerGetAttribute(void* data, int attribute, CUdeviceptr ptr) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (data == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Pointer pointer = Identify(ptr);
  return pointer.memory_type == 0 ? CUDA_ERROR_INVALID_VALUE : Attribute(pointer, ptr, attribute, data);
}

MIG_EXPORT CUresult cuPointerGetAttributes(unsigned count, int* attributes, void** data, CUdeviceptr ptr) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (attributes == nullptr || data == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Pointer pointer = Identify(ptr);
  for (unsigned i = 0; i < count; ++i) {
    if (data[i] == nullptr) return CUDA_ERROR_INVALID_VALUE;
    CUresult result =
        pointer.memory_type == 0 ? Absent(attributes[i], data[i]) : Attribute(pointer, ptr, attributes[i], data[i]);
    if (result == CUDA_ERROR_INVALID_VALUE) result = Absent(attributes[i], data[i]);
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
