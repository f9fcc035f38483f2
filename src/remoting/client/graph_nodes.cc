// Graph nodes: every way of the API to state their parameters ends in one form, CUgraphNodeParams, and that becomes
// plain values on the wire (graph_node_params.h).

#include <algorithm>
#include <cstring>
#include <memory>

#include "remoting/client/graph.h"
#include "remoting/client/graph_copy.h"
#include "remoting/client/graph_node_params.h"
#include "remoting/client/host_function.h"
#include "remoting/client/memory.h"

namespace mignificient::client {
namespace {

using wire::Command;

CUresult Set(CUgraphExec exec, CUgraphNode node, const CUgraphNodeParams& given) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  const bool named =
      IsA(wire::HandleKind::kGraphNode, node) && (exec == nullptr || IsA(wire::HandleKind::kGraphExec, exec));
  if (!named) return CUDA_ERROR_INVALID_VALUE;
  std::vector<std::byte> payload;
  const wire::SetNodeBody body{NameOf(exec), NameOf(node), given.type, 0};
  return SendNode(given, payload, [&] { return CallWith(Command::kGraphSetNode, body, {}, payload); });
}

CUresult Enabled(CUgraphExec exec, CUgraphNode node, wire::NodeEnabledBody body, unsigned* enabled) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  const bool named = IsA(wire::HandleKind::kGraphNode, node) && IsA(wire::HandleKind::kGraphExec, exec);
  if (enabled == nullptr || !named) return CUDA_ERROR_INVALID_VALUE;
  body.exec = NameOf(exec);
  body.node = NameOf(node);
  wire::NodeEnabledReply reply{};
  const CUresult result = CallFor(Command::kGraphNodeEnabled, body, reply);
  if (result == CUDA_SUCCESS) *enabled = reply.enabled;
  return result;
}

// --- Parameters of the entry points that exist per type -------------------------------------------------------------

CUgraphNodeParams Of(int type) {
  CUgraphNodeParams params{};
  params.type = type;
  return params;
}

// The first form of a kernel's parameters ends before `kernel` and `context`.
CUgraphNodeParams KernelV1(const CUDA_KERNEL_NODE_PARAMS& kernel) {
  CUgraphNodeParams params = Of(CU_GRAPH_NODE_TYPE_KERNEL);
  std::memcpy(&params.kernel, &kernel, offsetof(CUDA_KERNEL_NODE_PARAMS, kernel));
  return params;
}
CUgraphNodeParams KernelV2(const CUDA_KERNEL_NODE_PARAMS& kernel) {
  CUgraphNodeParams params = Of(CU_GRAPH_NODE_TYPE_KERNEL);
  params.kernel = kernel;
  return params;
}
CUgraphNodeParams Memcpy(const CUDA_MEMCPY3D& copy) {
  CUgraphNodeParams params = Of(CU_GRAPH_NODE_TYPE_MEMCPY);
  params.memcpy.copy = copy;
  return params;
}
// The first form of a memset's parameters ends before `context`.
CUgraphNodeParams Memset(const CUDA_MEMSET_NODE_PARAMS& memset, CUcontext context) {
  CUgraphNodeParams params = Of(CU_GRAPH_NODE_TYPE_MEMSET);
  std::memcpy(&params.memset, &memset, offsetof(CUDA_MEMSET_NODE_PARAMS, context));
  params.memset.context = context;
  return params;
}
CUgraphNodeParams MemoryOps(const CUDA_BATCH_MEM_OP_NODE_PARAMS& operations) {
  CUgraphNodeParams params = Of(CU_GRAPH_NODE_TYPE_BATCH_MEM_OP);
  params.memory_operations = operations;
  return params;
}
CUgraphNodeParams Host(const CUDA_HOST_NODE_PARAMS& host) {
  CUgraphNodeParams params = Of(CU_GRAPH_NODE_TYPE_HOST);
  params.host = host;
  return params;
}
CUgraphNodeParams Child(CUgraph graph) {
  CUgraphNodeParams params = Of(CU_GRAPH_NODE_TYPE_GRAPH);
  params.graph.graph = graph;
  return params;
}
CUgraphNodeParams Event(int type, CUevent event) {
  CUgraphNodeParams params = Of(type);
  params.event.event = event;
  return params;
}

