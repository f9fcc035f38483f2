// Parameters of graph nodes: from the wire's plain values to what the driver takes, and back.

#include <algorithm>
#include <cstring>
#include <memory>

#include "remoting/server/connection.h"
#include "remoting/server/memory_ops.h"

namespace mignificient::server {

struct Connection::NodeParams {
  CUgraphNodeParams driver{};
  std::vector<void*> kernel_params;
  std::vector<CUstreamBatchMemOpParams> memory_operations;
  void* host_call = nullptr;
};

namespace {

// The payload, if it is long enough; it stays in the command, which is our copy.
template <typename T>
const T* As(std::span<const std::byte> payload) {
  return payload.size() < sizeof(T) ? nullptr : reinterpret_cast<const T*>(payload.data());
}

template <typename T>
void Put(wire::NodeReply& reply, const T& payload) {
  static_assert(sizeof(T) <= sizeof reply.payload);
  std::memcpy(reply.payload, &payload, sizeof payload);
  reply.bytes = sizeof payload;
}

}  // namespace

// --- To the driver --------------------------------------------------------------------------------------------------

CUresult Connection::ReadKernelNode(std::span<const std::byte> payload, NodeParams& params) {
  const auto* node = As<wire::KernelNode>(payload);
  if (node == nullptr || payload.size() - sizeof *node < node->param_bytes) return CUDA_ERROR_INVALID_VALUE;
  const Kernel* kernel = FindKernel(node->function);
  if (kernel == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (node->param_bytes != kernel->param_bytes) return CUDA_ERROR_INVALID_VALUE;
  CUDA_KERNEL_NODE_PARAMS& out = params.driver.kernel;
  out.function = kernel->function;
  if (kernel->function == nullptr) out.kernel = kernel->kernel;
  std::copy_n(node->grid, 3, out.grid);
  std::copy_n(node->block, 3, out.block);
  out.shared_bytes = node->shared_bytes;
  auto* bytes = const_cast<std::byte*>(payload.data() + sizeof *node);
  for (const auto& param : kernel->params) params.kernel_params.push_back(bytes + param.offset);
  out.params = params.kernel_params.data();
  return CUDA_SUCCESS;
}

CUresult Connection::ReadMemcpyNode(std::span<const std::byte> payload, NodeParams& params) {
  const auto* node = As<wire::MemcpyNode>(payload);
  if (node == nullptr) return CUDA_ERROR_INVALID_VALUE;
  CUDA_MEMCPY3D& copy = params.driver.memcpy.copy;
  copy = node->copy;
  if (!HostSideAllowed(copy, nullptr, 0)) return CUDA_ERROR_INVALID_VALUE;
  if (!ResolveArrays(copy)) return CUDA_ERROR_INVALID_VALUE;
  params.driver.memcpy.context = device_.context;
  return CUDA_SUCCESS;
}

CUresult Connection::ReadNode(int type, std::span<const std::byte> payload, NodeParams& params) {
  params.driver.type = type;
  switch (type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
      return ReadKernelNode(payload, params);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
      return ReadMemcpyNode(payload, params);
    case CU_GRAPH_NODE_TYPE_EMPTY:
      return CUDA_SUCCESS;
    case CU_GRAPH_NODE_TYPE_MEMSET:
      if (const auto* node = As<wire::MemsetNode>(payload)) {
        params.driver.memset = node->memset;
        params.driver.memset.context = device_.context;
        return CUDA_SUCCESS;
      }
      break;
    case CU_GRAPH_NODE_TYPE_HOST:
      if (const auto* node = As<wire::HostNode>(payload)) {
        params.host_call = host_calls_.Add(node->id, true);
        if (params.host_call == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
        params.driver.host = {HostCalls::Function, params.host_call};
        return CUDA_SUCCESS;
      }
      break;
    case CU_GRAPH_NODE_TYPE_GRAPH:
      if (const auto* node = As<wire::ChildNode>(payload)) {
        params.driver.graph.ownership = node->ownership;
        return ResolveGraph(node->graph, params.driver.graph.graph) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
      }
      break;
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
      if (const auto* node = As<wire::EventNode>(payload))
        return ResolveEvent(node->event, params.driver.event.event) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
      break;
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
      if (const auto* node = As<wire::AllocNode>(payload)) {
        params.driver.alloc.pool.type = CU_MEM_ALLOCATION_TYPE_PINNED;
        params.driver.alloc.pool.location = {CU_MEM_LOCATION_TYPE_DEVICE, device_.ordinal};
        params.driver.alloc.bytes = node->bytes;
        return CUDA_SUCCESS;
      }
      break;
    case CU_GRAPH_NODE_TYPE_MEM_FREE:
      if (const auto* node = As<wire::FreeNode>(payload)) {
        params.driver.free.address = node->address;
        return CUDA_SUCCESS;
      }
      break;
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
      if (const auto* node = As<wire::MemoryOpsNode>(payload)) {
        if (!TakeMemoryOps(payload.subspan(sizeof *node), node->count, params.memory_operations)) break;
        params.driver.memory_operations = {device_.context, node->count, params.memory_operations.data(), node->flags};
        return CUDA_SUCCESS;
      }
      break;
    case CU_GRAPH_NODE_TYPE_CONDITIONAL:
      if (const auto* node = As<wire::ConditionalNode>(payload)) {
        if (node->size > wire::kMaxConditionalGraphs) return CUDA_ERROR_INVALID_VALUE;
        params.driver.conditional = {node->handle, node->type, node->size, nullptr, device_.context};
        return CUDA_SUCCESS;
      }
      break;
    default:
      break;
  }
  return CUDA_ERROR_INVALID_VALUE;
}

bool Connection::AddNode(uint16_t slot, std::span<const std::byte> body) {
  const auto* add = Body<wire::AddNodeBody>(body);
  if (add == nullptr) return Misuse("Graph command is too short.");
  const GraphNames::Graph* found = graphs_.FindGraph(add->graph);
  Links links;
  NodeParams params;
  wire::AddNodeReply reply{};
  CUresult result = found == nullptr ? CUDA_ERROR_INVALID_VALUE : TakeLinks(body, add->dependency_count, links);
  if (result == CUDA_SUCCESS) result = ReadNode(add->type, body, params);
  if (result != CUDA_SUCCESS) {
    Answer(slot, result);
    return true;
  }
  const GraphNames::Graph graph = *found;
  if (charge > 0 && !AwaitSettled()) return false;
  const uint64_t charge = add->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC ? params.driver.alloc.bytes : 0;
  if (charge > 0 && !Session::Take(session_->mapped_bytes, charge, session_->budget_bytes)) {
    Answer(slot, CUDA_ERROR_OUT_OF_MEMORY);
    return true;
  }
  CUgraphNode node = nullptr;
  result = driver().cuGraphAddNode_v2(&node, graph.graph, links.nodes.data(), links.EdgesOrNull(), links.nodes.size(),
                                      &params.driver);
  if (result == CUDA_SUCCESS) {
    graph_bytes_[graph.root] += charge;
    reply.node = graphs_.NameNode(node, graph.root);
    if (add->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC) {
      reply.address = params.driver.alloc.address;
      graph_addresses_.insert_or_assign(reply.address, graph.root);
    }
    if (add->type == CU_GRAPH_NODE_TYPE_CONDITIONAL)
      for (uint32_t i = 0; i < params.driver.conditional.size; ++i)
        reply.graphs[i] = graphs_.NameGraph(params.driver.conditional.graphs[i], graph.root);
  } else {
    if (params.host_call != nullptr) host_calls_.Remove(params.host_call);
    session_->mapped_bytes.fetch_sub(charge, std::memory_order_relaxed);
  }
  Answer(slot, result, std::as_bytes(std::span(&reply, 1)));
  return true;
}

bool Connection::SetNode(uint16_t slot, std::span<const std::byte> body) {
  const auto* set = Body<wire::SetNodeBody>(body);
  if (set == nullptr) return Misuse("Graph command is too short.");
  CUgraphNode node = nullptr;
  CUgraphExec exec = nullptr;
  NodeParams params;
  CUresult result = CUDA_ERROR_INVALID_VALUE;
  if (ResolveGraphNode(set->node, node) && (set->exec == 0 || Resolve(graph_execs_, set->exec, exec)))
    result = ReadNode(set->type, body, params);
  if (result == CUDA_SUCCESS)
    result = exec == nullptr ? driver().cuGraphNodeSetParams(node, &params.driver)
                             : driver().cuGraphExecNodeSetParams(exec, node, &params.driver);
  if (result != CUDA_SUCCESS && params.host_call != nullptr) host_calls_.Remove(params.host_call);
  Answer(slot, result);
  return true;
}

bool Connection::DestroyNode(uint16_t slot, uint64_t name) {
  CUgraphNode node = nullptr;
  CUresult result = CUDA_ERROR_INVALID_VALUE;
  if (ResolveGraphNode(name, node)) result = driver().cuGraphDestroyNode(node);
  if (result == CUDA_SUCCESS) graphs_.ForgetNode(name);
  Answer(slot, result);
  return true;
}

// --- From the driver ------------------------------------------------------------------------------------------------

CUresult Connection::WriteKernelNode(CUgraphNode node, wire::NodeReply& reply) {
  CUDA_KERNEL_NODE_PARAMS params{};
  if (const CUresult result = driver().cuGraphKernelNodeGetParams_v2(node, &params); result != CUDA_SUCCESS)
    return result;
  const uint64_t name = kernels_.NameIf([&](Kernel& kernel) {
    if (params.function == nullptr) return kernel.kernel == params.kernel;
    if (kernel.function == nullptr) driver().cuKernelGetFunction(&kernel.function, kernel.kernel);
    return kernel.function == params.function || reinterpret_cast<CUfunction>(kernel.kernel) == params.function;
  });
  const Kernel* kernel = kernels_.Find(name);
  if (kernel == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  wire::KernelNode payload{name, {}, {}, params.shared_bytes, kernel->param_bytes};
  if (kernel->param_bytes > sizeof reply.payload - sizeof payload) return CUDA_ERROR_NOT_SUPPORTED;
  std::copy_n(params.grid, 3, payload.grid);
  std::copy_n(params.block, 3, payload.block);
  Put(reply, payload);
  for (size_t i = 0; params.params != nullptr && i < kernel->params.size(); ++i)
    std::memcpy(reply.payload + sizeof payload + kernel->params[i].offset, params.params[i], kernel->params[i].size);
  reply.bytes += kernel->param_bytes;
  return CUDA_SUCCESS;
}

CUresult Connection::WriteNode(CUgraphNode node, CUgraph root, wire::NodeReply& reply) {
  CUresult result = driver().cuGraphNodeGetType(node, &reply.type);
  if (result != CUDA_SUCCESS) return result;
  switch (reply.type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
      return WriteKernelNode(node, reply);
    case CU_GRAPH_NODE_TYPE_MEMCPY: {
      wire::MemcpyNode payload{};
      result = driver().cuGraphMemcpyNodeGetParams(node, &payload.copy);
      const auto name = [this](CUarray array) {
        const uint64_t found = arrays_.NameIf([&](const Array& each) { return each.array == array; });
        return reinterpret_cast<CUarray>(found);
      };
      if (payload.copy.src_array != nullptr) payload.copy.src_array = name(payload.copy.src_array);
      if (payload.copy.dst_array != nullptr) payload.copy.dst_array = name(payload.copy.dst_array);
      Put(reply, payload);
      return result;
    }
    case CU_GRAPH_NODE_TYPE_MEMSET: {
      wire::MemsetNode payload{};
      result = driver().cuGraphMemsetNodeGetParams(node, &payload.memset);
      payload.memset.context = nullptr;
      Put(reply, payload);
      return result;
    }
    case CU_GRAPH_NODE_TYPE_HOST: {
      CUDA_HOST_NODE_PARAMS params{};
      result = driver().cuGraphHostNodeGetParams(node, &params);
      Put(reply, wire::HostNode{host_calls_.IdOf(params.user_data)});
      return result;
    }
    case CU_GRAPH_NODE_TYPE_GRAPH: {
      CUgraph child = nullptr;
      result = driver().cuGraphChildGraphNodeGetGraph(node, &child);
      Put(reply, wire::ChildNode{result == CUDA_SUCCESS ? graphs_.NameGraph(child, root) : 0, 0, 0});
      return result;
    }
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD: {
      CUevent event = nullptr;
      result = reply.type == CU_GRAPH_NODE_TYPE_WAIT_EVENT ? driver().cuGraphEventWaitNodeGetEvent(node, &event)
                                                           : driver().cuGraphEventRecordNodeGetEvent(node, &event);
      Put(reply, wire::EventNode{events_.NameIf([&](CUevent each) { return each == event; })});
      return result;
    }
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC: {
      CUDA_MEM_ALLOC_NODE_PARAMS params{};
      result = driver().cuGraphMemAllocNodeGetParams(node, &params);
      Put(reply, wire::AllocNode{params.bytes, params.address});
      return result;
    }
    case CU_GRAPH_NODE_TYPE_MEM_FREE: {
      wire::FreeNode payload{};
      CUdeviceptr address = 0;
      result = driver().cuGraphMemFreeNodeGetParams(node, &address);
      payload.address = address;
      Put(reply, payload);
      return result;
    }
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP: {
      CUDA_BATCH_MEM_OP_NODE_PARAMS params{};
      result = driver().cuGraphBatchMemOpNodeGetParams(node, &params);
      if (result != CUDA_SUCCESS || params.count > wire::kMaxMemoryOps || params.operations == nullptr) return result;
      Put(reply, wire::MemoryOpsNode{params.count, params.flags});
      const size_t bytes = params.count * sizeof(CUstreamBatchMemOpParams);
      static_assert(sizeof(wire::MemoryOpsNode) + wire::kMaxMemoryOps * sizeof(CUstreamBatchMemOpParams) <=
                    sizeof reply.payload);
      std::memcpy(reply.payload + reply.bytes, params.operations, bytes);
      reply.bytes += static_cast<uint32_t>(bytes);
      return result;
    }
    default:
      return CUDA_SUCCESS;
  }
}

bool Connection::GetNode(uint16_t slot, uint64_t name) {
  const GraphNames::Node* node = graphs_.FindNode(name);
  const auto reply = std::make_unique<wire::NodeReply>();
  const CUresult result = node == nullptr ? CUDA_ERROR_INVALID_VALUE : WriteNode(node->node, node->root, *reply);
  Answer(slot, result, std::as_bytes(std::span(reply.get(), 1)));
  return true;
}

}  // namespace mignificient::server
