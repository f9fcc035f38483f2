// Graph nodes: made from the parameters that programs give, asked for them, given others.
#include <algorithm>

#include "driver/cpu/copy_3d.h"
#include "driver/cpu/graph_calls.h"
#include "driver/cpu/memset.h"

namespace mignificient::cpu {
namespace {

// --- From parameters ------------------------------------------------------------------------------------------------

CUresult ReadKernel(Context& context, const CUDA_KERNEL_NODE_PARAMS& params, NodeWork* work) {
  KernelNode node;
  node.handle = params.function != nullptr ? params.function : reinterpret_cast<CUfunction>(params.kernel);
  KernelLaunch& launch = node.launch;
  launch.function = context.functions.Find(node.handle);
  if (launch.function == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (launch.function->kernel == nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  launch.grid = {params.grid[0], params.grid[1], params.grid[2]};
  launch.block = {params.block[0], params.block[1], params.block[2]};
  launch.dynamic_shared_bytes = params.shared_bytes;
  if (const CUresult good = CheckShape(launch, context.device().options()); good != CUDA_SUCCESS) return good;
  const CUresult packed = PackParams(*launch.function->kernel, params.params, params.extra, &launch.params);
  if (packed == CUDA_SUCCESS) *work = std::move(node);
  return packed;
}

template <typename Kind>
CUresult ReadEvent(Context& context, CUevent handle, NodeWork* work) {
  auto event = context.events.Find(handle);
  if (event == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  *work = Kind{handle, std::move(event)};
  return CUDA_SUCCESS;
}

CUresult ReadChild(Context& context, const CUDA_CHILD_GRAPH_NODE_PARAMS& params, NodeWork* work) {
  const auto graph = context.graphs().Find(params.graph);
  if (graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (params.ownership != 0 || graph->HasMemoryNodes()) return CUDA_ERROR_NOT_SUPPORTED;
  *work = ChildNode{graph->Copy(/*same_handles=*/false)};
  return CUDA_SUCCESS;
}

CUresult ReadAlloc(Context& context, CUDA_MEM_ALLOC_NODE_PARAMS& params, NodeWork* work) {
  const CUmemLocation& location = params.pool.location;
  if (params.pool.type != CU_MEM_ALLOCATION_TYPE_PINNED || params.pool.handle_types != 0 ||
      location.type != CU_MEM_LOCATION_TYPE_DEVICE || location.id != 0) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  AllocNode node;
  const CUresult reserved = context.graphs().memory.Reserve(params.bytes, &node.allocation);
  if (reserved != CUDA_SUCCESS) return reserved;
  params.address = node.allocation->address;
  *work = std::move(node);
  return CUDA_SUCCESS;
}

// `params` is changed where CUDA answers in it.
CUresult Read(Context& context, CUgraphNodeParams& params, NodeWork* work) {
  switch (params.type) {
    case CU_GRAPH_NODE_TYPE_EMPTY:
      *work = EmptyNode{};
      return CUDA_SUCCESS;
    case CU_GRAPH_NODE_TYPE_KERNEL:
      return ReadKernel(context, params.kernel, work);
    case CU_GRAPH_NODE_TYPE_MEMCPY: {
      Copy3D copy;
      *work = CopyNode{params.memcpy.copy};
      const CUDA_MEMCPY3D& asked = params.memcpy.copy;
      // Memory of a node that has not run is not there yet: what begins in it is checked when it runs.
      const auto later = [&](int type, CUdeviceptr address) {
        return type != static_cast<int>(CU_MEMORYTYPE_HOST) && type != CU_MEMORYTYPE_ARRAY &&
               context.graphs().memory.Covers(address);
      };
      if (later(asked.src_memory_type, asked.src_device) || later(asked.dst_memory_type, asked.dst_device))
        return CUDA_SUCCESS;
      return Resolve(context, asked, &copy);
    }
    case CU_GRAPH_NODE_TYPE_MEMSET:
      *work = MemsetNode{params.memset};
      return context.graphs().memory.Covers(params.memset.dst) ? CUDA_SUCCESS : Check(context, params.memset);
    case CU_GRAPH_NODE_TYPE_HOST:
      *work = HostNode{params.host};
      return params.host.function == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
    case CU_GRAPH_NODE_TYPE_GRAPH:
      return ReadChild(context, params.graph, work);
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
      return ReadEvent<EventWaitNode>(context, params.event.event, work);
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
      return ReadEvent<EventRecordNode>(context, params.event.event, work);
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
      return ReadAlloc(context, params.alloc, work);
    case CU_GRAPH_NODE_TYPE_MEM_FREE: {
      auto allocation = context.graphs().memory.Find(params.free.address);
      *work = FreeNode{allocation};
      return allocation == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
    }
    default:
      return CUDA_ERROR_NOT_SUPPORTED;
  }
}

CUresult GraphAddNode(CUgraphNode* handle, CUgraph graph_handle, const CUgraphNode* dependencies,
                      const CUgraphEdgeData* data, size_t count, CUgraphNodeParams* params) {
  return OnGraph(graph_handle, [&](Context& context, Graph& graph) {
    if (handle == nullptr || params == nullptr) return CUDA_ERROR_INVALID_VALUE;
    std::vector<GraphNode::Edge> after;
    const CUresult edges = ReadEdges(context.graphs(), graph, dependencies, data, count, &after);
    if (edges != CUDA_SUCCESS) return edges;
    NodeWork work;
    if (const CUresult read = Read(context, *params, &work); read != CUDA_SUCCESS) return read;
    *handle = context.graphs().Name(graph.Add(std::move(work), std::move(after)));
    return CUDA_SUCCESS;
  });
}

// --- Other parameters -----------------------------------------------------------------------------------------------

// A node keeps its kind, and what a kernel was given as attributes. Memory keeps its size, and so its node.
CUresult Set(Context& context, GraphNode& node, CUgraphNodeParams* params) {
  if (params == nullptr || params->type != node.type()) return CUDA_ERROR_INVALID_VALUE;
  if (params->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC || params->type == CU_GRAPH_NODE_TYPE_MEM_FREE)
    return CUDA_ERROR_INVALID_VALUE;
  NodeWork work;
  if (const CUresult read = Read(context, *params, &work); read != CUDA_SUCCESS) return read;
  if (auto* kernel = std::get_if<KernelNode>(&work)) {
    const auto& before = std::get<KernelNode>(*node.work);
    kernel->attributes = before.attributes;
    kernel->launch.cooperative = before.launch.cooperative;
  }
  node.work = std::make_shared<const NodeWork>(std::move(work));
  return CUDA_SUCCESS;
}

CUresult GraphNodeSetParams(CUgraphNode handle, CUgraphNodeParams* params) {
  return OnNode(handle, [&](Context& context, GraphNode& node) {
    if (node.child() != nullptr) return CUDA_ERROR_INVALID_VALUE;  // in an executable only
    return Set(context, node, params);
  });
}

// A child graph must have the shape of the one it replaces.
CUresult SetChild(Context& context, const GraphNode& node, CUgraph handle) {
  const auto graph = context.graphs().Find(handle);
  if (graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return GraphExec::UpdateInside(*node.child(), *graph) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

bool IsFlat(const CUDA_MEMCPY3D& copy) {
  return copy.height <= 1 && copy.depth <= 1 && copy.width_bytes > 0;
}

// In an executable copies and sets stay between the kinds of memory that they had, and have one dimension.
bool MayChange(const NodeWork& before, const CUgraphNodeParams& params) {
  if (const auto* copy = std::get_if<CopyNode>(&before)) {
    const CUDA_MEMCPY3D &was = copy->copy, &is = params.memcpy.copy;
    return IsFlat(was) && IsFlat(is) && was.src_memory_type == is.src_memory_type &&
           was.dst_memory_type == is.dst_memory_type;
  }
  if (const auto* set = std::get_if<MemsetNode>(&before)) return set->memset.height <= 1 && params.memset.height <= 1;
  return true;
}

CUresult GraphExecNodeSetParams(CUgraphExec handle, CUgraphNode node_handle, CUgraphNodeParams* params) {
  return OnExec(handle, [&](Context& context, GraphExec& exec) {
    GraphNode* node = exec.Find(node_handle);
    if (node == nullptr || params == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (node->child() != nullptr && params->type == CU_GRAPH_NODE_TYPE_GRAPH)
      return SetChild(context, *node, params->graph.graph);
    if (params->type == node->type() && !MayChange(*node->work, *params)) return CUDA_ERROR_INVALID_VALUE;
    return Set(context, *node, params);
  });
}

// --- What a node has ------------------------------------------------------------------------------------------------

CUresult GraphNodeGetType(CUgraphNode handle, int* type) {
  return OnNode(handle, [&](Context&, GraphNode& node) {
    if (type == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *type = node.type();
    return CUDA_SUCCESS;
  });
}

CUresult GraphKernelNodeGetParams(CUgraphNode handle, CUDA_KERNEL_NODE_PARAMS* params) {
  return OnNode(handle, [&](Context&, GraphNode& node) {
    const auto* kernel = std::get_if<KernelNode>(node.work.get());
    if (kernel == nullptr || params == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const auto& [function, grid, block, shared_bytes, cooperative, packed] = kernel->launch;
    node.params.clear();
    for (const auto& parameter : function->kernel->parameters())
      node.params.push_back(const_cast<std::byte*>(packed.data()) + parameter.offset);
    *params = {.function = kernel->handle,
               .grid = {grid.x, grid.y, grid.z},
               .block = {block.x, block.y, block.z},
               .shared_bytes = shared_bytes,
               .params = node.params.data()};
    return CUDA_SUCCESS;
  });
}

template <typename Kind, auto kMember, typename Out>
CUresult Get(CUgraphNode handle, Out* out) {
  return OnNodeOf<Kind>(handle, [&](const Kind& node) {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *out = node.*kMember;
    return CUDA_SUCCESS;
  });
}

CUresult GraphChildGraphNodeGetGraph(CUgraphNode handle, CUgraph* graph) {
  return OnNodeOf<ChildNode>(handle, [&](const ChildNode& node) {
    if (graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *graph = node.graph->handle;
    return CUDA_SUCCESS;
  });
}

CUresult GraphMemAllocNodeGetParams(CUgraphNode handle, CUDA_MEM_ALLOC_NODE_PARAMS* params) {
  return OnNodeOf<AllocNode>(handle, [&](const AllocNode& node) {
    if (params == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *params = {.pool = {.type = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}},
               .bytes = node.allocation->bytes,
               .address = node.allocation->address};
    return CUDA_SUCCESS;
  });
}

CUresult GraphMemFreeNodeGetParams(CUgraphNode handle, CUdeviceptr* address) {
  return OnNodeOf<FreeNode>(handle, [&](const FreeNode& node) {
    if (address == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *address = node.allocation->address;
    return CUDA_SUCCESS;
  });
}

// --- Attributes of kernel nodes -------------------------------------------------------------------------------------

constexpr int kCooperative = 2, kLastAttribute = 17;

CUresult GraphKernelNodeGetAttribute(CUgraphNode handle, int attribute, CUlaunchAttributeValue* value) {
  return OnNodeOf<KernelNode>(handle, [&](const KernelNode& node) {
    if (value == nullptr || attribute <= 0 || attribute > kLastAttribute) return CUDA_ERROR_INVALID_VALUE;
    const auto found = node.attributes.find(attribute);
    *value = found == node.attributes.end() ? CUlaunchAttributeValue{} : found->second;
    if (attribute == kCooperative) value->bytes[0] = node.launch.cooperative;
    return CUDA_SUCCESS;
  });
}

CUresult GraphKernelNodeSetAttribute(CUgraphNode handle, int attribute, const CUlaunchAttributeValue* value) {
  return OnNode(handle, [&](Context&, GraphNode& node) {
    const auto* before = std::get_if<KernelNode>(node.work.get());
    if (before == nullptr || value == nullptr || attribute <= 0 || attribute > kLastAttribute)
      return CUDA_ERROR_INVALID_VALUE;
    KernelNode kernel = *before;
    kernel.attributes[attribute] = *value;
    if (attribute == kCooperative) kernel.launch.cooperative = value->bytes[0] != 0;
    node.work = std::make_shared<const NodeWork>(std::move(kernel));
    return CUDA_SUCCESS;
  });
}

CUresult GraphKernelNodeCopyAttributes(CUgraphNode dst, CUgraphNode src) {
  return OnNode(dst, [&](Context& context, GraphNode& to) {
    const GraphNode* from = context.graphs().Find(src);
    const auto* before = std::get_if<KernelNode>(to.work.get());
    const auto* given = from == nullptr ? nullptr : std::get_if<KernelNode>(from->work.get());
    if (before == nullptr || given == nullptr) return CUDA_ERROR_INVALID_VALUE;
    KernelNode kernel = *before;
    kernel.attributes = given->attributes;
    kernel.launch.cooperative = given->launch.cooperative;
    to.work = std::make_shared<const NodeWork>(std::move(kernel));
    return CUDA_SUCCESS;
  });
}

}  // namespace

void FillGraphNodeEntries(DriverTable& table) {
  table.cuGraphAddNode_v2 = GraphAddNode;
  table.cuGraphNodeSetParams = GraphNodeSetParams;
  table.cuGraphExecNodeSetParams = GraphExecNodeSetParams;
  table.cuGraphNodeGetType = GraphNodeGetType;
  table.cuGraphKernelNodeGetParams_v2 = GraphKernelNodeGetParams;
  table.cuGraphMemcpyNodeGetParams = Get<CopyNode, &CopyNode::copy, CUDA_MEMCPY3D>;
  table.cuGraphMemsetNodeGetParams = Get<MemsetNode, &MemsetNode::memset, CUDA_MEMSET_NODE_PARAMS>;
  table.cuGraphHostNodeGetParams = Get<HostNode, &HostNode::host, CUDA_HOST_NODE_PARAMS>;
  table.cuGraphEventRecordNodeGetEvent = Get<EventRecordNode, &EventRecordNode::handle, CUevent>;
  table.cuGraphEventWaitNodeGetEvent = Get<EventWaitNode, &EventWaitNode::handle, CUevent>;
  table.cuGraphChildGraphNodeGetGraph = GraphChildGraphNodeGetGraph;
  table.cuGraphMemAllocNodeGetParams = GraphMemAllocNodeGetParams;
  table.cuGraphMemFreeNodeGetParams = GraphMemFreeNodeGetParams;
  table.cuGraphKernelNodeGetAttribute = GraphKernelNodeGetAttribute;
  table.cuGraphKernelNodeSetAttribute = GraphKernelNodeSetAttribute;
  table.cuGraphKernelNodeCopyAttributes = GraphKernelNodeCopyAttributes;
}

}  // namespace mignificient::cpu
