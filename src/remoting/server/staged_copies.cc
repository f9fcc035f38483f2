// Copies of pageable memory in graphs. The device cannot reach the program's pageable memory, so such a copy is two
// things: a copy from or to pinned memory that stands beside it, and a host function that carries the bytes before or
// after. The program has asked for one node. So both are the nodes of a child graph, whose node is the one that the
// program has: the driver connects, clones, updates and counts it as one, and its type and parameters are answered
// here.
//
// A node that has been such a copy stays one: with memory that the device reaches, the host function does nothing.

#include <algorithm>

#include "remoting/server/connection.h"
#include "remoting/server/node_params.h"

namespace mignificient::server {
namespace {

bool IsFromHost(const CUDA_MEMCPY3D& copy) {
  return copy.src_memory_type == static_cast<int>(CU_MEMORYTYPE_HOST);
}

bool IsLinear(const CUDA_MEMCPY3D& copy) {
  return copy.height <= 1 && copy.depth <= 1;
}

CUgraphNodeParams HostNode(const HostCalls::Ref& carry) {
  CUgraphNodeParams params{};
  params.type = CU_GRAPH_NODE_TYPE_HOST;
  params.host = HostCalls::NodeOf(carry);
  return params;
}

}  // namespace

std::optional<Connection::StagedCopy> Connection::FindStaged(CUgraphNode node) {
  int type = 0;
  CUgraph graph = nullptr;
  if (driver().cuGraphNodeGetType(node, &type) != CUDA_SUCCESS || type != CU_GRAPH_NODE_TYPE_GRAPH) return std::nullopt;
  if (driver().cuGraphChildGraphNodeGetGraph(node, &graph) != CUDA_SUCCESS) return std::nullopt;
  CUgraphNode nodes[2];
  size_t count = 0;
  if (driver().cuGraphGetNodes(graph, nullptr, &count) != CUDA_SUCCESS || count != 2) return std::nullopt;
  if (driver().cuGraphGetNodes(graph, nodes, &count) != CUDA_SUCCESS) return std::nullopt;
  int types[2] = {};
  for (int i = 0; i < 2; ++i)
    if (driver().cuGraphNodeGetType(nodes[i], &types[i]) != CUDA_SUCCESS) return std::nullopt;
  if (types[0] != CU_GRAPH_NODE_TYPE_HOST) std::swap(nodes[0], nodes[1]), std::swap(types[0], types[1]);
  if (types[0] != CU_GRAPH_NODE_TYPE_HOST || types[1] != CU_GRAPH_NODE_TYPE_MEMCPY) return std::nullopt;
  CUDA_HOST_NODE_PARAMS host{};
  if (driver().cuGraphHostNodeGetParams(nodes[0], &host) != CUDA_SUCCESS) return std::nullopt;
  StagedCopy staged{graph, nodes[1], nodes[0], false, HostCalls::Of(host.function, host.user_data)};
  const bool ours =
      staged.carry != nullptr ? staged.carry->kind() == HostCalls::Kind::kCarry : HostCalls::IsNothing(host.function);
  size_t before = 0;
  if (!ours) return std::nullopt;
  if (driver().cuGraphNodeGetDependencies_v2(staged.copy, nullptr, nullptr, &before) != CUDA_SUCCESS)
    return std::nullopt;
  staged.host_first = before > 0;
  return staged;
}

CUresult Connection::FillStaged(CUgraph graph, const CUgraphNodeParams& copy, const HostCalls::Ref& carry) {
  CUgraphNodeParams first = HostNode(carry), second = copy;
  if (!IsFromHost(copy.memcpy.copy)) std::swap(first, second);
  CUgraphNode before = nullptr, after = nullptr;
  const CUresult result = driver().cuGraphAddNode_v2(&before, graph, nullptr, nullptr, 0, &first);
  return result == CUDA_SUCCESS ? driver().cuGraphAddNode_v2(&after, graph, &before, nullptr, 1, &second) : result;
}

CUresult Connection::AddStaged(CUgraphNode& node, CUgraph graph, Links& links, const NodeParams& params) {
  CUgraphNodeParams child{};
  child.type = CU_GRAPH_NODE_TYPE_GRAPH;
  CUresult result = driver().cuGraphCreate(&child.graph.graph, 0);
  if (result != CUDA_SUCCESS) return result;
  result = FillStaged(child.graph.graph, params.driver, params.call);
  if (result == CUDA_SUCCESS)
    result = driver().cuGraphAddNode_v2(&node, graph, links.nodes.data(), links.EdgesOrNull(), links.nodes.size(),
                                        &child);  // which copies it
  driver().cuGraphDestroy(child.graph.graph);
  return result;
}

CUresult Connection::SetStaged(StagedCopy& staged, NodeParams& params) {
  if (params.call != nullptr && staged.host_first != IsFromHost(params.driver.memcpy.copy)) {
    for (const CUgraphNode node : {staged.host, staged.copy})
      if (const CUresult result = driver().cuGraphDestroyNode(node); result != CUDA_SUCCESS) return result;
    return FillStaged(staged.graph, params.driver, params.call);
  }
  CUgraphNodeParams host = HostNode(params.call);
  const CUresult result = driver().cuGraphNodeSetParams(staged.copy, &params.driver);
  return result == CUDA_SUCCESS ? driver().cuGraphNodeSetParams(staged.host, &host) : result;
}

CUresult Connection::SetCarry(CUgraphExec exec, CUgraphNode host, const HostCalls::Ref& carry) {
  CUgraphNodeParams params = HostNode(carry);
  return driver().cuGraphExecNodeSetParams(exec, host, &params);
}

CUresult Connection::SetStagedExec(CUgraphExec exec, CUgraphNode node, StagedCopy& staged, NodeParams& params) {
  if (params.call != nullptr && staged.host_first != IsFromHost(params.driver.memcpy.copy))
    return CUDA_ERROR_INVALID_VALUE;  // an executable keeps the kinds of memory
  const GraphCalls::Node* changed = graph_calls_.Find(exec, node);
  const bool off = changed != nullptr && changed->off;
  CUresult result = driver().cuGraphExecNodeSetParams(exec, staged.copy, &params.driver);
  if (result == CUDA_SUCCESS && !off) result = SetCarry(exec, staged.host, params.call);
  if (result == CUDA_SUCCESS) graph_calls_.Change(exec, node, {params.call, off});
  return result;
}

// A copy that the driver has as a single node cannot become one of pageable memory, unless CUDA refuses it anyway.
CUresult Connection::RefuseStaging(CUgraphNode node, const CUDA_MEMCPY3D& copy, bool executable) {
  CUDA_MEMCPY3D before{};
  if (const CUresult result = driver().cuGraphMemcpyNodeGetParams(node, &before); result != CUDA_SUCCESS) return result;
  const bool kept = IsLinear(before) && IsLinear(copy) && IsFromHost(before) == IsFromHost(copy);
  return executable && !kept ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_NOT_SUPPORTED;
}

bool Connection::NodeType(uint16_t slot, uint64_t name) {
  CUgraphNode node = nullptr;
  wire::NodeTypeReply reply{};
  CUresult result = CUDA_ERROR_INVALID_VALUE;
  if (ResolveGraphNode(name, node)) result = driver().cuGraphNodeGetType(node, &reply.type);
  if (result == CUDA_SUCCESS && reply.type == CU_GRAPH_NODE_TYPE_GRAPH && FindStaged(node))
    reply.type = CU_GRAPH_NODE_TYPE_MEMCPY;
  Answer(slot, result, std::as_bytes(std::span(&reply, 1)));
  return true;
}

bool Connection::NodeEnabled(uint16_t slot, const wire::NodeEnabledBody& body) {
  CUgraphNode node = nullptr;
  CUgraphExec exec = nullptr;
  wire::NodeEnabledReply reply{};
  CUresult result = CUDA_ERROR_INVALID_VALUE;
  if (ResolveGraphNode(body.node, node) && Resolve(graph_execs_, body.exec, exec)) {
    const auto staged = FindStaged(node);
    if (body.set == 0)
      result = driver().cuGraphNodeGetEnabled(exec, staged ? staged->copy : node, &reply.enabled);
    else
      result = staged ? SwitchStaged(exec, node, *staged, body.enabled != 0)
                      : driver().cuGraphNodeSetEnabled(exec, node, body.enabled);
  }
  Answer(slot, result, std::as_bytes(std::span(&reply, 1)));
  DropRetiredCalls();
  return true;
}

CUresult Connection::SwitchStaged(CUgraphExec exec, CUgraphNode node, const StagedCopy& staged, bool on) {
  const GraphCalls::Node* changed = graph_calls_.Find(exec, node);
  GraphCalls::Node now = changed != nullptr ? *changed : GraphCalls::Node{};
  now.off = !on;
  if (on && !now.call) now.call = staged.carry;
  CUresult result = driver().cuGraphNodeSetEnabled(exec, staged.copy, on ? 1 : 0);
  if (result == CUDA_SUCCESS) result = SetCarry(exec, staged.host, on ? *now.call : nullptr);
  if (result == CUDA_SUCCESS) graph_calls_.Change(exec, node, std::move(now));
  return result;
}

bool Connection::CaptureCopy(uint16_t slot, std::span<const std::byte> body) {
  const auto* of = Body<wire::HandleBody>(body);
  if (of == nullptr) return Misuse("Capture command is too short.");
  CUstream stream = nullptr;
  NodeParams params;
  CUresult result = CUDA_ERROR_INVALID_HANDLE;
  if (ResolveStream(of->handle, stream)) result = ReadNode(CU_GRAPH_NODE_TYPE_MEMCPY, body, params);
  CaptureState state;
  if (result == CUDA_SUCCESS) {
    state = StateOf(stream);
    result = state.result;
  }
  if (result == CUDA_SUCCESS && state.graph == nullptr)
    result = state.status == CU_STREAM_CAPTURE_STATUS_NONE ? CUDA_ERROR_ILLEGAL_STATE
                                                           : CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  CUgraphNode node = nullptr;
  if (result == CUDA_SUCCESS) result = AddStaged(node, state.graph, state.links, params);
  constexpr unsigned kInsteadOfWhatThereIs = 1;  // CU_STREAM_SET_CAPTURE_DEPENDENCIES
  if (result == CUDA_SUCCESS) {
    graph_calls_.Add(graphs_.RootOf(state.graph), params.call);
    result = driver().cuStreamUpdateCaptureDependencies_v2(stream, &node, nullptr, 1, kInsteadOfWhatThereIs);
  }
  Answer(slot, result);
  return true;
}

}  // namespace mignificient::server
