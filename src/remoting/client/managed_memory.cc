// Managed memory: host memory that the device reaches at the program's address (PinnedMemory). Both sides may use it at
// any time and nothing moves, so attaching, advising, prefetching and discarding have nothing to do: what the program
// says is checked as CUDA checks it, remembered, and reported back.

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <mutex>

#include "remoting/client/call.h"
#include "remoting/client/managed_ranges.h"
#include "remoting/client/memory.h"
#include "remoting/client/program_pages.h"

extern "C" CUresult cuStreamGetFlags(CUstream stream, unsigned* flags);

namespace mignificient::client {
namespace {

constexpr unsigned kAttachGlobal = 1, kAttachHost = 2, kAttachSingle = 4;
constexpr CUdevice kCpu = -1, kNoDevice = -2;

struct Advised {
  std::mutex lock;
  ManagedRanges ranges;
};
Advised& TheAdvised() {
  static auto& advised = *new Advised;
  return advised;
}

bool IsManaged(Extent range) {
  const auto block = ThePinnedMemory().Find(range.address);
  return block && block->managed() && range.bytes > 0 &&
         range.bytes <= block->extent.bytes - (range.address - block->extent.address);
}

CUresult CheckStream(CUstream stream) {
  unsigned flags;
  return cuStreamGetFlags(stream, &flags);
}

bool IsHostNode(int id) {
  char path[64];
  std::snprintf(path, sizeof path, "/sys/devices/system/node/node%d", id);
  return id >= 0 && (id == 0 || ::access(path, F_OK) == 0);
}

// The first forms of the entry points name a device, or -1 for the CPU.
CUmemLocation LocationOf(CUdevice device) {
  return device == kCpu ? CUmemLocation{kOnHost, 0} : CUmemLocation{kOnDevice, device};
}

CUresult CheckLocation(const CUmemLocation& location) {
  switch (location.type) {
    case kOnDevice:
      return location.id == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
    case kOnHostNode:
      return IsHostNode(location.id) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    case kOnHost:
    case kOnCurrentHostNode:
      return CUDA_SUCCESS;
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

// As it is reported: the node in question by its number.
CUmemLocation Settled(CUmemLocation location) {
  if (location.type != kOnCurrentHostNode) return location.type == kOnHost ? CUmemLocation{kOnHost, 0} : location;
  unsigned cpu = 0, node = 0;
  ::getcpu(&cpu, &node);
  return {kOnHostNode, static_cast<int>(node)};
}

template <typename Change>
void Remember(Extent range, Change change) {
  const std::lock_guard lock(TheAdvised().lock);
  TheAdvised().ranges.Update(PagesOf(range), change);
}

CUresult Advise(Extent range, int advice, CUmemLocation location) {
  enum { kSetReadMostly = 1, kUnsetReadMostly, kSetPreferred, kUnsetPreferred, kSetAccessedBy, kUnsetAccessedBy };
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (advice < kSetReadMostly || advice > kUnsetAccessedBy || !IsManaged(range)) return CUDA_ERROR_INVALID_VALUE;
  if (advice >= kSetAccessedBy || advice == kSetPreferred)
    if (const CUresult checked = CheckLocation(location); checked != CUDA_SUCCESS) return checked;
  if (advice >= kSetAccessedBy && location.type > kOnHost) return CUDA_ERROR_INVALID_VALUE;
  Remember(range, [&](RangeState& state) {
    if (advice <= kUnsetReadMostly)
      state.read_mostly = advice == kSetReadMostly;
    else if (advice <= kUnsetPreferred)
      state.preferred = advice == kSetPreferred ? Settled(location) : CUmemLocation{kNowhere, 0};
    else
      (location.type == kOnDevice ? state.accessed_by_device : state.accessed_by_host) = advice == kSetAccessedBy;
  });
  return CUDA_SUCCESS;
}

CUresult Prefetch(Extent range, CUmemLocation location, CUstream stream) {
  if (const CUresult checked = CheckStream(stream); checked != CUDA_SUCCESS) return checked;
  if (!IsManaged(range)) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult checked = CheckLocation(location); checked != CUDA_SUCCESS) return checked;
  Remember(range, [&](RangeState& state) { state.prefetched = Settled(location); });
  return CUDA_SUCCESS;
}

// The arguments of the batched forms.
struct Batch {
  const CUdeviceptr* addresses;
  const size_t* sizes;
  size_t count;
  unsigned long long flags;
  CUstream stream;
};

CUresult Check(const Batch& batch) {
  if (const CUresult checked = CheckStream(batch.stream); checked != CUDA_SUCCESS) return checked;
  if (batch.stream == nullptr || batch.stream == CuStreamLegacy()) return CUDA_ERROR_INVALID_HANDLE;
  if (batch.addresses == nullptr || batch.sizes == nullptr || batch.count == 0 || batch.flags != 0)
    return CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < batch.count; ++i)
    if (!IsManaged({batch.addresses[i], batch.sizes[i]})) return CUDA_ERROR_INVALID_VALUE;
  return CUDA_SUCCESS;
}

// locations[k] is for the ranges from number firsts[k] on.
CUresult PrefetchBatch(const Batch& batch, const CUmemLocation* locations, const size_t* firsts, size_t count) {
  if (const CUresult checked = Check(batch); checked != CUDA_SUCCESS) return checked;
  if (locations == nullptr || firsts == nullptr || count == 0 || count > batch.count || firsts[0] != 0)
    return CUDA_ERROR_INVALID_VALUE;
  for (size_t k = 0; k < count; ++k) {
    if (const CUresult checked = CheckLocation(locations[k]); checked != CUDA_SUCCESS) return checked;
    if (firsts[k] >= batch.count || (k > 0 && firsts[k] <= firsts[k - 1])) return CUDA_ERROR_INVALID_VALUE;
  }
  for (size_t i = 0, k = 0; i < batch.count; ++i) {
    if (k + 1 < count && i == firsts[k + 1]) ++k;
    Remember({batch.addresses[i], batch.sizes[i]},
             [&](RangeState& state) { state.prefetched = Settled(locations[k]); });
  }
  return CUDA_SUCCESS;
}

// --- Attributes of ranges -------------------------------------------------------------------------------------------

int DeviceOf(const CUmemLocation& location) {
  return location.type == kOnDevice ? location.id : location.type == kOnHost ? kCpu : kNoDevice;
}

CUresult PutAccessedBy(const RangeState& state, void* data, size_t bytes) {
  if (bytes == 0 || bytes % sizeof(int) != 0) return CUDA_ERROR_INVALID_VALUE;
  const size_t room = bytes / sizeof(int);
  auto* devices = static_cast<int*>(data);
  std::fill_n(devices, room, kNoDevice);
  size_t count = 0;
  if (state.accessed_by_device) devices[count++] = 0;
  if (state.accessed_by_host && count < room) devices[count] = kCpu;
  return CUDA_SUCCESS;
}

CUresult PutAttribute(const RangeState& state, int attribute, void* data, size_t bytes) {
  enum {
    kReadMostly = 1,
    kPreferred,
    kAccessedBy,
    kPrefetched,
    kPreferredType,
    kPreferredId,
    kPrefetchedType,
    kPrefetchedId
  };
  if (attribute == kAccessedBy) return PutAccessedBy(state, data, bytes);
  int value = 0;
  switch (attribute) {
    case kReadMostly:
      value = state.read_mostly ? 1 : 0;
      break;
    case kPreferred:
      value = DeviceOf(state.preferred);
      break;
    case kPrefetched:
      value = DeviceOf(state.prefetched);
      break;
    case kPreferredType:
      value = state.preferred.type;
      break;
    case kPreferredId:
      value = state.preferred.id;
      break;
    case kPrefetchedType:
      value = state.prefetched.type;
      break;
    case kPrefetchedId:
      value = state.prefetched.id;
      break;
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
  if (bytes != sizeof value) return CUDA_ERROR_INVALID_VALUE;
  std::memcpy(data, &value, sizeof value);
  return CUDA_SUCCESS;
}

}  // namespace

void ForgetAdvice(Extent range) {
  const std::lock_guard lock(TheAdvised().lock);
  TheAdvised().ranges.Forget(range);
}

MIG_EXPORT CUresult cuMemAllocManaged(CUdeviceptr* ptr, size_t bytes, unsigned flags) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  if (ptr == nullptr || bytes == 0 || (flags != kAttachGlobal && flags != kAttachHost)) return CUDA_ERROR_INVALID_VALUE;
  if (Device().attributes[CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY] == 0) return CUDA_ERROR_NOT_SUPPORTED;
  void* address = nullptr;
  const CUresult result = ThePinnedMemory().Allocate(bytes, flags, PinnedMemory::Kind::kManaged, address);
  if (result == CUDA_SUCCESS) *ptr = reinterpret_cast<CUdeviceptr>(address);
  return result;
}

MIG_EXPORT CUresult cuStreamAttachMemAsync(CUstream stream, CUdeviceptr ptr, size_t bytes, unsigned flags) {
  if (const CUresult checked = CheckStream(stream); checked != CUDA_SUCCESS) return checked;
  const auto block = ThePinnedMemory().Find(ptr);
  if (!block || !block->managed() || block->extent.address != ptr) return CUDA_ERROR_INVALID_VALUE;
  // Part of an allocation cannot be attached.
  if (bytes != 0 && bytes != block->asked) return CUDA_ERROR_INVALID_VALUE;
  const bool one = flags == kAttachGlobal || flags == kAttachHost || flags == kAttachSingle;
  if (!one || (flags == kAttachSingle && (stream == nullptr || stream == CuStreamLegacy())))
    return CUDA_ERROR_INVALID_VALUE;
  return CUDA_SUCCESS;
}
MIG_EXPORT CUresult cuStreamAttachMemAsync_ptsz(CUstream stream, CUdeviceptr ptr, size_t bytes, unsigned flags) {
  return cuStreamAttachMemAsync(PerThread(stream), ptr, bytes, flags);
}

MIG_EXPORT CUresult cuMemAdvise(CUdeviceptr ptr, size_t bytes, int advice, CUdevice device) {
  return Advise({ptr, bytes}, advice, LocationOf(device));
}
MIG_EXPORT CUresult cuMemAdvise_v2(CUdeviceptr ptr, size_t bytes, int advice, CUmemLocation location) {
  return Advise({ptr, bytes}, advice, location);
}

MIG_EXPORT CUresult cuMemPrefetchAsync(CUdeviceptr ptr, size_t bytes, CUdevice device, CUstream stream) {
  return Prefetch({ptr, bytes}, LocationOf(device), stream);
}
MIG_EXPORT CUresult cuMemPrefetchAsync_ptsz(CUdeviceptr ptr, size_t bytes, CUdevice device, CUstream stream) {
  return Prefetch({ptr, bytes}, LocationOf(device), PerThread(stream));
}
MIG_EXPORT CUresult cuMemPrefetchAsync_v2(CUdeviceptr ptr, size_t bytes, CUmemLocation location, unsigned flags,
                                          CUstream stream) {
  return flags != 0 ? InvalidValue() : Prefetch({ptr, bytes}, location, stream);
}
MIG_EXPORT CUresult cuMemPrefetchAsync_v2_ptsz(CUdeviceptr ptr, size_t bytes, CUmemLocation location, unsigned flags,
                                               CUstream stream) {
  return cuMemPrefetchAsync_v2(ptr, bytes, location, flags, PerThread(stream));
}

MIG_EXPORT CUresult cuMemPrefetchBatchAsync(CUdeviceptr* addresses, size_t* sizes, size_t count,
                                            CUmemLocation* locations, size_t* firsts, size_t location_count,
                                            unsigned long long flags, CUstream stream) {
  return PrefetchBatch({addresses, sizes, count, flags, stream}, locations, firsts, location_count);
}
MIG_EXPORT CUresult cuMemPrefetchBatchAsync_ptsz(CUdeviceptr* addresses, size_t* sizes, size_t count,
                                                 CUmemLocation* locations, size_t* firsts, size_t location_count,
                                                 unsigned long long flags, CUstream stream) {
  return PrefetchBatch({addresses, sizes, count, flags, PerThread(stream)}, locations, firsts, location_count);
}
// What is discarded may be read as anything, so also as what it was.
MIG_EXPORT CUresult cuMemDiscardBatchAsync(CUdeviceptr* addresses, size_t* sizes, size_t count,
                                           unsigned long long flags, CUstream stream) {
  return Check({addresses, sizes, count, flags, stream});
}
MIG_EXPORT CUresult cuMemDiscardBatchAsync_ptsz(CUdeviceptr* addresses, size_t* sizes, size_t count,
                                                unsigned long long flags, CUstream stream) {
  return Check({addresses, sizes, count, flags, PerThread(stream)});
}
MIG_EXPORT CUresult cuMemDiscardAndPrefetchBatchAsync(CUdeviceptr* addresses, size_t* sizes, size_t count,
                                                      CUmemLocation* locations, size_t* firsts, size_t location_count,
                                                      unsigned long long flags, CUstream stream) {
  return PrefetchBatch({addresses, sizes, count, flags, stream}, locations, firsts, location_count);
}
MIG_EXPORT CUresult cuMemDiscardAndPrefetchBatchAsync_ptsz(CUdeviceptr* addresses, size_t* sizes, size_t count,
                                                           CUmemLocation* locations, size_t* firsts,
                                                           size_t location_count, unsigned long long flags,
                                                           CUstream stream) {
  return PrefetchBatch({addresses, sizes, count, flags, PerThread(stream)}, locations, firsts, location_count);
}

MIG_EXPORT CUresult cuMemRangeGetAttributes(void** data, size_t* sizes, int* attributes, size_t count, CUdeviceptr ptr,
                                            size_t bytes) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (data == nullptr || sizes == nullptr || attributes == nullptr || count == 0 || !IsManaged({ptr, bytes}))
    return CUDA_ERROR_INVALID_VALUE;
  RangeState state;
  {
    const std::lock_guard lock(TheAdvised().lock);
    state = TheAdvised().ranges.Common(PagesOf({ptr, bytes}));
  }
  for (size_t i = 0; i < count; ++i) {
    if (data[i] == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (const CUresult put = PutAttribute(state, attributes[i], data[i], sizes[i]); put != CUDA_SUCCESS) return put;
  }
  return CUDA_SUCCESS;
}
MIG_EXPORT CUresult cuMemRangeGetAttribute(void* data, size_t size, int attribute, CUdeviceptr ptr, size_t bytes) {
  return cuMemRangeGetAttributes(&data, &size, &attribute, 1, ptr, bytes);
}

}  // namespace mignificient::client