CUresult AddOne(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies, size_t count,
                CUgraphNodeParams params) {
  return AddNode(node, graph, dependencies, nullptr, count, params);
}

}  // namespace

CUresult AddNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies, const CUgraphEdgeData* edges,
                 size_t count, CUgraphNodeParams& params) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (node == nullptr) return CUDA_ERROR_INVALID_VALUE;
  LinkTail tail(dependencies, edges, count);
  if (tail.status() != CUDA_SUCCESS) return tail.status();
  const wire::AddNodeBody body{NameOf(graph), params.type, tail.count()};
  const auto reply = std::make_unique<wire::AddNodeReply>();
  const CUresult result =
      SendNode(params, tail.bytes(), [&] { return CallFor(Command::kGraphAddNode, body, *reply, tail.bytes()); });
  if (result != CUDA_SUCCESS) return result;
  *node = HandleOf<CUgraphNode>(reply->node);
  if (params.type == CU_GRAPH_NODE_TYPE_MEM_ALLOC) params.alloc.address = reply->address;
  if (params.type == CU_GRAPH_NODE_TYPE_CONDITIONAL)
    params.conditional.graphs =
        LendGraphs(*node, reply->graphs, std::min(params.conditional.size, wire::kMaxConditionalGraphs));
  return CUDA_SUCCESS;
}

#define MIG_ADD CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies, size_t count

MIG_EXPORT CUresult cuGraphAddNode(MIG_ADD, CUgraphNodeParams* params) {
  return params == nullptr ? InvalidValue() : AddNode(node, graph, dependencies, nullptr, count, *params);
}
MIG_EXPORT CUresult cuGraphAddNode_v2(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                                      const CUgraphEdgeData* edges, size_t count, CUgraphNodeParams* params) {
  return params == nullptr ? InvalidValue() : AddNode(node, graph, dependencies, edges, count, *params);
}
MIG_EXPORT CUresult cuGraphAddKernelNode(MIG_ADD, const CUDA_KERNEL_NODE_PARAMS* params) {
  if (params == nullptr) return InvalidValue();
  return AddOne(node, graph, dependencies, count, KernelV1(*params));
}
MIG_EXPORT CUresult cuGraphAddKernelNode_v2(MIG_ADD, const CUDA_KERNEL_NODE_PARAMS* params) {
  if (params == nullptr) return InvalidValue();
  return AddOne(node, graph, dependencies, count, KernelV2(*params));
}
MIG_EXPORT CUresult cuGraphAddMemcpyNode(MIG_ADD, const CUDA_MEMCPY3D* copy, CUcontext) {
  if (copy == nullptr) return InvalidValue();
  return AddOne(node, graph, dependencies, count, Memcpy(*copy));
}
MIG_EXPORT CUresult cuGraphAddMemsetNode(MIG_ADD, const CUDA_MEMSET_NODE_PARAMS* memset, CUcontext context) {
  if (memset == nullptr) return InvalidValue();
  return AddOne(node, graph, dependencies, count, Memset(*memset, context));
}
MIG_EXPORT CUresult cuGraphAddHostNode(MIG_ADD, const CUDA_HOST_NODE_PARAMS* host) {
  if (host == nullptr) return InvalidValue();
  return AddOne(node, graph, dependencies, count, Host(*host));
}
MIG_EXPORT CUresult cuGraphAddChildGraphNode(MIG_ADD, CUgraph child) {
  return AddOne(node, graph, dependencies, count, Child(child));
}
MIG_EXPORT CUresult cuGraphAddBatchMemOpNode(MIG_ADD, const CUDA_BATCH_MEM_OP_NODE_PARAMS* params) {
  if (params == nullptr) return InvalidValue();
  return AddOne(node, graph, dependencies, count, MemoryOps(*params));
}
MIG_EXPORT CUresult cuGraphAddEmptyNode(MIG_ADD) {
  return AddOne(node, graph, dependencies, count, Of(CU_GRAPH_NODE_TYPE_EMPTY));
}
MIG_EXPORT CUresult cuGraphAddEventRecordNode(MIG_ADD, CUevent event) {
  return AddOne(node, graph, dependencies, count, Event(CU_GRAPH_NODE_TYPE_EVENT_RECORD, event));
}
MIG_EXPORT CUresult cuGraphAddEventWaitNode(MIG_ADD, CUevent event) {
  return AddOne(node, graph, dependencies, count, Event(CU_GRAPH_NODE_TYPE_WAIT_EVENT, event));
}
MIG_EXPORT CUresult cuGraphAddMemAllocNode(MIG_ADD, CUDA_MEM_ALLOC_NODE_PARAMS* alloc) {
  if (alloc == nullptr) return InvalidValue();
  CUgraphNodeParams params = Of(CU_GRAPH_NODE_TYPE_MEM_ALLOC);
  params.alloc = *alloc;
  const CUresult result = AddNode(node, graph, dependencies, nullptr, count, params);
  if (result == CUDA_SUCCESS) alloc->address = params.alloc.address;
  return result;
}
MIG_EXPORT CUresult cuGraphAddMemFreeNode(MIG_ADD, CUdeviceptr address) {
  CUgraphNodeParams params = Of(CU_GRAPH_NODE_TYPE_MEM_FREE);
  params.free.address = address;
  return AddOne(node, graph, dependencies, count, params);
}
#undef MIG_ADD

