// Parameters of graph nodes: from the wire's plain values to what the driver takes, and back.

#include <algorithm>
#include <cstring>
#include <memory>

#include "remoting/server/connection.h"
#include "remoting/server/memory_ops.h"
#include "remoting/server/node_params.h"

namespace mignificient::server {

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
  if (node->carry == 0) return CUDA_SUCCESS;
  params.call = host_calls_.Keep(node->carry, HostCalls::Kind::kCarry);
  return params.call == nullptr ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
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
        params.call = host_calls_.Keep(node->id, HostCalls::Kind::kProgram);
        if (params.call == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
        params.driver.host = HostCalls::NodeOf(params.call);
        return CUDA_SUCCESS;
      }
      break;
    case CU_GRAPH_NODE_TYPE_GRAPH:
      if (const auto* node = As<wire::ChildNode>(payload)) {
        const GraphNames::Graph* child = graphs_.FindGraph(node->graph);
        if (child == nullptr) return CUDA_ERROR_INVALID_VALUE;
        params.driver.graph = {child->graph, node->ownership};
        params.child_root = child->root;
        return CUDA_SUCCESS;
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
  const uint64_t charge = add->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC ? params.driver.alloc.bytes : 0;
  if (charge > 0 && !AwaitSettled()) return false;
  if (charge > 0 && !Session::Take(session_->mapped_bytes, charge, session_->budget_bytes)) {
    Answer(slot, CUDA_ERROR_OUT_OF_MEMORY);
    return true;
  }
  CUgraphNode node = nullptr;
  result = add->type == CU_GRAPH_NODE_TYPE_MEMCPY && params.call != nullptr
               ? AddStaged(node, graph.graph, links, params)
               : driver().cuGraphAddNode_v2(&node, graph.graph, links.nodes.data(), links.EdgesOrNull(),
                                            links.nodes.size(), &params.driver);
  if (result == CUDA_SUCCESS) {
    graph_calls_.Add(graph.root, params.call);
    if (params.child_root != nullptr) graph_calls_.Include(graph.root, params.child_root);
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
    session_->mapped_bytes.fetch_sub(charge, std::memory_order_relaxed);
  }
  Answer(slot, result, std::as_bytes(std::span(&reply, 1)));
  return true;
}

bool Connection::SetNode(uint16_t slot, std::span<const std::byte> body) {
  const auto* set = Body<wire::SetNodeBody>(body);
  if (set == nullptr) return Misuse("Graph command is too short.");
  const GraphNames::Node* found = graphs_.FindNode(set->node);
  CUgraphExec exec = nullptr;
  NodeParams params;
  CUresult result = CUDA_ERROR_INVALID_VALUE;
  if (found != nullptr && (set->exec == 0 || Resolve(graph_execs_, set->exec, exec)))
    result = ReadNode(set->type, body, params);
  if (result == CUDA_SUCCESS) result = exec == nullptr ? SetInGraph(*found, params) : SetInExec(exec, *found, params);
  Answer(slot, result);
  DropRetiredCalls();
  return true;
}

CUresult Connection::SetInGraph(const GraphNames::Node& found, NodeParams& params) {
  const CUgraphNode node = found.node;
  HostCalls::Ref before;
  CUresult result;
  if (auto staged = params.driver.type == CU_GRAPH_NODE_TYPE_MEMCPY ? FindStaged(node) : std::nullopt) {
    before = staged->carry;
    result = SetStaged(*staged, params);
  } else if (params.driver.type == CU_GRAPH_NODE_TYPE_MEMCPY && params.call != nullptr) {
    result = RefuseStaging(node, params.driver.memcpy.copy, /*executable=*/false);
  } else {
    before = CallOf(node);
    result = driver().cuGraphNodeSetParams(node, &params.driver);
  }
  if (result != CUDA_SUCCESS) return result;
  graph_calls_.Add(found.root, params.call);
  graph_calls_.Remove(found.root, before);
  if (params.child_root != nullptr) graph_calls_.Include(found.root, params.child_root);
  return result;
}

CUresult Connection::SetInExec(CUgraphExec exec, const GraphNames::Node& found, NodeParams& params) {
  const CUgraphNode node = found.node;
  if (params.driver.type == CU_GRAPH_NODE_TYPE_MEMCPY) {
    if (auto staged = FindStaged(node)) return SetStagedExec(exec, node, *staged, params);
    if (params.call != nullptr) return RefuseStaging(node, params.driver.memcpy.copy, /*executable=*/true);
  }
  const CUresult result = driver().cuGraphExecNodeSetParams(exec, node, &params.driver);
  if (result != CUDA_SUCCESS) return result;
  if (params.call != nullptr) graph_calls_.Change(exec, node, {params.call});
  if (params.child_root != nullptr) graph_calls_.Include(exec, params.child_root);
  return result;
}

bool Connection::DestroyNode(uint16_t slot, uint64_t name) {
  const GraphNames::Node* found = graphs_.FindNode(name);
  CUresult result = CUDA_ERROR_INVALID_VALUE;
  if (found != nullptr) {
    const auto staged = FindStaged(found->node);
    const HostCalls::Ref call = staged ? staged->carry : CallOf(found->node);
    result = driver().cuGraphDestroyNode(found->node);
    if (result == CUDA_SUCCESS) {
      graph_calls_.Remove(found->root, call);
      graphs_.ForgetNode(name);
    }
  }
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
  const Kernel* kernel = FindKernel(name);
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

CUresult Connection::WriteMemcpyNode(CUgraphNode node, uint64_t carry, wire::NodeReply& reply) {
  wire::MemcpyNode payload{};
  const CUresult result = driver().cuGraphMemcpyNodeGetParams(node, &payload.copy);
  const auto name = [this](CUarray array) {
    const uint64_t found = arrays_.NameIf([&](const Array& each) { return each.array == array; });
    return reinterpret_cast<CUarray>(found);
  };
  if (payload.copy.src_array != nullptr) payload.copy.src_array = name(payload.copy.src_array);
  if (payload.copy.dst_array != nullptr) payload.copy.dst_array = name(payload.copy.dst_array);
  payload.carry = carry;
  Put(reply, payload);
  return result;
}

HostCalls::Ref Connection::CallOf(CUgraphNode node) {
  int type = 0;
  CUDA_HOST_NODE_PARAMS params{};
  if (driver().cuGraphNodeGetType(node, &type) != CUDA_SUCCESS || type != CU_GRAPH_NODE_TYPE_HOST) return nullptr;
  if (driver().cuGraphHostNodeGetParams(node, &params) != CUDA_SUCCESS) return nullptr;
  return HostCalls::Of(params.function, params.user_data);
}

CUresult Connection::WriteNode(CUgraphNode node, CUgraph root, wire::NodeReply& reply) {
  CUresult result = driver().cuGraphNodeGetType(node, &reply.type);
  if (result != CUDA_SUCCESS) return result;
  switch (reply.type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
      return WriteKernelNode(node, reply);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
      return WriteMemcpyNode(node, 0, reply);
    case CU_GRAPH_NODE_TYPE_MEMSET: {
      wire::MemsetNode payload{};
      result = driver().cuGraphMemsetNodeGetParams(node, &payload.memset);
      payload.memset.context = nullptr;
      Put(reply, payload);
      return result;
    }
    case CU_GRAPH_NODE_TYPE_HOST: {
      const HostCalls::Ref call = CallOf(node);
      Put(reply, wire::HostNode{call != nullptr ? call->id() : 0});
      return CUDA_SUCCESS;
    }
    case CU_GRAPH_NODE_TYPE_GRAPH: {
      if (const auto staged = FindStaged(node)) {
        reply.type = CU_GRAPH_NODE_TYPE_MEMCPY;
        return WriteMemcpyNode(staged->copy, staged->carry != nullptr ? staged->carry->id() : 0, reply);
      }
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
