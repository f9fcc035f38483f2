// The hand-written commands: what needs more than the generator's "decode, resolve, call, reply". Bodies follow the
// RecordHeader; some are followed by bytes of their own (`tail`). Device addresses and sizes are in bytes.
#pragma once

#include <cstdint>

#include "abi/graph.h"
#include "remoting/wire/attach.h"

namespace mignificient::wire {

enum class Command : uint16_t {
  // Memory. Extents are whole granules inside the client's window.
  kMapExtent = 1,  // ExtentBody; replies only if a slot is given
  kUnmapExtent,    // ExtentBody; the client has waited for the work that uses it
  kFence,          // FenceBody: tells when all work issued so far is complete, by its reply or in the region
  kMemoryInfo,     // no body -> MemoryInfoReply
  kMemCreate,      // MemCreateBody -> HandleBody: physical memory
  kMemRelease,     // HandleBody; mappings keep the memory
  kMemMap,         // MemMapBody; unmapped by kMemUnmap
  kMemUnmap,       // ExtentBody: one mapping or several adjacent ones
  kMemSetAccess,   // MemAccessBody
  kGraphFree,      // GraphFreeBody: memory of a graph's allocation node
  kPinHost,        // PinHostBody, descriptor `tag` sent ahead
  kUnpinHost,      // UnpinHostBody
  // Copies
  kCopyInline,     // CopyBody + the bytes, padded to 8: host to device
  kCopyFromChunk,  // CopyBody: staging chunk -> device; ends chunks[chunk]
  kCopyToChunk,    // CopyBody: device -> staging chunk; ends chunks[chunk]
  kCopyToReply,    // CopyBody: device -> reply slot, at most kReplyBytes
  kCopyFromHost,   // CopyBody: pinned host address -> device
  kCopyToHost,     // CopyBody: device -> pinned host address
  // Code
  kLoadModule,     // LoadBody + JitOption[option_count], descriptor `tag` sent ahead -> LoadReply
  kUnloadModule,   // HandleBody
  kLoadLibrary,    // as kLoadModule, under a name of the client's; without a reply an error is deferred
  kUnloadLibrary,  // HandleBody
  kGetFunction,    // NameBody + name, in a module -> FunctionReply
  kGetKernel,      // NameBody + name, in a library -> FunctionReply; without a reply an error is deferred
  kDescribe,       // HandleBody of a kernel -> FunctionReply
  kLibraryModule,  // HandleBody -> HandleBody
  kListFunctions,  // ListFunctionsBody -> ListFunctionsReply
  kLinkCreate,     // LinkBody + JitOption[] -> LoadReply
  kLinkAdd,        // LinkBody + JitOption[] + name, descriptor `load.tag` sent ahead -> LoadReply
  kLinkComplete,   // LinkBody -> LoadReply, whose handle is the length of the result
  kLinkRead,       // LinkReadBody -> at most kReplyBytes of the result
  kLinkDestroy,    // HandleBody
  kLaunch,         // LaunchBody + CUlaunchAttribute[attribute_count] + parameters, padded to 8
  // Streams and events. The client names them.
  kStreamCreate,        // StreamCreateBody
  kStreamDestroy,       // HandleBody
  kStreamQuery,         // HandleBody; result is the answer
  kStreamSynchronize,   // HandleBody; replies when the stream is idle
  kEventCreate,         // EventCreateBody
  kEventDestroy,        // HandleBody
  kEventRecord,         // EventRecordBody
  kEventQuery,          // HandleBody
  kEventSynchronize,    // HandleBody
  kContextSynchronize,  // no body
  kContextRecordEvent,  // HandleBody: the event happens once all work issued so far is complete
  kContextWaitEvent,    // HandleBody: all work issued from now on waits for the event
  kStreamMemoryOps,     // MemoryOpsBody + CUstreamBatchMemOpParams[count]
  kHostFunction,        // HostFunctionBody
  // Graphs (wire/graph.h)
  kCaptureBegin,
  kCaptureUpdate,
  kCaptureInfo,
  kCaptureEnd,        // HandleBody -> HandleBody
  kGraphCreate,       // HandleBody (the flags) -> HandleBody
  kGraphDestroy,      // HandleBody
  kGraphClone,        // HandleBody -> HandleBody
  kGraphFindInClone,  // TwoHandlesBody (node, graph) -> HandleBody
  kGraphAddNode,
  kGraphSetNode,
  kGraphGetNode,
  kGraphDestroyNode,  // HandleBody
  kGraphList,
  kGraphEdges,
  kGraphInstantiate,
  kGraphExecDestroy,  // HandleBody
  kGraphExecUpdate,   // TwoHandlesBody (exec, graph)
  kGraphNodeType,     // HandleBody -> NodeTypeReply
  kGraphNodeEnabled,  // NodeEnabledBody -> NodeEnabledReply
  kCaptureCopy,       // HandleBody (the stream), MemcpyNode: a copy of pageable memory in a stream that captures
  kHostCallsEnded,    // no body -> HostCallsEndedReply
  // Arrays (wire/array.h)
  kCopy3D,
  kArrayCreate,
  kArrayPart,
  kArrayDestroy,  // HandleBody
  kTextureCreate,
  kTextureDestroy,
  kTensorMap,
};

struct ExtentBody {
  uint64_t address;
  uint64_t bytes;
};

struct FenceBody {
  uint64_t epoch;  // without a reply: put in the region's `fence_passed` once the work is complete
  uint64_t now;    // 1: the reply comes at once, CUDA_ERROR_NOT_READY if the work is not complete
};
inline constexpr uint32_t kMaxFences = 8;  // without a reply, at a time

struct MemCreateBody {
  uint64_t bytes;  // whole granules
};

struct MemMapBody {
  uint64_t address;
  uint64_t bytes;
  uint64_t offset;  // within the memory
  uint64_t handle;
};

struct MemAccessBody {
  uint64_t address;
  uint64_t bytes;
  int32_t flags;  // CUmemAccess_flags, of the device
  uint32_t reserved;
};

struct GraphFreeBody {
  uint64_t address;
  uint64_t stream;
};

struct MemoryInfoReply {
  uint64_t budget_bytes;
  uint64_t mapped_bytes;  // of the whole session
};

struct PinHostBody {
  uint64_t tag;
  uint64_t address;  // where the client has mapped the memory, and the server shall
  uint64_t bytes;
  uint64_t flags;  // as for cuMemHostRegister
};

struct UnpinHostBody {
  uint64_t address;
};

struct CopyBody {
  uint64_t device;  // device address
  uint64_t bytes;
  uint64_t stream;  // handle, or 0, 1, 2 as CUDA means them
  uint64_t host;    // kCopyFromHost, kCopyToHost: address inside pinned memory
  uint32_t chunk;   // kCopyFromChunk, kCopyToChunk
  uint32_t offset;  // within the chunk
};

struct LoadBody {
  uint64_t tag;
  uint64_t bytes;
  uint32_t option_count;    // JIT options that carry a number
  uint32_t info_log_bytes;  // 0: no log wanted; at most kMaxJitLog
  uint32_t error_log_bytes;
  uint32_t reserved;
  uint64_t library;  // kLoadLibrary: how the client calls it
};

struct JitOption {
  int32_t option;
  uint32_t reserved;
  uint64_t value;
};

inline constexpr uint32_t kMaxJitOptions = 64;
inline constexpr uint32_t kMaxJitLog = 7 * 1024;

struct LoadReply {
  uint64_t handle;  // of a module; 0 on failure
  uint32_t result;  // CUresult: the reply itself always succeeds, so that the logs arrive
  uint32_t info_log_bytes;
  uint32_t error_log_bytes;
  uint32_t reserved;
  char logs[2 * kMaxJitLog];  // info, then error
};
static_assert(sizeof(LoadReply) <= kReplyBytes);

struct HandleBody {
  uint64_t handle;
};

// The names of a module's functions or a library's kernels, from the one with number `first` on.
struct ListFunctionsBody {
  uint64_t handle;
  uint64_t first;
};
struct ListFunctionsReply {
  uint32_t total;
  uint32_t count;               // in this reply
  char names[kReplyBytes - 8];  // each ends with a zero byte
};

struct LinkBody {
  LoadBody load;  // of kLinkAdd the input; options and logs of the others
  uint64_t link;
  int32_t type;  // CUjitInputType
  uint32_t name_bytes;
};
struct LinkReadBody {
  uint64_t link;
  uint64_t offset;
};

struct NameBody {
  uint64_t handle;      // module or library
  uint64_t name_bytes;  // without terminator; at most kMaxNameBytes
  uint64_t function;    // how the client calls what is found
};
inline constexpr uint32_t kMaxNameBytes = 16 * 1024;

inline constexpr uint32_t kMaxKernelParams = 1024;
inline constexpr uint32_t kMaxKernelParamBytes = 32 * 1024;

struct FunctionReply {
  uint32_t max_threads;
  uint32_t static_shared_bytes;
  uint32_t param_bytes;  // end of the last parameter
  uint32_t param_count;
  struct Param {
    uint32_t offset;
    uint32_t size;
  } params[kMaxKernelParams];
};
static_assert(sizeof(FunctionReply) <= kReplyBytes);

enum LaunchFlags : uint32_t { kLaunchPlain = 0, kLaunchCooperative = 1 };

struct LaunchBody {
  uint64_t function;
  uint64_t stream;
  uint32_t grid[3];
  uint32_t block[3];
  uint32_t shared_bytes;
  uint32_t flags;  // LaunchFlags
  uint32_t attribute_count;
  uint32_t param_bytes;
};

inline constexpr uint32_t kMaxLaunchAttributes = 32;

struct StreamCreateBody {
  uint64_t handle;
  uint32_t flags;
  int32_t priority;
};

struct EventCreateBody {
  uint64_t handle;
  uint64_t flags;
};

struct EventRecordBody {
  uint64_t event;
  uint64_t stream;
  uint64_t flags;
};

inline constexpr uint32_t kMaxMemoryOps = 256;  // CUDA's own limit

struct MemoryOpsBody {
  uint64_t stream;
  uint32_t count;
  uint32_t flags;
};

enum class HostFunctionKind : uint32_t { kFunction, kCallback };  // cuLaunchHostFunc, cuStreamAddCallback

struct HostFunctionBody {
  uint64_t stream;
  uint64_t id;  // the client's name for it
  HostFunctionKind kind;
  uint32_t repeats;  // 1: the client keeps it until kHostCallsEnded tells: it is captured, so a graph may run it again
};

// Functions that are kept and that no graph or executable can reach any longer. Asked until `count` is 0.
struct HostCallsEndedReply {
  uint64_t count;
  uint64_t ids[kReplyBytes / sizeof(uint64_t) - 1];
};
static_assert(sizeof(HostCallsEndedReply) <= kReplyBytes);

}  // namespace mignificient::wire
