// What concerns other devices, other processes and atomics across the bus, as a system with one device and no such
// neighbours answers.

#include <algorithm>

#include "remoting/client/call.h"
#include "remoting/client/context.h"
#include "remoting/client/context_table.h"

namespace mignificient::client {
namespace {

constexpr int kAtomicOperations = 13;  // CUatomicOperation has as many
constexpr int kFlushCurrentContext = 0, kFlushToOwner = 100, kFlushToAllDevices = 200;

// A context of this process, which is always one of the same device.
CUresult CheckPeer(CUcontext peer, unsigned flags) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  if (peer == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  return Contexts().Find(peer) == nullptr ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
}

}  // namespace

MIG_EXPORT CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned flags) {
  const CUresult checked = CheckPeer(peer, flags);
  return checked != CUDA_SUCCESS ? checked : CUDA_ERROR_PEER_ACCESS_UNSUPPORTED;
}
MIG_EXPORT CUresult cuCtxDisablePeerAccess(CUcontext peer) {
  const CUresult checked = CheckPeer(peer, 0);
  return checked != CUDA_SUCCESS ? checked : CUDA_ERROR_PEER_ACCESS_NOT_ENABLED;
}

MIG_EXPORT CUresult cuCtxGetExecAffinity(void* affinity, int) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  return affinity == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
}

// A device that the host reaches over PCIe: none are native.
MIG_EXPORT CUresult cuDeviceGetHostAtomicCapabilities(unsigned* capabilities, const int* operations, unsigned count,
                                                      CUdevice device) {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
  if (capabilities == nullptr || operations == nullptr || count == 0) return CUDA_ERROR_INVALID_VALUE;
  const auto known = [](int operation) { return operation >= 0 && operation < kAtomicOperations; };
  if (!std::all_of(operations, operations + count, known)) return CUDA_ERROR_INVALID_VALUE;
  if (Device().attributes[CU_DEVICE_ATTRIBUTE_HOST_NATIVE_ATOMIC_SUPPORTED] != 0)
    return Refused("cuDeviceGetHostAtomicCapabilities of a device with native atomics");
  std::fill_n(capabilities, count, 0u);
  return CUDA_SUCCESS;
}
// Needs two different devices.
MIG_EXPORT CUresult cuDeviceGetP2PAtomicCapabilities(unsigned* capabilities, const int* operations, unsigned count,
                                                     CUdevice, CUdevice) {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  if (capabilities == nullptr || operations == nullptr || count == 0) return CUDA_ERROR_INVALID_VALUE;
  return CUDA_ERROR_INVALID_DEVICE;
}

// No other device writes to this one's memory (CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_SUPPORTED is 0).
MIG_EXPORT CUresult cuFlushGPUDirectRDMAWrites(int target, int scope) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  if (target != kFlushCurrentContext || (scope != kFlushToOwner && scope != kFlushToAllDevices))
    return CUDA_ERROR_INVALID_VALUE;
  return CUDA_ERROR_NOT_SUPPORTED;
}

}  // namespace mignificient::client
