// Graphs on the wire: nodes with their parameters as plain values. A node's payload is one of the structs below, chosen
// by its CUgraphNodeType, and for a kernel the packed parameters after it.
#pragma once

#include <cstdint>

#include "abi/graph.h"
#include "remoting/wire/attach.h"

namespace mignificient::wire {

inline constexpr uint32_t kMaxNodeDependencies = 1024;
inline constexpr uint32_t kMaxConditionalGraphs = 64;

// kGraphAddNode. Tail: uint64_t dependencies[dependency_count], CUgraphEdgeData edges[dependency_count], payload.
struct AddNodeBody {
  uint64_t graph;
  int32_t type;
  uint32_t dependency_count;
};
struct AddNodeReply {
  uint64_t node;
  uint64_t address;                        // of a memory allocation node
  uint64_t graphs[kMaxConditionalGraphs];  // bodies of a conditional node
};

// kGraphSetNode. Tail: payload.
struct SetNodeBody {
  uint64_t exec;  // 0: the node of the graph itself
  uint64_t node;
  int32_t type;
  uint32_t reserved;
};

// kGraphGetNode: HandleBody -> NodeReply, the payload as AddNode takes it
struct NodeReply {
  int32_t type;
  uint32_t bytes;
  std::byte payload[kReplyBytes - 8];
};

struct KernelNode {  // + parameters
  uint64_t function;
  uint32_t grid[3];
  uint32_t block[3];
  uint32_t shared_bytes;
  uint32_t param_bytes;
};
struct MemcpyNode {
  CUDA_MEMCPY3D copy;  // arrays by name; host addresses inside pinned memory
  uint64_t carry;      // host function that carries the bytes to or from pageable memory, which stands beside; 0: none
};
struct MemsetNode {
  CUDA_MEMSET_NODE_PARAMS memset;  // context 0
};
struct HostNode {
  uint64_t id;  // as in HostFunctionBody
};
struct ChildNode {
  uint64_t graph;
  int32_t ownership;
  uint32_t reserved;
};
struct EventNode {
  uint64_t event;
};
struct AllocNode {
  uint64_t bytes;
  uint64_t address;  // GetNode only
};
struct FreeNode {
  uint64_t address;
};
struct MemoryOpsNode {  // + CUstreamBatchMemOpParams[count]
  uint32_t count;
  uint32_t flags;
};
struct ConditionalNode {
  uint64_t handle;
  int32_t type;
  uint32_t size;
};

struct NodeTypeReply {
  int32_t type;
};

// kGraphNodeEnabled: of a node in an executable
struct NodeEnabledBody {
  uint64_t exec;
  uint64_t node;
  uint32_t set;  // 0: asks only
  uint32_t enabled;
};
struct NodeEnabledReply {
  uint32_t enabled;
};

// kGraphList: what a graph or node consists of, or is connected to, from entry `first` on -> GraphListReply
enum class GraphListKind : uint32_t { kNodes, kRoots, kEdges, kDependencies, kDependents };
struct GraphListBody {
  uint64_t object;  // graph, or node for the last two
  GraphListKind kind;
  uint32_t first;
};
struct GraphEdge {  // of kNodes and kRoots only `from`, of kDependencies and kDependents `from` and `data`
  uint64_t from;
  uint64_t to;
  CUgraphEdgeData data;
};
inline constexpr uint32_t kGraphListEntries = (kReplyBytes - 8) / sizeof(GraphEdge);
struct GraphListReply {
  uint32_t total;
  uint32_t count;  // in this reply
  GraphEdge entries[kGraphListEntries];
};
static_assert(sizeof(GraphListReply) <= kReplyBytes);

// kGraphEdges. Tail: GraphEdge edges[count]
struct GraphEdgesBody {
  uint64_t graph;
  uint32_t count;
  uint32_t remove;  // 0: add
};

// kGraphClone, kGraphFindInClone
struct TwoHandlesBody {
  uint64_t first;
  uint64_t second;
};

struct InstantiateBody {
  uint64_t graph;
  uint64_t flags;
  uint64_t upload_stream;
};
struct InstantiateReply {
  uint64_t exec;
  uint64_t error_node;
  uint32_t result;  // CUresult: the reply itself always succeeds, so that the reason arrives
  int32_t reason;   // CUgraphInstantiateResult
};

struct ExecUpdateReply {
  uint32_t result;  // as in InstantiateReply
  int32_t reason;   // CUgraphExecUpdateResult
  uint64_t error_node;
  uint64_t error_from_node;
};

// kCaptureBegin. Tail: uint64_t dependencies[dependency_count], CUgraphEdgeData edges[dependency_count]
struct CaptureBeginBody {
  uint64_t stream;
  uint64_t graph;  // 0: a new one
  int32_t mode;
  uint32_t dependency_count;
};
// kCaptureUpdate. Tail as kCaptureBegin's.
struct CaptureUpdateBody {
  uint64_t stream;
  uint32_t flags;
  uint32_t dependency_count;
};
// kCaptureInfo: HandleBody ->
struct CaptureInfoReply {
  uint64_t id;
  uint64_t graph;
  int32_t status;
  uint32_t dependency_count;
  GraphEdge dependencies[kGraphListEntries - 1];
};
static_assert(sizeof(CaptureInfoReply) <= kReplyBytes);

}  // namespace mignificient::wire
