// Contexts that the program creates, the current one, and what can be asked about it. Answered here: they are all one
// context of the server.

#include "remoting/client/context.h"

#include "remoting/client/call.h"
#include "remoting/client/context_flags.h"
#include "remoting/client/context_storage.h"
#include "remoting/client/context_table.h"

namespace mignificient::client {
namespace {

CUresult Create(CUcontext* context, unsigned flags, CUdevice device) {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
  if (!ContextFlagsValid(flags)) return CUDA_ERROR_INVALID_VALUE;
  if (current_stack.depth == ContextStack::kMaxDepth) return CUDA_ERROR_OUT_OF_MEMORY;
  const std::lock_guard lock(Contexts().lock);
  *context = Contexts().CreateLocked(flags);
  if (*context == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
  current_stack.Push(*context);
  return CUDA_SUCCESS;
}

CUresult Destroy(CUcontext context) {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
  {
    const std::lock_guard lock(Contexts().lock);
    ContextRecord* record = Contexts().Find(context);
    if (record == nullptr || record == &Contexts().records[kPrimarySlot]) return CUDA_ERROR_INVALID_CONTEXT;
    record->End();
  }
  DestroyStorage(context);
  if (CurrentContext() == context) current_stack.Pop();
  return CUDA_SUCCESS;
}

CUresult Push(CUcontext context) {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (Contexts().Find(context) == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  return current_stack.Push(context) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult Pop(CUcontext* context) {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  if (CurrentContext() == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  if (context != nullptr) *context = CurrentContext();
  current_stack.Pop();
  return CUDA_SUCCESS;
}

// The record of the calling thread's context, or the error for there being none.
CUresult Current(ContextRecord*& record) {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  if (CurrentContext() == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  record = Contexts().Find(CurrentContext());
  return record == nullptr ? CUDA_ERROR_CONTEXT_IS_DESTROYED : CUDA_SUCCESS;
}

// Null means the current one.
CUresult RecordOf(CUcontext context, ContextRecord*& record) {
  if (context == nullptr) return Current(record);
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  record = Contexts().Find(context);
  return record == nullptr ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
}

CUresult GetSetting(int* value, std::atomic<int> ContextRecord::* setting) {
  ContextRecord* record = nullptr;
  if (const CUresult result = Current(record); result != CUDA_SUCCESS) return result;
  if (value == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *value = (record->*setting).load(std::memory_order_relaxed);
  return CUDA_SUCCESS;
}

// A preference: the hardware of today has nothing to set, so it is only remembered.
CUresult SetSetting(int value, int highest, std::atomic<int> ContextRecord::* setting) {
  ContextRecord* record = nullptr;
  if (const CUresult result = Current(record); result != CUDA_SUCCESS) return result;
  if (value < 0 || value > highest) return CUDA_ERROR_INVALID_VALUE;
  (record->*setting).store(value, std::memory_order_relaxed);
  return CUDA_SUCCESS;
}

constexpr int kHighestCacheConfig = 3;
constexpr int kHighestSharedConfig = 2;

}  // namespace

MIG_EXPORT CUresult cuCtxCreate(CUcontext* context, unsigned flags, CUdevice device) {
  return Create(context, flags, device);
}
MIG_EXPORT CUresult cuCtxCreate_v2(CUcontext* context, unsigned flags, CUdevice device) {
  return Create(context, flags, device);
}
MIG_EXPORT CUresult cuCtxCreate_v3(CUcontext* context, const void* affinities, int affinity_count, unsigned flags,
                                   CUdevice device) {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
  if (affinities != nullptr || affinity_count != 0) return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
  return Create(context, flags, device);
}
// What cuCtxCreate_v4 can be given besides flags, CUctxCreateParams of cuda.h: nothing of it is offered.
struct CreateParameters {
  const void* affinities;
  int affinity_count;
  const void* graphics;
};
MIG_EXPORT CUresult cuCtxCreate_v4(CUcontext* context, const CreateParameters* parameters, unsigned flags,
                                   CUdevice device) {
  if (parameters != nullptr && (parameters->affinities != nullptr || parameters->graphics != nullptr))
    return Refused("cuCtxCreate_v4 with parameters");
  return Create(context, flags, device);
}
MIG_EXPORT CUresult cuCtxDestroy(CUcontext context) {
  return Destroy(context);
}
MIG_EXPORT CUresult cuCtxDestroy_v2(CUcontext context) {
  return Destroy(context);
}

MIG_EXPORT CUresult cuCtxAttach(CUcontext* context, unsigned flags) {
  ContextRecord* record = nullptr;
  if (const CUresult result = Current(record); result != CUDA_SUCCESS) return result;
  if (context == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  *context = CurrentContext();
  return CUDA_SUCCESS;
}
MIG_EXPORT CUresult cuCtxDetach(CUcontext context) {
  return context == nullptr && Initialized() == CUDA_SUCCESS ? CUDA_ERROR_INVALID_CONTEXT : Destroy(context);
}

MIG_EXPORT CUresult cuCtxPushCurrent(CUcontext context) {
  return Push(context);
}
MIG_EXPORT CUresult cuCtxPushCurrent_v2(CUcontext context) {
  return Push(context);
}
MIG_EXPORT CUresult cuCtxPopCurrent(CUcontext* context) {
  return Pop(context);
}
MIG_EXPORT CUresult cuCtxPopCurrent_v2(CUcontext* context) {
  return Pop(context);
}

MIG_EXPORT CUresult cuCtxGetCurrent(CUcontext* context) {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *context = CurrentContext();
  return CUDA_SUCCESS;
}

// Replaces the innermost context; null removes it.
MIG_EXPORT CUresult cuCtxSetCurrent(CUcontext context) {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  if (context == nullptr) {
    if (CurrentContext() != nullptr) current_stack.Pop();
    return CUDA_SUCCESS;
  }
  if (context != CurrentContext() && Contexts().Find(context) == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  if (CurrentContext() == nullptr) return Push(context);
  current_stack.top = context;
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuCtxGetDevice_v2(CUdevice* device, CUcontext context) {
  ContextRecord* record = nullptr;
  if (const CUresult result = RecordOf(context, record); result != CUDA_SUCCESS) return result;
  if (device == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *device = 0;
  return CUDA_SUCCESS;
}

// Driver 580 answers this one for a context that is current but destroyed.
MIG_EXPORT CUresult cuCtxGetDevice(CUdevice* device) {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  if (CurrentContext() == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  if (device == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *device = 0;
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuCtxGetFlags(unsigned* flags) {
  ContextRecord* record = nullptr;
  if (const CUresult result = Current(record); result != CUDA_SUCCESS) return result;
  if (flags == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *flags = record->flags.load(std::memory_order_relaxed) | kMapHost;
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuCtxSetFlags(unsigned flags) {
  ContextRecord* record = nullptr;
  if (const CUresult result = Current(record); result != CUDA_SUCCESS) return result;
  if (!ContextFlagsValid(flags)) return CUDA_ERROR_INVALID_VALUE;
  record->flags.store(flags, std::memory_order_relaxed);
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuCtxGetId(CUcontext context, unsigned long long* id) {
  ContextRecord* record = nullptr;
  if (const CUresult result = RecordOf(context, record); result != CUDA_SUCCESS) return result;
  if (id == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *id = record->id.load(std::memory_order_relaxed);
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuCtxGetApiVersion(CUcontext context, unsigned* version) {
  ContextRecord* record = nullptr;
  if (const CUresult result = RecordOf(context, record); result != CUDA_SUCCESS) return result;
  if (version == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *version = Device().context_api_version;
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuCtxGetStreamPriorityRange(int* least, int* greatest) {
  ContextRecord* record = nullptr;
  if (const CUresult result = Current(record); result != CUDA_SUCCESS) return result;
  if (least != nullptr) *least = Device().least_priority;
  if (greatest != nullptr) *greatest = Device().greatest_priority;
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuCtxGetCacheConfig(int* config) {
  return GetSetting(config, &ContextRecord::cache_config);
}
MIG_EXPORT CUresult cuCtxSetCacheConfig(int config) {
  return SetSetting(config, kHighestCacheConfig, &ContextRecord::cache_config);
}
MIG_EXPORT CUresult cuCtxGetSharedMemConfig(int* config) {
  return GetSetting(config, &ContextRecord::shared_config);
}
MIG_EXPORT CUresult cuCtxSetSharedMemConfig(int config) {
  return SetSetting(config, kHighestSharedConfig, &ContextRecord::shared_config);
}
MIG_EXPORT CUresult cuFuncSetSharedMemConfig(CUfunction function, int config) {
  ContextRecord* record = nullptr;
  if (const CUresult result = Current(record); result != CUDA_SUCCESS) return result;
  if (!IsA(wire::HandleKind::kFunction, function) && !IsA(wire::HandleKind::kKernel, function))
    return CUDA_ERROR_INVALID_HANDLE;
  return config < 0 || config > kHighestSharedConfig ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

}  // namespace mignificient::client
