// Graphs as objects: made, copied, listed, connected, instantiated. Their nodes' parameters are in graph_nodes.cc.

#include <algorithm>
#include <cstring>
#include <memory>

#include "remoting/server/connection.h"

namespace mignificient::server {

bool Connection::DispatchGraph(wire::Command command, uint16_t slot, std::span<const std::byte> body) {
  using enum wire::Command;
  if (slot == wire::kNoReply) return Misuse("Graph command asks for no reply.");
  waits_.Pin();
  switch (command) {
    case kCaptureBegin:
      return BeginCapture(slot, body);
    case kCaptureUpdate:
      return UpdateCapture(slot, body);
    case kGraphAddNode:
      return AddNode(slot, body);
    case kGraphSetNode:
      return SetNode(slot, body);
    case kCaptureCopy:
      return CaptureCopy(slot, body);
    case kHostCallsEnded:
      return TellEndedCalls(slot);
    case kGraphNodeEnabled:
      if (const auto* enabled = Body<wire::NodeEnabledBody>(body)) return NodeEnabled(slot, *enabled);
      return Misuse("Graph command is too short.");
    case kGraphEdges:
      return ChangeEdges(slot, body);
    case kGraphList:
      if (const auto* list = Body<wire::GraphListBody>(body)) return ListGraph(slot, *list);
      return Misuse("Graph command is too short.");
    case kGraphInstantiate:
      if (const auto* instantiate = Body<wire::InstantiateBody>(body)) return Instantiate(slot, *instantiate);
      return Misuse("Graph command is too short.");
    case kGraphFindInClone:
    case kGraphExecUpdate:
      if (const auto* two = Body<wire::TwoHandlesBody>(body))
        return command == kGraphExecUpdate ? UpdateExec(slot, *two) : FindInClone(slot, *two);
      return Misuse("Graph command is too short.");
    default:
      break;
  }
  const auto* handle = Body<wire::HandleBody>(body);
  if (handle == nullptr) return Misuse("Graph command is too short.");
  switch (command) {
    case kCaptureInfo:
      return CaptureInfo(slot, handle->handle);
    case kCaptureEnd:
      return EndCapture(slot, handle->handle);
    case kGraphDestroy:
      return DestroyGraph(slot, handle->handle);
    case kGraphClone:
      return CloneGraph(slot, handle->handle);
    case kGraphGetNode:
      return GetNode(slot, handle->handle);
    case kGraphDestroyNode:
      return DestroyNode(slot, handle->handle);
    case kGraphExecDestroy: {
      const auto exec = graph_execs_.Remove(handle->handle);
      Answer(slot, exec ? driver().cuGraphExecDestroy(*exec) : CUDA_ERROR_INVALID_VALUE);
      if (exec) graph_calls_.Forget(*exec);
      DropRetiredCalls();
      return true;
    }
    case kGraphNodeType:
      return NodeType(slot, handle->handle);
    default:
      break;
  }
  CUgraph graph = nullptr;  // kGraphCreate
  const CUresult result = driver().cuGraphCreate(&graph, static_cast<unsigned>(handle->handle));
  return AnswerName(slot, result, result == CUDA_SUCCESS ? graphs_.NameGraph(graph, graph) : 0);
}

bool Connection::AnswerName(uint16_t slot, CUresult result, uint64_t name) {
  const wire::HandleBody reply{name};
  Answer(slot, result == CUDA_SUCCESS && name == 0 ? CUDA_ERROR_OUT_OF_MEMORY : result,
         std::as_bytes(std::span(&reply, 1)));
  return true;
}

bool Connection::DestroyGraph(uint16_t slot, uint64_t name) {
  const GraphNames::Graph* graph = graphs_.FindGraph(name);
  CUresult result = CUDA_ERROR_INVALID_VALUE;  // no graph, or one that belongs to a node
  if (graph != nullptr && graph->graph == graph->root) {
    const CUgraph root = graph->root;
    result = driver().cuGraphDestroy(root);
    graphs_.ForgetRoot(root);
    graph_calls_.Forget(root);
    if (const auto bytes = graph_bytes_.extract(root); !bytes.empty())
      session_->mapped_bytes.fetch_sub(bytes.mapped(), std::memory_order_relaxed);
    std::erase_if(graph_addresses_, [root](const auto& entry) { return entry.second == root; });
  }
  Answer(slot, result);
  return true;
}

bool Connection::CloneGraph(uint16_t slot, uint64_t name) {
  const GraphNames::Graph* found = graphs_.FindGraph(name);
  if (found == nullptr) return AnswerName(slot, CUDA_ERROR_INVALID_VALUE, 0);
  const GraphNames::Graph original = *found;
  CUgraph clone = nullptr;
  const CUresult result = driver().cuGraphClone(&clone, original.graph);
  if (result == CUDA_SUCCESS) graph_calls_.Include(clone, original.root);
  return AnswerName(slot, result, result == CUDA_SUCCESS ? graphs_.NameGraph(clone, clone) : 0);
}

bool Connection::FindInClone(uint16_t slot, const wire::TwoHandlesBody& body) {
  CUgraphNode original = nullptr, node = nullptr;
  const GraphNames::Graph* clone = graphs_.FindGraph(body.second);
  if (clone == nullptr || !ResolveGraphNode(body.first, original)) return AnswerName(slot, CUDA_ERROR_INVALID_VALUE, 0);
  const CUresult result = driver().cuGraphNodeFindInClone(&node, original, clone->graph);
  return AnswerName(slot, result, result == CUDA_SUCCESS ? graphs_.NameNode(node, clone->root) : 0);
}

bool Connection::ListGraph(uint16_t slot, const wire::GraphListBody& body) {
  using enum wire::GraphListKind;
  const bool of_node = body.kind == kDependencies || body.kind == kDependents;
  const GraphNames::Graph* graph = of_node ? nullptr : graphs_.FindGraph(body.object);
  const GraphNames::Node* node = of_node ? graphs_.FindNode(body.object) : nullptr;
  if (graph == nullptr && node == nullptr) {
    Answer(slot, CUDA_ERROR_INVALID_VALUE);
    return true;
  }
  const CUgraph root = graph != nullptr ? graph->root : node->root;
  size_t count = 0;
  std::vector<CUgraphNode> from, to;
  std::vector<CUgraphEdgeData> edges;
  // Asked twice: how many, then which.
  const auto ask = [&](CUgraphNode* first, CUgraphNode* second, CUgraphEdgeData* data) {
    switch (body.kind) {
      case kNodes:
        return driver().cuGraphGetNodes(graph->graph, first, &count);
      case kRoots:
        return driver().cuGraphGetRootNodes(graph->graph, first, &count);
      case kEdges:
        return driver().cuGraphGetEdges_v2(graph->graph, first, second, data, &count);
      case kDependencies:
        return driver().cuGraphNodeGetDependencies_v2(node->node, first, data, &count);
      case kDependents:
        return driver().cuGraphNodeGetDependentNodes_v2(node->node, first, data, &count);
    }
    return CUDA_ERROR_INVALID_VALUE;
  };
  CUresult result = ask(nullptr, nullptr, nullptr);
  if (result == CUDA_SUCCESS && count > 0) {
    from.resize(count);
    to.resize(count);
    edges.resize(count);
    result = ask(from.data(), to.data(), edges.data());
  }
  const auto reply = std::make_unique<wire::GraphListReply>();
  reply->total = static_cast<uint32_t>(count);
  for (size_t i = body.first; result == CUDA_SUCCESS && i < count && reply->count < wire::kGraphListEntries; ++i)
    reply->entries[reply->count++] = {graphs_.NameNode(from[i], root),
                                      body.kind == kEdges ? graphs_.NameNode(to[i], root) : 0, edges[i]};
  Answer(slot, result, std::as_bytes(std::span(reply.get(), 1)));
  return true;
}

bool Connection::ChangeEdges(uint16_t slot, std::span<const std::byte> body) {
  const auto* change = Body<wire::GraphEdgesBody>(body);
  if (change == nullptr || body.size() / sizeof(wire::GraphEdge) < change->count)
    return Misuse("Edge command is too short.");
  CUgraph graph = nullptr;
  bool known = ResolveGraph(change->graph, graph);
  std::vector<CUgraphNode> from(change->count), to(change->count);
  Links links;
  links.edges.resize(change->count);
  const auto* edges = reinterpret_cast<const wire::GraphEdge*>(body.data());
  for (uint32_t i = 0; known && i < change->count; ++i) {
    known = ResolveGraphNode(edges[i].from, from[i]) && ResolveGraphNode(edges[i].to, to[i]);
    links.edges[i] = edges[i].data;
  }
  if (!known) {
    Answer(slot, CUDA_ERROR_INVALID_VALUE);
    return true;
  }
  const auto entry = change->remove != 0 ? driver().cuGraphRemoveDependencies_v2 : driver().cuGraphAddDependencies_v2;
  Answer(slot, entry(graph, from.data(), to.data(), links.EdgesOrNull(), change->count));
  return true;
}

bool Connection::Instantiate(uint16_t slot, const wire::InstantiateBody& body) {
  const GraphNames::Graph* graph = graphs_.FindGraph(body.graph);
  CUstream stream = nullptr;
  if (graph == nullptr || !ResolveStream(body.upload_stream, stream) || graph_execs_.full()) {
    Answer(slot, graph_execs_.full() ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_VALUE);
    return true;
  }
  CUDA_GRAPH_INSTANTIATE_PARAMS params{body.flags, stream, nullptr, 0};
  CUgraphExec exec = nullptr;
  const CUresult result = driver().cuGraphInstantiateWithParams(&exec, graph->graph, &params);
  NoteSticky(result);
  if (result == CUDA_SUCCESS) graph_calls_.Instantiated(exec, graph->root);
  constexpr uint64_t kUpload = 2;  // CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD
  if (result == CUDA_SUCCESS && (body.flags & kUpload) != 0) TouchedStream(stream);
  const wire::InstantiateReply reply{
      result == CUDA_SUCCESS ? *graph_execs_.Add(exec) : 0,
      params.error_node != nullptr ? graphs_.NameNode(params.error_node, graph->root) : 0, result, params.result};
  Answer(slot, CUDA_SUCCESS, std::as_bytes(std::span(&reply, 1)));
  return true;
}

bool Connection::UpdateExec(uint16_t slot, const wire::TwoHandlesBody& body) {
  CUgraphExec exec = nullptr;
  const GraphNames::Graph* graph = graphs_.FindGraph(body.second);
  if (graph == nullptr || !Resolve(graph_execs_, body.first, exec)) {
    Answer(slot, CUDA_ERROR_INVALID_VALUE);
    return true;
  }
  CUgraphExecUpdateResultInfo info{};
  const CUresult result = driver().cuGraphExecUpdate_v2(exec, graph->graph, &info);
  NoteSticky(result);
  graph_calls_.Updated(exec, graph->root, result == CUDA_SUCCESS);
  DropRetiredCalls();
  for (const CUgraphNode node : graph_calls_.SwitchedOff(exec))
    if (const auto staged = FindStaged(node)) SetCarry(exec, staged->host, nullptr);
  const auto name = [&](CUgraphNode node) { return node == nullptr ? 0 : graphs_.NameNode(node, graph->root); };
  const wire::ExecUpdateReply reply{result, info.result, name(info.error_node), name(info.error_from_node)};
  Answer(slot, CUDA_SUCCESS, std::as_bytes(std::span(&reply, 1)));
  return true;
}

// --- Host functions -------------------------------------------------------------------------------------------------

// One wait at a time, however much is retired meanwhile.
void Connection::DropRetiredCalls() {
  if (dropping_calls_ || !graph_calls_.any_retired()) return;
  dropping_calls_ = true;
  const auto retired = std::make_shared<std::vector<HostCalls::Ref>>(graph_calls_.TakeRetired());
  waits_.After(BusyStreams(), [this, retired] {
    retired->clear();
    dropping_calls_ = false;
    DropRetiredCalls();
  });
}

bool Connection::TellEndedCalls(uint16_t slot) {
  const auto reply = std::make_unique<wire::HostCallsEndedReply>();
  // Only where the answer has bytes: what was told is forgotten here.
  if (slot < wire::kReplySlots) reply->count = host_calls_.TakeEnded(reply->ids);
  Answer(slot, CUDA_SUCCESS, std::as_bytes(std::span(reply.get(), 1)));
  return true;
}

}  // namespace mignificient::server
