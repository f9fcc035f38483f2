// The driver entry points that a GPU server calls: the seam between remoting and a device. Two implementations fill
// it: driver/cuda (the real libcuda.so.1, dlopened) and driver/cpu (the software GPU). Names, arguments and results are
// those of the CUDA driver API; an entry point is named by its exported symbol, so `_v2` is part of the name.
//
// Threads: as the CUDA driver, every entry point may be called from any thread; the current context is per thread.
#pragma once

#include "abi/array.h"
#include "abi/graph.h"

// X(symbol, argument types...)
#define MIG_DRIVER_FUNCTIONS(X)                                                                                        \
  /* Initialisation and devices */                                                                                     \
  X(cuInit, unsigned flags)                                                                                            \
  X(cuDriverGetVersion, int* version)                                                                                  \
  X(cuDeviceGetCount, int* count)                                                                                      \
  X(cuDeviceGet, CUdevice* device, int ordinal)                                                                        \
  X(cuDeviceGetName, char* name, int length, CUdevice device)                                                          \
  X(cuDeviceGetUuid_v2, CUuuid* uuid, CUdevice device)                                                                 \
  X(cuDeviceTotalMem_v2, size_t* bytes, CUdevice device)                                                               \
  X(cuDeviceGetAttribute, int* value, int attribute, CUdevice device)                                                  \
  X(cuGetErrorName, CUresult error, const char** name)                                                                 \
  X(cuGetErrorString, CUresult error, const char** text)                                                               \
  /* Contexts */                                                                                                       \
  X(cuDevicePrimaryCtxRetain, CUcontext* context, CUdevice device)                                                     \
  X(cuDevicePrimaryCtxRelease_v2, CUdevice device)                                                                     \
  X(cuDevicePrimaryCtxSetFlags_v2, CUdevice device, unsigned flags)                                                    \
  X(cuCtxSetCurrent, CUcontext context)                                                                                \
  X(cuCtxGetCurrent, CUcontext* context)                                                                               \
  X(cuCtxSynchronize)                                                                                                  \
  X(cuCtxGetLimit, size_t* value, int limit)                                                                           \
  X(cuCtxSetLimit, int limit, size_t value)                                                                            \
  X(cuCtxGetStreamPriorityRange, int* least, int* greatest)                                                            \
  X(cuCtxGetApiVersion, CUcontext context, unsigned* version)                                                          \
  /* Memory: virtual memory management, and host memory that DMA reaches */                                            \
  X(cuMemGetInfo_v2, size_t* free_bytes, size_t* total_bytes)                                                          \
  X(cuMemGetAllocationGranularity, size_t* bytes, const CUmemAllocationProp* prop, int option)                         \
  X(cuMemAddressReserve, CUdeviceptr* ptr, size_t bytes, size_t align, CUdeviceptr hint, unsigned long long flags)     \
  X(cuMemAddressFree, CUdeviceptr ptr, size_t bytes)                                                                   \
  X(cuMemCreate, CUmemGenericAllocationHandle* handle, size_t bytes, const CUmemAllocationProp* prop,                  \
    unsigned long long flags)                                                                                          \
  X(cuMemRelease, CUmemGenericAllocationHandle handle)                                                                 \
  X(cuMemMap, CUdeviceptr ptr, size_t bytes, size_t offset, CUmemGenericAllocationHandle handle,                       \
    unsigned long long flags)                                                                                          \
  X(cuMemUnmap, CUdeviceptr ptr, size_t bytes)                                                                         \
  X(cuMemSetAccess, CUdeviceptr ptr, size_t bytes, const CUmemAccessDesc* desc, size_t count)                          \
  X(cuMemFreeAsync, CUdeviceptr ptr, CUstream stream)                                                                  \
  X(cuMemHostRegister_v2, void* host, size_t bytes, unsigned flags)                                                    \
  X(cuMemHostUnregister, void* host)                                                                                   \
  /* Copies and sets */                                                                                                \
  X(cuMemcpyHtoDAsync_v2, CUdeviceptr dst, const void* src, size_t bytes, CUstream stream)                             \
  X(cuMemcpyDtoHAsync_v2, void* dst, CUdeviceptr src, size_t bytes, CUstream stream)                                   \
  X(cuMemcpyDtoDAsync_v2, CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream)                             \
  X(cuMemsetD8Async, CUdeviceptr dst, unsigned char value, size_t count, CUstream stream)                              \
  X(cuMemsetD16Async, CUdeviceptr dst, unsigned short value, size_t count, CUstream stream)                            \
  X(cuMemsetD32Async, CUdeviceptr dst, unsigned value, size_t count, CUstream stream)                                  \
  X(cuMemsetD2D8Async, CUdeviceptr dst, size_t pitch, unsigned char value, size_t width, size_t height,                \
    CUstream stream)                                                                                                   \
  X(cuMemsetD2D16Async, CUdeviceptr dst, size_t pitch, unsigned short value, size_t width, size_t height,              \
    CUstream stream)                                                                                                   \
  X(cuMemsetD2D32Async, CUdeviceptr dst, size_t pitch, unsigned value, size_t width, size_t height, CUstream stream)   \
  /* Streams and events */                                                                                             \
  X(cuStreamCreateWithPriority, CUstream* stream, unsigned flags, int priority)                                        \
  X(cuStreamDestroy_v2, CUstream stream)                                                                               \
  X(cuStreamQuery, CUstream stream)                                                                                    \
  X(cuStreamSynchronize, CUstream stream)                                                                              \
  X(cuStreamWaitEvent, CUstream stream, CUevent event, unsigned flags)                                                 \
  X(cuEventCreate, CUevent* event, unsigned flags)                                                                     \
  X(cuEventDestroy_v2, CUevent event)                                                                                  \
  X(cuEventRecord, CUevent event, CUstream stream)                                                                     \
  X(cuEventRecordWithFlags, CUevent event, CUstream stream, unsigned flags)                                            \
  X(cuEventQuery, CUevent event)                                                                                       \
  X(cuEventSynchronize, CUevent event)                                                                                 \
  X(cuEventElapsedTime_v2, float* milliseconds, CUevent start, CUevent end)                                            \
  X(cuLaunchHostFunc, CUstream stream, CUhostFn function, void* user_data)                                             \
  X(cuStreamAddCallback, CUstream stream, CUstreamCallback callback, void* user_data, unsigned flags)                  \
  X(cuStreamBatchMemOp_v2, CUstream stream, unsigned count, CUstreamBatchMemOpParams* operations, unsigned flags)      \
  /* Arrays, textures, tensor maps */                                                                                  \
  X(cuMemcpy3DAsync_v2, const CUDA_MEMCPY3D* copy, CUstream stream)                                                    \
  X(cuArray3DCreate_v2, CUarray* array, const CUDA_ARRAY3D_DESCRIPTOR* description)                                    \
  X(cuArrayDestroy, CUarray array)                                                                                     \
  X(cuArrayGetDescriptor_v2, CUDA_ARRAY_DESCRIPTOR* description, CUarray array)                                        \
  X(cuArray3DGetDescriptor_v2, CUDA_ARRAY3D_DESCRIPTOR* description, CUarray array)                                    \
  X(cuArrayGetMemoryRequirements, CUDA_ARRAY_MEMORY_REQUIREMENTS* requirements, CUarray array, CUdevice device)        \
  X(cuArrayGetPlane, CUarray* plane, CUarray array, unsigned index)                                                    \
  X(cuMipmappedArrayCreate, CUmipmappedArray* array, const CUDA_ARRAY3D_DESCRIPTOR* description, unsigned levels)      \
  X(cuMipmappedArrayDestroy, CUmipmappedArray array)                                                                   \
  X(cuMipmappedArrayGetLevel, CUarray* level, CUmipmappedArray array, unsigned index)                                  \
  X(cuMipmappedArrayGetMemoryRequirements, CUDA_ARRAY_MEMORY_REQUIREMENTS* requirements, CUmipmappedArray array,       \
    CUdevice device)                                                                                                   \
  X(cuTexObjectCreate, CUtexObject* texture, const CUDA_RESOURCE_DESC* resource, const CUDA_TEXTURE_DESC* description, \
    const CUDA_RESOURCE_VIEW_DESC* view)                                                                               \
  X(cuTexObjectDestroy, CUtexObject texture)                                                                           \
  X(cuSurfObjectCreate, CUsurfObject* surface, const CUDA_RESOURCE_DESC* resource)                                     \
  X(cuSurfObjectDestroy, CUsurfObject surface)                                                                         \
  X(cuDeviceGetTexture1DLinearMaxWidth, size_t* width, int format, unsigned channels, CUdevice device)                 \
  X(cuTensorMapEncodeTiled, CUtensorMap* map, int type, unsigned rank, void* address, const uint64_t* dims,            \
    const uint64_t* strides, const unsigned* box, const unsigned* element_strides, int interleave, int swizzle,        \
    int l2_promotion, int fill)                                                                                        \
  X(cuTensorMapEncodeIm2col, CUtensorMap* map, int type, unsigned rank, void* address, const uint64_t* dims,           \
    const uint64_t* strides, const int* lower, const int* upper, unsigned channels, unsigned pixels,                   \
    const unsigned* element_strides, int interleave, int swizzle, int l2_promotion, int fill)                          \
  X(cuTensorMapEncodeIm2colWide, CUtensorMap* map, int type, unsigned rank, void* address, const uint64_t* dims,       \
    const uint64_t* strides, int lower, int upper, unsigned channels, unsigned pixels,                                 \
    const unsigned* element_strides, int interleave, int mode, int swizzle, int l2_promotion, int fill)                \
  X(cuTensorMapReplaceAddress, CUtensorMap* map, void* address)                                                        \
  X(cuStreamGetAttribute, CUstream stream, int attribute, CUlaunchAttributeValue* value)                               \
  X(cuStreamSetAttribute, CUstream stream, int attribute, const CUlaunchAttributeValue* value)                         \
  X(cuStreamCopyAttributes, CUstream dst, CUstream src)                                                                \
  X(cuCtxResetPersistingL2Cache)                                                                                       \
  X(cuOccupancyMaxPotentialClusterSize, int* size, CUfunction function, const CUlaunchConfig* config)                  \
  /* Graphs */                                                                                                         \
  X(cuStreamBeginCapture_v2, CUstream stream, int mode)                                                                \
  X(cuStreamBeginCaptureToGraph, CUstream stream, CUgraph graph, const CUgraphNode* dependencies,                      \
    const CUgraphEdgeData* edges, size_t count, int mode)                                                              \
  X(cuStreamEndCapture, CUstream stream, CUgraph* graph)                                                               \
  X(cuStreamIsCapturing, CUstream stream, int* status)                                                                 \
  X(cuStreamGetCaptureInfo_v3, CUstream stream, int* status, unsigned long long* id, CUgraph* graph,                   \
    const CUgraphNode** dependencies, const CUgraphEdgeData** edges, size_t* count)                                    \
  X(cuStreamUpdateCaptureDependencies_v2, CUstream stream, CUgraphNode* dependencies, const CUgraphEdgeData* edges,    \
    size_t count, unsigned flags)                                                                                      \
  X(cuThreadExchangeStreamCaptureMode, int* mode)                                                                      \
  X(cuGraphCreate, CUgraph* graph, unsigned flags)                                                                     \
  X(cuGraphDestroy, CUgraph graph)                                                                                     \
  X(cuGraphClone, CUgraph* clone, CUgraph graph)                                                                       \
  X(cuGraphNodeFindInClone, CUgraphNode* node, CUgraphNode original, CUgraph clone)                                    \
  X(cuGraphAddNode_v2, CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,                              \
    const CUgraphEdgeData* edges, size_t count, CUgraphNodeParams* params)                                             \
  X(cuGraphNodeSetParams, CUgraphNode node, CUgraphNodeParams* params)                                                 \
  X(cuGraphExecNodeSetParams, CUgraphExec exec, CUgraphNode node, CUgraphNodeParams* params)                           \
  X(cuGraphKernelNodeGetParams_v2, CUgraphNode node, CUDA_KERNEL_NODE_PARAMS* params)                                  \
  X(cuGraphMemcpyNodeGetParams, CUgraphNode node, CUDA_MEMCPY3D* params)                                               \
  X(cuGraphMemsetNodeGetParams, CUgraphNode node, CUDA_MEMSET_NODE_PARAMS* params)                                     \
  X(cuGraphHostNodeGetParams, CUgraphNode node, CUDA_HOST_NODE_PARAMS* params)                                         \
  X(cuGraphChildGraphNodeGetGraph, CUgraphNode node, CUgraph* graph)                                                   \
  X(cuGraphEventRecordNodeGetEvent, CUgraphNode node, CUevent* event)                                                  \
  X(cuGraphEventWaitNodeGetEvent, CUgraphNode node, CUevent* event)                                                    \
  X(cuGraphMemAllocNodeGetParams, CUgraphNode node, CUDA_MEM_ALLOC_NODE_PARAMS* params)                                \
  X(cuGraphMemFreeNodeGetParams, CUgraphNode node, CUdeviceptr* address)                                               \
  X(cuGraphBatchMemOpNodeGetParams, CUgraphNode node, CUDA_BATCH_MEM_OP_NODE_PARAMS* params)                           \
  X(cuGraphNodeGetType, CUgraphNode node, int* type)                                                                   \
  X(cuGraphGetNodes, CUgraph graph, CUgraphNode* nodes, size_t* count)                                                 \
  X(cuGraphGetRootNodes, CUgraph graph, CUgraphNode* nodes, size_t* count)                                             \
  X(cuGraphGetEdges_v2, CUgraph graph, CUgraphNode* from, CUgraphNode* to, CUgraphEdgeData* edges, size_t* count)      \
  X(cuGraphNodeGetDependencies_v2, CUgraphNode node, CUgraphNode* nodes, CUgraphEdgeData* edges, size_t* count)        \
  X(cuGraphNodeGetDependentNodes_v2, CUgraphNode node, CUgraphNode* nodes, CUgraphEdgeData* edges, size_t* count)      \
  X(cuGraphAddDependencies_v2, CUgraph graph, const CUgraphNode* from, const CUgraphNode* to,                          \
    const CUgraphEdgeData* edges, size_t count)                                                                        \
  X(cuGraphRemoveDependencies_v2, CUgraph graph, const CUgraphNode* from, const CUgraphNode* to,                       \
    const CUgraphEdgeData* edges, size_t count)                                                                        \
  X(cuGraphDestroyNode, CUgraphNode node)                                                                              \
  X(cuGraphInstantiateWithParams, CUgraphExec* exec, CUgraph graph, CUDA_GRAPH_INSTANTIATE_PARAMS* params)             \
  X(cuGraphExecGetFlags, CUgraphExec exec, unsigned long long* flags)                                                  \
  X(cuGraphExecUpdate_v2, CUgraphExec exec, CUgraph graph, CUgraphExecUpdateResultInfo* info)                          \
  X(cuGraphNodeSetEnabled, CUgraphExec exec, CUgraphNode node, unsigned enabled)                                       \
  X(cuGraphNodeGetEnabled, CUgraphExec exec, CUgraphNode node, unsigned* enabled)                                      \
  X(cuGraphUpload, CUgraphExec exec, CUstream stream)                                                                  \
  X(cuGraphLaunch, CUgraphExec exec, CUstream stream)                                                                  \
  X(cuGraphExecDestroy, CUgraphExec exec)                                                                              \
  X(cuGraphKernelNodeCopyAttributes, CUgraphNode dst, CUgraphNode src)                                                 \
  X(cuGraphKernelNodeGetAttribute, CUgraphNode node, int attribute, CUlaunchAttributeValue* value)                     \
  X(cuGraphKernelNodeSetAttribute, CUgraphNode node, int attribute, const CUlaunchAttributeValue* value)               \
  X(cuGraphConditionalHandleCreate, unsigned long long* handle, CUgraph graph, CUcontext context, unsigned value,      \
    unsigned flags)                                                                                                    \
  X(cuDeviceGetGraphMemAttribute, CUdevice device, int attribute, void* value)                                         \
  X(cuDeviceGraphMemTrim, CUdevice device)                                                                             \
  /* Code */                                                                                                           \
  X(cuModuleLoadDataEx, CUmodule* module, const void* image, unsigned option_count, int* options, void** values)       \
  X(cuModuleUnload, CUmodule module)                                                                                   \
  X(cuModuleGetFunction, CUfunction* function, CUmodule module, const char* name)                                      \
  X(cuModuleGetGlobal_v2, CUdeviceptr* ptr, size_t* bytes, CUmodule module, const char* name)                          \
  X(cuModuleGetFunctionCount, unsigned* count, CUmodule module)                                                        \
  X(cuModuleEnumerateFunctions, CUfunction* functions, unsigned count, CUmodule module)                                \
  X(cuLibraryLoadData, CUlibrary* library, const void* code, int* jit_options, void** jit_values, unsigned jit_count,  \
    int* options, void** values, unsigned count)                                                                       \
  X(cuLibraryUnload, CUlibrary library)                                                                                \
  X(cuLibraryGetKernel, CUkernel* kernel, CUlibrary library, const char* name)                                         \
  X(cuLibraryGetKernelCount, unsigned* count, CUlibrary library)                                                       \
  X(cuLibraryEnumerateKernels, CUkernel* kernels, unsigned count, CUlibrary library)                                   \
  X(cuKernelGetName, const char** name, CUkernel kernel)                                                               \
  X(cuLinkCreate_v2, unsigned option_count, int* options, void** values, CUlinkState* state)                           \
  X(cuLinkAddData_v2, CUlinkState state, int type, void* data, size_t bytes, const char* name, unsigned option_count,  \
    int* options, void** values)                                                                                       \
  X(cuLinkComplete, CUlinkState state, void** cubin, size_t* bytes)                                                    \
  X(cuLinkDestroy, CUlinkState state)                                                                                  \
  X(cuLibraryGetModule, CUmodule* module, CUlibrary library)                                                           \
  X(cuLibraryGetGlobal, CUdeviceptr* ptr, size_t* bytes, CUlibrary library, const char* name)                          \
  X(cuKernelGetFunction, CUfunction* function, CUkernel kernel)                                                        \
  X(cuKernelGetAttribute, int* value, int attribute, CUkernel kernel, CUdevice device)                                 \
  X(cuKernelSetAttribute, int attribute, int value, CUkernel kernel, CUdevice device)                                  \
  X(cuKernelGetParamInfo, CUkernel kernel, size_t index, size_t* offset, size_t* size)                                 \
  X(cuFuncGetParamInfo, CUfunction function, size_t index, size_t* offset, size_t* size)                               \
  X(cuFuncGetAttribute, int* value, int attribute, CUfunction function)                                                \
  X(cuFuncSetAttribute, CUfunction function, int attribute, int value)                                                 \
  X(cuFuncSetCacheConfig, CUfunction function, int config)                                                             \
  X(cuFuncGetName, const char** name, CUfunction function)                                                             \
  /* Execution */                                                                                                      \
  X(cuLaunchKernel, CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,          \
    unsigned block_y, unsigned block_z, unsigned shared_bytes, CUstream stream, void** params, void** extra)           \
  X(cuLaunchKernelEx, const CUlaunchConfig* config, CUfunction function, void** params, void** extra)                  \
  X(cuLaunchCooperativeKernel, CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,                 \
    unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes, CUstream stream, void** params)       \
  X(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags, int* blocks, CUfunction function, int block_size,            \
    size_t dynamic_shared_bytes, unsigned flags)                                                                       \
  X(cuOccupancyAvailableDynamicSMemPerBlock, size_t* bytes, CUfunction function, int blocks, int block_size)           \
  X(cuOccupancyMaxActiveClusters, int* clusters, CUfunction function, const CUlaunchConfig* config)

namespace mignificient {

// Every member is set: an implementation that lacks an entry point puts one there that answers
// CUDA_ERROR_NOT_SUPPORTED.
struct DriverTable {
#define MIG_DECLARE(symbol, ...) CUresult (*symbol)(__VA_ARGS__);
  MIG_DRIVER_FUNCTIONS(MIG_DECLARE)
#undef MIG_DECLARE
};

}  // namespace mignificient