// --- Any node
MIG_EXPORT CUresult cuGraphNodeGetType(CUgraphNode node, int* type) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (type == nullptr || !IsA(wire::HandleKind::kGraphNode, node)) return CUDA_ERROR_INVALID_VALUE;
  wire::NodeTypeReply reply{};
  const CUresult result = CallFor(Command::kGraphNodeType, wire::HandleBody{NameOf(node)}, reply);
  if (result == CUDA_SUCCESS) *type = reply.type;
  return result;
}
MIG_EXPORT CUresult cuGraphNodeSetEnabled(CUgraphExec exec, CUgraphNode node, unsigned enabled) {
  return Enabled(exec, node, {.set = 1, .enabled = enabled}, &enabled);
}
MIG_EXPORT CUresult cuGraphNodeGetEnabled(CUgraphExec exec, CUgraphNode node, unsigned* enabled) {
  return Enabled(exec, node, {}, enabled);
}

MIG_EXPORT CUresult cuGraphNodeSetParams(CUgraphNode node, CUgraphNodeParams* params) {
  return params == nullptr ? InvalidValue() : Set(nullptr, node, *params);
}
MIG_EXPORT CUresult cuGraphExecNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraphNodeParams* params) {
  return params == nullptr || exec == nullptr ? InvalidValue() : Set(exec, node, *params);
}

// --- Kernel nodes
MIG_EXPORT CUresult cuGraphKernelNodeGetParams_v2(CUgraphNode node, CUDA_KERNEL_NODE_PARAMS* params) {
  if (params == nullptr) return InvalidValue();
  CUDA_KERNEL_NODE_PARAMS got{};
  const CUresult result = FetchKernel(node, got);
  if (result == CUDA_SUCCESS) *params = got;
  return result;
}
MIG_EXPORT CUresult cuGraphKernelNodeGetParams(CUgraphNode node, CUDA_KERNEL_NODE_PARAMS* params) {
  if (params == nullptr) return InvalidValue();
  CUDA_KERNEL_NODE_PARAMS got{};
  const CUresult result = FetchKernel(node, got);
  if (result == CUDA_SUCCESS) std::memcpy(static_cast<void*>(params), &got, offsetof(CUDA_KERNEL_NODE_PARAMS, kernel));
  return result;
}
MIG_EXPORT CUresult cuGraphKernelNodeSetParams(CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS* params) {
  return params == nullptr ? InvalidValue() : Set(nullptr, node, KernelV1(*params));
}
MIG_EXPORT CUresult cuGraphKernelNodeSetParams_v2(CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS* params) {
  return params == nullptr ? InvalidValue() : Set(nullptr, node, KernelV2(*params));
}
MIG_EXPORT CUresult cuGraphExecKernelNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                                   const CUDA_KERNEL_NODE_PARAMS* params) {
  return params == nullptr || exec == nullptr ? InvalidValue() : Set(exec, node, KernelV1(*params));
}
MIG_EXPORT CUresult cuGraphExecKernelNodeSetParams_v2(CUgraphExec exec, CUgraphNode node,
                                                      const CUDA_KERNEL_NODE_PARAMS* params) {
  return params == nullptr || exec == nullptr ? InvalidValue() : Set(exec, node, KernelV2(*params));
}

