// The primary context: retained and released by every runtime library of the process.

#include "remoting/client/call.h"
#include "remoting/client/context.h"
#include "remoting/client/context_flags.h"
#include "remoting/client/context_storage.h"
#include "remoting/client/context_table.h"

namespace mignificient::client {
namespace {

// The flags that the next primary context gets; guarded by the table's lock.
constinit unsigned primary_flags = 0;

ContextRecord& Primary() {
  return Contexts().records[kPrimarySlot];
}

CUresult CheckDevice(CUdevice device) {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  return device == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

// Ends the primary context as far as the program can tell. The memory, streams and modules it still holds are given
// back when its process ends: the server has no command that ends a context and keeps the session.
void EndPrimary() {
  CUcontext context = nullptr;
  {
    const std::lock_guard lock(Contexts().lock);
    ContextRecord& primary = Primary();
    if (!primary.alive()) return;
    context = ContextTable::Handle(kPrimarySlot, primary.generation.load(std::memory_order_relaxed));
    primary.End();
    primary.references = 0;
    primary_flags = 0;
    primary.flags.store(0, std::memory_order_relaxed);
  }
  DestroyStorage(context);
}

CUresult Release(CUdevice device, CUresult if_not_retained) {
  if (const CUresult result = CheckDevice(device); result != CUDA_SUCCESS) return result;
  {
    const std::lock_guard lock(Contexts().lock);
    if (Primary().references == 0) return if_not_retained;
    if (--Primary().references != 0) return CUDA_SUCCESS;
  }
  EndPrimary();
  return CUDA_SUCCESS;
}

enum class WhileActive { kAllowed, kRefused };

CUresult SetFlags(CUdevice device, unsigned flags, WhileActive while_active) {
  if (const CUresult result = CheckDevice(device); result != CUDA_SUCCESS) return result;
  if (!ContextFlagsValid(flags)) return CUDA_ERROR_INVALID_VALUE;
  const std::lock_guard lock(Contexts().lock);
  if (while_active == WhileActive::kRefused && Primary().alive()) return CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE;
  primary_flags = flags;
  Primary().flags.store(flags, std::memory_order_relaxed);
  return CUDA_SUCCESS;
}

CUresult Reset(CUdevice device) {
  if (const CUresult result = CheckDevice(device); result != CUDA_SUCCESS) return result;
  EndPrimary();
  return CUDA_SUCCESS;
}

}  // namespace

CUresult RetainPrimary(CUcontext* context, CUdevice device) {
  if (const CUresult result = CheckDevice(device); result != CUDA_SUCCESS) return result;
  if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const std::lock_guard lock(Contexts().lock);
  ContextRecord& primary = Primary();
  if (!primary.alive()) Contexts().CreateLocked(kPrimarySlot, primary_flags);
  ++primary.references;
  *context = ContextTable::Handle(kPrimarySlot, primary.generation.load(std::memory_order_relaxed));
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  return RetainPrimary(context, device);
}
MIG_EXPORT CUresult cuDevicePrimaryCtxRelease(CUdevice device) {
  return Release(device, CUDA_SUCCESS);
}
MIG_EXPORT CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  return Release(device, CUDA_ERROR_INVALID_CONTEXT);
}
MIG_EXPORT CUresult cuDevicePrimaryCtxReset(CUdevice device) {
  return Reset(device);
}
MIG_EXPORT CUresult cuDevicePrimaryCtxReset_v2(CUdevice device) {
  return Reset(device);
}
MIG_EXPORT CUresult cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned flags) {
  return SetFlags(device, flags, WhileActive::kRefused);
}
MIG_EXPORT CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned flags) {
  return SetFlags(device, flags, WhileActive::kAllowed);
}

MIG_EXPORT CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned* flags, int* active) {
  if (const CUresult result = CheckDevice(device); result != CUDA_SUCCESS) return result;
  if (flags == nullptr || active == nullptr) return CUDA_ERROR_INVALID_VALUE;
  // Called before nearly every operation of a framework: no lock.
  *active = Primary().alive() ? 1 : 0;
  *flags = Primary().flags.load(std::memory_order_relaxed);
  return CUDA_SUCCESS;
}

}  // namespace mignificient::client
