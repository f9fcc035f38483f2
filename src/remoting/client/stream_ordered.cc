// Stream-ordered allocation and the pools behind it. In a stream that captures, allocations and frees become nodes of
// the graph, whose memory is the driver's.

#include "remoting/client/allocations.h"
#include "remoting/client/call.h"
#include "remoting/client/capture.h"
#include "remoting/client/channel.h"
#include "remoting/client/graph.h"
#include "remoting/client/memory.h"
#include "remoting/client/memory_pool.h"

extern "C" CUresult cuStreamGetCaptureInfo_v3(CUstream stream, int* status, unsigned long long* id, CUgraph* graph,
                                              const CUgraphNode** nodes, const CUgraphEdgeData** edges, size_t* count);
extern "C" CUresult cuStreamUpdateCaptureDependencies_v2(CUstream stream, CUgraphNode* nodes,
                                                         const CUgraphEdgeData* edges, size_t count, unsigned flags);

namespace mignificient::client {
namespace {

// In the capture of `stream`: a node after all that the stream depends on, and instead of it from then on.
CUresult AddCaptured(CUstream stream, CUgraphNodeParams& params) {
  constexpr int kInvalidated = 2;
  constexpr unsigned kSet = 1;
  int status = CU_STREAM_CAPTURE_STATUS_NONE;
  unsigned long long id = 0;
  CUgraph graph = nullptr;
  const CUgraphNode* nodes = nullptr;
  const CUgraphEdgeData* edges = nullptr;
  size_t count = 0;
  CUresult result = cuStreamGetCaptureInfo_v3(stream, &status, &id, &graph, &nodes, &edges, &count);
  if (result == CUDA_SUCCESS && status == kInvalidated) result = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  if (result != CUDA_SUCCESS) return result;
  CUgraphNode node = nullptr;
  result = AddNode(&node, graph, nodes, edges, count, params);
  return result == CUDA_SUCCESS ? cuStreamUpdateCaptureDependencies_v2(stream, &node, nullptr, 1, kSet) : result;
}

CUresult AllocateCaptured(CUdeviceptr* ptr, size_t bytes, CUstream stream) {
  CUgraphNodeParams params{};
  params.type = CU_GRAPH_NODE_TYPE_MEM_ALLOC;
  params.alloc.pool.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  params.alloc.pool.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  params.alloc.bytes = bytes;
  const CUresult result = AddCaptured(stream, params);
  if (result == CUDA_SUCCESS) *ptr = params.alloc.address;
  return result;
}

CUresult FreeCaptured(CUdeviceptr ptr, CUstream stream) {
  CUgraphNodeParams params{};
  params.type = CU_GRAPH_NODE_TYPE_MEM_FREE;
  params.free.address = ptr;
  return AddCaptured(stream, params);
}

// The legacy stream has two names.
uint64_t StreamKey(CUstream stream) {
  const uint64_t name = StreamName(stream);
  return name == 1 ? 0 : name;
}

// `pool` null: the device's current one.
CUresult Allocate(CUdeviceptr* ptr, size_t bytes, CUmemoryPool pool, CUstream stream) {
  if (const CUresult ready = ReadyOn(stream); ready != CUDA_SUCCESS) return ready;
  if (!IsStream(stream)) return CUDA_ERROR_INVALID_HANDLE;
  if (ptr == nullptr) return CUDA_ERROR_INVALID_VALUE;
  MemoryPools& pools = TheMemoryPools();
  if (pool == nullptr)
    pool = pools.Current();
  else if (!pools.Has(pool))
    return CUDA_ERROR_INVALID_VALUE;
  if (bytes == 0) {  // unlike cuMemAlloc, measured on driver 580
    *ptr = 0;
    return CUDA_SUCCESS;
  }
  if (IsCapturing(stream)) return AllocateCaptured(ptr, bytes, stream);
  const CUresult result = pools.Allocate(pool, bytes, StreamKey(stream), *ptr);
  if (result == CUDA_SUCCESS) TheAllocations().Insert({*ptr, bytes});
  return result;
}

CUresult AllocateFrom(CUdeviceptr* ptr, size_t bytes, CUmemoryPool pool, CUstream stream) {
  if (pool != nullptr) return Allocate(ptr, bytes, pool, stream);
  const CUresult ready = ReadyOn(stream);
  return ready == CUDA_SUCCESS ? CUDA_ERROR_INVALID_VALUE : ready;
}

CUresult Free(CUdeviceptr ptr, CUstream stream) {
  if (const CUresult ready = ReadyOn(stream); ready != CUDA_SUCCESS) return ready;
  if (!IsStream(stream)) return CUDA_ERROR_INVALID_HANDLE;
  if (ptr == 0) return CUDA_SUCCESS;
  if (IsCapturing(stream)) return FreeCaptured(ptr, stream);
  TheAllocations().Erase(ptr);
  if (TheMemoryPools().Free(ptr, StreamKey(stream))) return CUDA_SUCCESS;
  // Memory of cuMemAlloc may be freed so as well; it is used again once all streams have come as far.
  if (TheDeviceMemory().InWindow(ptr)) return TheDeviceMemory().Free(ptr);
  return FreeGraphMemory(ptr, stream);
}

// What the one device has: pinned memory of its own. `location` may be the only thing that is asked about.
CUresult CheckLocation(const CUmemLocation& location) {
  switch (location.type) {
    case CU_MEM_LOCATION_TYPE_DEVICE:
      return location.id == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    case CU_MEM_LOCATION_TYPE_HOST:
    case CU_MEM_LOCATION_TYPE_HOST_NUMA:
      return CUDA_ERROR_NOT_SUPPORTED;  // CU_DEVICE_ATTRIBUTE_HOST_MEMORY_POOLS_SUPPORTED is 0
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

CUresult CheckKind(const CUmemLocation* location, int type) {
  if (const CUresult ready = Initialized(); ready != CUDA_SUCCESS) return ready;
  if (location == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (type == CU_MEM_ALLOCATION_TYPE_MANAGED) return CUDA_ERROR_NOT_SUPPORTED;
  return type == CU_MEM_ALLOCATION_TYPE_PINNED ? CheckLocation(*location) : CUDA_ERROR_INVALID_VALUE;
}

// `wrong`: CUDA's answer for a device that is none, which is not the same everywhere.
CUresult CheckDevice(CUdevice device, CUresult wrong) {
  if (const CUresult ready = Initialized(); ready != CUDA_SUCCESS) return ready;
  return device == 0 ? CUDA_SUCCESS : wrong;
}

CUresult CheckProps(const CUmemPoolProps& props) {
  if (const CUresult kind = CheckKind(&props.location, props.type); kind != CUDA_SUCCESS) return kind;
  if (props.handle_types != 0) return CUDA_ERROR_NOT_SUPPORTED;  // nothing leaves the session
  if (props.usage != 0) return CUDA_ERROR_NOT_SUPPORTED;
  for (const unsigned char byte : props.reserved)
    if (byte != 0) return CUDA_ERROR_INVALID_VALUE;
  return props.win32_security_attributes == nullptr ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

}  // namespace

CUresult FreeGraphMemory(CUdeviceptr ptr, CUstream stream) {
  const wire::GraphFreeBody body{ptr, StreamName(stream)};
  return CallWith(wire::Command::kGraphFree, body, {});
}

MIG_EXPORT CUresult cuMemAllocAsync(CUdeviceptr* ptr, size_t bytes, CUstream stream) {
  return Allocate(ptr, bytes, nullptr, stream);
}
MIG_EXPORT CUresult cuMemAllocAsync_ptsz(CUdeviceptr* ptr, size_t bytes, CUstream stream) {
  return Allocate(ptr, bytes, nullptr, PerThread(stream));
}
MIG_EXPORT CUresult cuMemAllocFromPoolAsync(CUdeviceptr* ptr, size_t bytes, CUmemoryPool pool, CUstream stream) {
  return AllocateFrom(ptr, bytes, pool, stream);
}
MIG_EXPORT CUresult cuMemAllocFromPoolAsync_ptsz(CUdeviceptr* ptr, size_t bytes, CUmemoryPool pool, CUstream stream) {
  return AllocateFrom(ptr, bytes, pool, PerThread(stream));
}
MIG_EXPORT CUresult cuMemFreeAsync(CUdeviceptr ptr, CUstream stream) {
  return Free(ptr, stream);
}
MIG_EXPORT CUresult cuMemFreeAsync_ptsz(CUdeviceptr ptr, CUstream stream) {
  return Free(ptr, PerThread(stream));
}

MIG_EXPORT CUresult cuMemPoolCreate(CUmemoryPool* pool, const CUmemPoolProps* props) {
  if (const CUresult ready = Initialized(); ready != CUDA_SUCCESS) return ready;
  if (pool == nullptr || props == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult checked = CheckProps(*props); checked != CUDA_SUCCESS) return checked;
  *pool = TheMemoryPools().Create(props->max_bytes);
  return CUDA_SUCCESS;
}
MIG_EXPORT CUresult cuMemPoolDestroy(CUmemoryPool pool) {
  if (const CUresult ready = Initialized(); ready != CUDA_SUCCESS) return ready;
  return TheMemoryPools().Destroy(pool);
}
MIG_EXPORT CUresult cuMemPoolGetAttribute(CUmemoryPool pool, int attribute, void* value) {
  if (const CUresult ready = Initialized(); ready != CUDA_SUCCESS) return ready;
  return TheMemoryPools().GetAttribute(pool, attribute, value);
}
MIG_EXPORT CUresult cuMemPoolSetAttribute(CUmemoryPool pool, int attribute, void* value) {
  if (const CUresult ready = Initialized(); ready != CUDA_SUCCESS) return ready;
  return TheMemoryPools().SetAttribute(pool, attribute, value);
}
MIG_EXPORT CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t keep) {
  if (const CUresult ready = Initialized(); ready != CUDA_SUCCESS) return ready;
  return TheMemoryPools().TrimTo(pool, keep);
}

// The one device always has access to its own pools, and there is no other.
MIG_EXPORT CUresult cuMemPoolSetAccess(CUmemoryPool pool, const CUmemAccessDesc* access, size_t count) {
  if (const CUresult ready = Initialized(); ready != CUDA_SUCCESS) return ready;
  if (!TheMemoryPools().Has(pool) || access == nullptr) return CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < count; ++i) {
    const bool known =
        access[i].flags == CU_MEM_ACCESS_FLAGS_PROT_NONE || access[i].flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    if (access[i].location.type != CU_MEM_LOCATION_TYPE_DEVICE) return CUDA_ERROR_NOT_SUPPORTED;
    if (access[i].flags == CU_MEM_ACCESS_FLAGS_PROT_READ) return CUDA_ERROR_NOT_SUPPORTED;
    if (access[i].location.id != 0) return CUDA_ERROR_INVALID_DEVICE;
    if (!known) return CUDA_ERROR_INVALID_VALUE;
    if (access[i].flags == CU_MEM_ACCESS_FLAGS_PROT_NONE) return CUDA_ERROR_INVALID_DEVICE;  // its own it keeps
  }
  return CUDA_SUCCESS;
}
MIG_EXPORT CUresult cuMemPoolGetAccess(int* flags, CUmemoryPool pool, CUmemLocation* location) {
  if (const CUresult ready = Initialized(); ready != CUDA_SUCCESS) return ready;
  if (flags == nullptr || location == nullptr || !TheMemoryPools().Has(pool)) return CUDA_ERROR_INVALID_VALUE;
  const bool host = location->type == CU_MEM_LOCATION_TYPE_HOST || location->type == CU_MEM_LOCATION_TYPE_HOST_NUMA;
  const bool device = location->type == CU_MEM_LOCATION_TYPE_DEVICE && location->id == 0;
  if (!host && !device) return CUDA_ERROR_INVALID_VALUE;
  *flags = device ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE : CU_MEM_ACCESS_FLAGS_PROT_NONE;
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuDeviceGetDefaultMemPool(CUmemoryPool* pool, CUdevice device) {
  if (const CUresult checked = CheckDevice(device, CUDA_ERROR_INVALID_DEVICE); checked != CUDA_SUCCESS) return checked;
  if (pool == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *pool = TheMemoryPools().Default();
  return CUDA_SUCCESS;
}
MIG_EXPORT CUresult cuDeviceGetMemPool(CUmemoryPool* pool, CUdevice device) {
  if (const CUresult checked = CheckDevice(device, CUDA_ERROR_INVALID_VALUE); checked != CUDA_SUCCESS) return checked;
  if (pool == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *pool = TheMemoryPools().Current();
  return CUDA_SUCCESS;
}
MIG_EXPORT CUresult cuDeviceSetMemPool(CUdevice device, CUmemoryPool pool) {
  if (const CUresult checked = CheckDevice(device, CUDA_ERROR_INVALID_VALUE); checked != CUDA_SUCCESS) return checked;
  return TheMemoryPools().MakeCurrent(pool);
}
MIG_EXPORT CUresult cuMemGetDefaultMemPool(CUmemoryPool* pool, CUmemLocation* location, int type) {
  if (const CUresult checked = CheckKind(location, type); checked != CUDA_SUCCESS) return checked;
  return cuDeviceGetDefaultMemPool(pool, 0);
}
MIG_EXPORT CUresult cuMemGetMemPool(CUmemoryPool* pool, CUmemLocation* location, int type) {
  if (const CUresult checked = CheckKind(location, type); checked != CUDA_SUCCESS) return checked;
  return cuDeviceGetMemPool(pool, 0);
}
MIG_EXPORT CUresult cuMemSetMemPool(CUmemLocation* location, int type, CUmemoryPool pool) {
  if (const CUresult checked = CheckKind(location, type); checked != CUDA_SUCCESS) return checked;
  return cuDeviceSetMemPool(0, pool);
}

// No pool can be made that may leave its process, which is CUDA's answer for one that was not.
MIG_EXPORT CUresult cuMemPoolExportToShareableHandle(void*, CUmemoryPool, int, unsigned long long) {
  const CUresult ready = Initialized();
  return ready != CUDA_SUCCESS ? ready : CUDA_ERROR_INVALID_VALUE;
}
MIG_EXPORT CUresult cuMemPoolImportFromShareableHandle(CUmemoryPool*, void*, int, unsigned long long) {
  const CUresult ready = Initialized();
  return ready != CUDA_SUCCESS ? ready : CUDA_ERROR_INVALID_VALUE;
}
MIG_EXPORT CUresult cuMemPoolExportPointer(void*, CUdeviceptr) {
  const CUresult ready = Initialized();
  return ready != CUDA_SUCCESS ? ready : CUDA_ERROR_INVALID_VALUE;
}
MIG_EXPORT CUresult cuMemPoolImportPointer(CUdeviceptr*, CUmemoryPool, void*) {
  const CUresult ready = Initialized();
  return ready != CUDA_SUCCESS ? ready : CUDA_ERROR_INVALID_VALUE;
}

}  // namespace mignificient::client