// --- Copies and sets
MIG_EXPORT CUresult cuGraphMemcpyNodeGetParams(CUgraphNode node, CUDA_MEMCPY3D* copy) {
  if (copy == nullptr) return InvalidValue();
  wire::MemcpyNode payload;
  const CUresult result = FetchAs(node, CU_GRAPH_NODE_TYPE_MEMCPY, payload);
  if (result != CUDA_SUCCESS) return result;
  if (payload.carry != 0) {
    const auto function = FindHostFunction(payload.carry);
    if (!function || function->staged == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *copy = function->staged->given;
    return CUDA_SUCCESS;
  }
  *copy = payload.copy;
  const auto in_program = [](const void* address) {
    return reinterpret_cast<void*>(ThePinnedMemory().InProgram(reinterpret_cast<uint64_t>(address)));
  };
  copy->src_host = in_program(copy->src_host);
  copy->dst_host = in_program(copy->dst_host);
  return CUDA_SUCCESS;
}
MIG_EXPORT CUresult cuGraphMemcpyNodeSetParams(CUgraphNode node, const CUDA_MEMCPY3D* copy) {
  return copy == nullptr ? InvalidValue() : Set(nullptr, node, Memcpy(*copy));
}
MIG_EXPORT CUresult cuGraphExecMemcpyNodeSetParams(CUgraphExec exec, CUgraphNode node, const CUDA_MEMCPY3D* copy,
                                                   CUcontext) {
  return copy == nullptr || exec == nullptr ? InvalidValue() : Set(exec, node, Memcpy(*copy));
}
MIG_EXPORT CUresult cuGraphMemsetNodeGetParams(CUgraphNode node, CUDA_MEMSET_NODE_PARAMS* memset) {
  if (memset == nullptr) return InvalidValue();
  wire::MemsetNode payload;
  const CUresult result = FetchAs(node, CU_GRAPH_NODE_TYPE_MEMSET, payload);
  if (result == CUDA_SUCCESS)
    std::memcpy(static_cast<void*>(memset), &payload, offsetof(CUDA_MEMSET_NODE_PARAMS, context));
  return result;
}
MIG_EXPORT CUresult cuGraphMemsetNodeSetParams(CUgraphNode node, const CUDA_MEMSET_NODE_PARAMS* memset) {
  return memset == nullptr ? InvalidValue() : Set(nullptr, node, Memset(*memset, CurrentContext()));
}
MIG_EXPORT CUresult cuGraphExecMemsetNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                                   const CUDA_MEMSET_NODE_PARAMS* memset, CUcontext context) {
  return memset == nullptr || exec == nullptr ? InvalidValue() : Set(exec, node, Memset(*memset, context));
}
MIG_EXPORT CUresult cuGraphMemAllocNodeGetParams(CUgraphNode node, CUDA_MEM_ALLOC_NODE_PARAMS* alloc) {
  if (alloc == nullptr) return InvalidValue();
  wire::AllocNode payload;
  const CUresult result = FetchAs(node, CU_GRAPH_NODE_TYPE_MEM_ALLOC, payload);
  if (result != CUDA_SUCCESS) return result;
  *alloc = {};
  alloc->pool.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  alloc->pool.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  alloc->bytes = payload.bytes;
  alloc->address = payload.address;
  return CUDA_SUCCESS;
}
MIG_EXPORT CUresult cuGraphMemFreeNodeGetParams(CUgraphNode node, CUdeviceptr* address) {
  if (address == nullptr) return InvalidValue();
  wire::FreeNode payload;
  const CUresult result = FetchAs(node, CU_GRAPH_NODE_TYPE_MEM_FREE, payload);
  if (result == CUDA_SUCCESS) *address = payload.address;
  return result;
}

MIG_EXPORT CUresult cuGraphBatchMemOpNodeGetParams(CUgraphNode node, CUDA_BATCH_MEM_OP_NODE_PARAMS* params) {
  return params == nullptr ? InvalidValue() : FetchMemoryOps(node, *params);
}
MIG_EXPORT CUresult cuGraphBatchMemOpNodeSetParams(CUgraphNode node, const CUDA_BATCH_MEM_OP_NODE_PARAMS* params) {
  return params == nullptr ? InvalidValue() : Set(nullptr, node, MemoryOps(*params));
}
MIG_EXPORT CUresult cuGraphExecBatchMemOpNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                                       const CUDA_BATCH_MEM_OP_NODE_PARAMS* params) {
  return params == nullptr || exec == nullptr ? InvalidValue() : Set(exec, node, MemoryOps(*params));
}

// --- Host functions, child graphs, events
MIG_EXPORT CUresult cuGraphHostNodeGetParams(CUgraphNode node, CUDA_HOST_NODE_PARAMS* host) {
  if (host == nullptr) return InvalidValue();
  wire::HostNode payload;
  if (const CUresult result = FetchAs(node, CU_GRAPH_NODE_TYPE_HOST, payload); result != CUDA_SUCCESS) return result;
  const auto function = FindHostFunction(payload.id);
  if (!function) return CUDA_ERROR_INVALID_VALUE;
  *host = {function->function, function->user_data};
  return CUDA_SUCCESS;
}
MIG_EXPORT CUresult cuGraphHostNodeSetParams(CUgraphNode node, const CUDA_HOST_NODE_PARAMS* host) {
  return host == nullptr ? InvalidValue() : Set(nullptr, node, Host(*host));
}
MIG_EXPORT CUresult cuGraphExecHostNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                                 const CUDA_HOST_NODE_PARAMS* host) {
  return host == nullptr || exec == nullptr ? InvalidValue() : Set(exec, node, Host(*host));
}
MIG_EXPORT CUresult cuGraphChildGraphNodeGetGraph(CUgraphNode node, CUgraph* graph) {
  if (graph == nullptr) return InvalidValue();
  wire::ChildNode payload;
  const CUresult result = FetchAs(node, CU_GRAPH_NODE_TYPE_GRAPH, payload);
  if (result == CUDA_SUCCESS) *graph = HandleOf<CUgraph>(payload.graph);
  return result;
}
MIG_EXPORT CUresult cuGraphExecChildGraphNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraph child) {
  return exec == nullptr ? InvalidValue() : Set(exec, node, Child(child));
}

#define MIG_EVENT_NODE(Name, type)                                                                         \
  MIG_EXPORT CUresult cuGraph##Name##NodeGetEvent(CUgraphNode node, CUevent* event) {                      \
    if (event == nullptr) return InvalidValue();                                                           \
    wire::EventNode payload;                                                                               \
    const CUresult result = FetchAs(node, type, payload);                                                  \
    if (result == CUDA_SUCCESS) *event = HandleOf<CUevent>(payload.event);                                 \
    return result;                                                                                         \
  }                                                                                                        \
  MIG_EXPORT CUresult cuGraph##Name##NodeSetEvent(CUgraphNode node, CUevent event) {                       \
    return Set(nullptr, node, Event(type, event));                                                         \
  }                                                                                                        \
  MIG_EXPORT CUresult cuGraphExec##Name##NodeSetEvent(CUgraphExec exec, CUgraphNode node, CUevent event) { \
    return exec == nullptr ? InvalidValue() : Set(exec, node, Event(type, event));                         \
  }
MIG_EVENT_NODE(EventRecord, CU_GRAPH_NODE_TYPE_EVENT_RECORD)
MIG_EVENT_NODE(EventWait, CU_GRAPH_NODE_TYPE_WAIT_EVENT)
#undef MIG_EVENT_NODE

}  // namespace mignificient::client
