// Graphs as objects: made, copied, listed, connected, instantiated.

#include "remoting/client/graph.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>

namespace mignificient::client {

using wire::Command;

LinkTail::LinkTail(const CUgraphNode* nodes, const CUgraphEdgeData* edges, size_t count) {
  if ((count > 0 && nodes == nullptr) || count > wire::kMaxNodeDependencies) {
    status_ = CUDA_ERROR_INVALID_VALUE;
    return;
  }
  count_ = static_cast<uint32_t>(count);
  bytes_.resize(count * (sizeof(uint64_t) + sizeof(CUgraphEdgeData)));
  if (count == 0) return;
  std::memcpy(bytes_.data(), nodes, count * sizeof(uint64_t));
  if (edges != nullptr) std::memcpy(bytes_.data() + count * sizeof(uint64_t), edges, count * sizeof(CUgraphEdgeData));
}

namespace {

using wire::GraphListKind;

// All entries of a list, however many replies they take.
CUresult List(uint64_t object, GraphListKind kind, std::vector<wire::GraphEdge>& entries) {
  const auto reply = std::make_unique<wire::GraphListReply>();
  do {
    const wire::GraphListBody body{object, kind, static_cast<uint32_t>(entries.size())};
    const CUresult result = CallFor(Command::kGraphList, body, *reply);
    if (result != CUDA_SUCCESS) return result;
    entries.insert(entries.end(), reply->entries, reply->entries + std::min(reply->count, wire::kGraphListEntries));
  } while (reply->count > 0 && entries.size() < reply->total);
  return CUDA_SUCCESS;
}

bool Plain(const CUgraphEdgeData& data) {
  constexpr CUgraphEdgeData kPlain{};
  return std::memcmp(&data, &kPlain, sizeof data) == 0;
}

enum class EdgeData { kAsked, kNotKnown };  // kNotKnown: the entry point is older than edge data

// As CUDA lists: with null arrays the number alone; else at most *count entries, null after the last.
CUresult Listed(uint64_t object, GraphListKind kind, CUgraphNode* from, CUgraphNode* to, CUgraphEdgeData* data,
                size_t* count, EdgeData edge_data) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
  std::vector<wire::GraphEdge> entries;
  if (const CUresult result = List(object, kind, entries); result != CUDA_SUCCESS) return result;
  const bool lossy = std::any_of(entries.begin(), entries.end(), [](const auto& each) { return !Plain(each.data); });
  if (from == nullptr && to == nullptr) {
    *count = entries.size();
    return CUDA_SUCCESS;
  }
  if (lossy && (edge_data == EdgeData::kNotKnown || data == nullptr)) return CUDA_ERROR_LOSSY_QUERY;
  for (size_t i = 0; i < *count; ++i) {
    const wire::GraphEdge entry = i < entries.size() ? entries[i] : wire::GraphEdge{};
    if (from != nullptr) from[i] = HandleOf<CUgraphNode>(entry.from);
    if (to != nullptr) to[i] = HandleOf<CUgraphNode>(entry.to);
    if (data != nullptr) data[i] = entry.data;
  }
  *count = std::min(*count, entries.size());
  return CUDA_SUCCESS;
}

CUresult ChangeEdges(CUgraph graph, const CUgraphNode* from, const CUgraphNode* to, const CUgraphEdgeData* data,
                     size_t count, bool remove) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (count == 0) return CUDA_SUCCESS;
  if (from == nullptr || to == nullptr || count > wire::kMaxNodeDependencies) return CUDA_ERROR_INVALID_VALUE;
  std::vector<wire::GraphEdge> edges(count);
  for (size_t i = 0; i < count; ++i)
    edges[i] = {NameOf(from[i]), NameOf(to[i]), data != nullptr ? data[i] : CUgraphEdgeData{}};
  const wire::GraphEdgesBody body{NameOf(graph), static_cast<uint32_t>(count), remove ? 1u : 0u};
  return CallWith(Command::kGraphEdges, body, {}, std::as_bytes(std::span(edges)));
}

CUresult Instantiate(CUgraphExec* exec, CUgraph graph, CUDA_GRAPH_INSTANTIATE_PARAMS& params) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  if (exec == nullptr) return CUDA_ERROR_INVALID_VALUE;
  constexpr uint64_t kDeviceLaunch = 4, kFlags = 15;
  if ((params.flags & ~kFlags) != 0) return CUDA_ERROR_INVALID_VALUE;
  if ((params.flags & kDeviceLaunch) != 0) return CUDA_ERROR_NOT_SUPPORTED;
  wire::InstantiateReply reply{};
  const wire::InstantiateBody body{NameOf(graph), params.flags, StreamName(params.upload_stream)};
  if (const CUresult called = CallFor(Command::kGraphInstantiate, body, reply); called != CUDA_SUCCESS) return called;
  params.error_node = HandleOf<CUgraphNode>(reply.error_node);
  params.result = reply.reason;
  if (reply.result == CUDA_SUCCESS) {
    *exec = HandleOf<CUgraphExec>(reply.exec);
    InheritUserObjects(NameOf(graph), reply.exec);
  }
  return static_cast<CUresult>(reply.result);
}

CUresult InstantiatePlain(CUgraphExec* exec, CUgraph graph, unsigned long long flags, CUgraphNode* error_node) {
  CUDA_GRAPH_INSTANTIATE_PARAMS params{flags, nullptr, nullptr, 0};
  const CUresult result = Instantiate(exec, graph, params);
  if (error_node != nullptr) *error_node = params.error_node;
  return result;
}

CUresult Update(CUgraphExec exec, CUgraph graph, CUgraphExecUpdateResultInfo& info) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  wire::ExecUpdateReply reply{};
  const CUresult called = CallFor(Command::kGraphExecUpdate, wire::TwoHandlesBody{NameOf(exec), NameOf(graph)}, reply);
  if (called != CUDA_SUCCESS) return called;
  info = {reply.reason, HandleOf<CUgraphNode>(reply.error_node), HandleOf<CUgraphNode>(reply.error_from_node)};
  return static_cast<CUresult>(reply.result);
}

constexpr const char* kTypeNames[] = {"KERNEL",
                                      "MEMCPY",
                                      "MEMSET",
                                      "HOST",
                                      "GRAPH",
                                      "EMPTY",
                                      "EVENT_WAIT",
                                      "EVENT_RECORD",
                                      "EXT_SEMAPHORE_SIGNAL",
                                      "EXT_SEMAPHORE_WAIT",
                                      "MEM_ALLOC",
                                      "MEM_FREE",
                                      "BATCH_MEM_OP",
                                      "CONDITIONAL"};

// Nodes by number and type, and their edges. The driver's own dump would name addresses of the server.
CUresult PrintDot(std::FILE* file, const std::vector<wire::GraphEdge>& nodes,
                  const std::vector<wire::GraphEdge>& edges) {
  const auto index = [&](uint64_t node) {
    return std::find_if(nodes.begin(), nodes.end(), [&](const auto& each) { return each.from == node; }) -
           nodes.begin();
  };
  std::fprintf(file, "digraph dot {\nsubgraph cluster_1 {\nlabel=\"graph_1\" graph[style=\"dashed\"];\n");
  const auto reply = std::make_unique<wire::NodeReply>();
  for (const auto& node : nodes) {
    const CUresult result = CallFor(Command::kGraphGetNode, wire::HandleBody{node.from}, *reply);
    if (result != CUDA_SUCCESS) return result;
    const auto type = static_cast<size_t>(reply->type);
    std::fprintf(file, "\"graph_1_node_%td\"[label=\"%td\\n%s\"];\n", index(node.from), index(node.from),
                 type < std::size(kTypeNames) ? kTypeNames[type] : "UNKNOWN");
  }
  for (const auto& edge : edges)
    std::fprintf(file, "\"graph_1_node_%td\" -> \"graph_1_node_%td\";\n", index(edge.from), index(edge.to));
  std::fprintf(file, "}\n}\n");
  return CUDA_SUCCESS;
}

}  // namespace

MIG_EXPORT CUresult cuGraphCreate(CUgraph* graph, unsigned flags) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (graph == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  wire::HandleBody reply{};
  const CUresult result = CallFor(Command::kGraphCreate, wire::HandleBody{flags}, reply);
  if (result == CUDA_SUCCESS) *graph = HandleOf<CUgraph>(reply.handle);
  return result;
}

MIG_EXPORT CUresult cuGraphDestroy(CUgraph graph) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  const CUresult result = CallHandle(Command::kGraphDestroy, NameOf(graph));
  if (result == CUDA_SUCCESS) ReleaseUserObjectsOf(NameOf(graph));
  return result;
}

MIG_EXPORT CUresult cuGraphClone(CUgraph* clone, CUgraph original) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (clone == nullptr) return CUDA_ERROR_INVALID_VALUE;
  wire::HandleBody reply{};
  const CUresult result = CallFor(Command::kGraphClone, wire::HandleBody{NameOf(original)}, reply);
  if (result != CUDA_SUCCESS) return result;
  InheritUserObjects(NameOf(original), reply.handle);
  *clone = HandleOf<CUgraph>(reply.handle);
  return result;
}

MIG_EXPORT CUresult cuGraphNodeFindInClone(CUgraphNode* node, CUgraphNode original, CUgraph clone) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (node == nullptr) return CUDA_ERROR_INVALID_VALUE;
  wire::HandleBody reply{};
  const CUresult result =
      CallFor(Command::kGraphFindInClone, wire::TwoHandlesBody{NameOf(original), NameOf(clone)}, reply);
  if (result == CUDA_SUCCESS) *node = HandleOf<CUgraphNode>(reply.handle);
  return result;
}

MIG_EXPORT CUresult cuGraphDestroyNode(CUgraphNode node) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  return CallHandle(Command::kGraphDestroyNode, NameOf(node));
}

// --- Lists and edges ------------------------------------------------------------------------------------------------

MIG_EXPORT CUresult cuGraphGetNodes(CUgraph graph, CUgraphNode* nodes, size_t* count) {
  return Listed(NameOf(graph), GraphListKind::kNodes, nodes, nullptr, nullptr, count, EdgeData::kAsked);
}
MIG_EXPORT CUresult cuGraphGetRootNodes(CUgraph graph, CUgraphNode* nodes, size_t* count) {
  return Listed(NameOf(graph), GraphListKind::kRoots, nodes, nullptr, nullptr, count, EdgeData::kAsked);
}
MIG_EXPORT CUresult cuGraphGetEdges(CUgraph graph, CUgraphNode* from, CUgraphNode* to, size_t* count) {
  return Listed(NameOf(graph), GraphListKind::kEdges, from, to, nullptr, count, EdgeData::kNotKnown);
}
MIG_EXPORT CUresult cuGraphGetEdges_v2(CUgraph graph, CUgraphNode* from, CUgraphNode* to, CUgraphEdgeData* data,
                                       size_t* count) {
  return Listed(NameOf(graph), GraphListKind::kEdges, from, to, data, count, EdgeData::kAsked);
}
MIG_EXPORT CUresult cuGraphNodeGetDependencies(CUgraphNode node, CUgraphNode* nodes, size_t* count) {
  return Listed(NameOf(node), GraphListKind::kDependencies, nodes, nullptr, nullptr, count, EdgeData::kNotKnown);
}
MIG_EXPORT CUresult cuGraphNodeGetDependencies_v2(CUgraphNode node, CUgraphNode* nodes, CUgraphEdgeData* data,
                                                  size_t* count) {
  return Listed(NameOf(node), GraphListKind::kDependencies, nodes, nullptr, data, count, EdgeData::kAsked);
}
MIG_EXPORT CUresult cuGraphNodeGetDependentNodes(CUgraphNode node, CUgraphNode* nodes, size_t* count) {
  return Listed(NameOf(node), GraphListKind::kDependents, nodes, nullptr, nullptr, count, EdgeData::kNotKnown);
}
MIG_EXPORT CUresult cuGraphNodeGetDependentNodes_v2(CUgraphNode node, CUgraphNode* nodes, CUgraphEdgeData* data,
                                                    size_t* count) {
  return Listed(NameOf(node), GraphListKind::kDependents, nodes, nullptr, data, count, EdgeData::kAsked);
}
MIG_EXPORT CUresult cuGraphAddDependencies(CUgraph graph, const CUgraphNode* from, const CUgraphNode* to,
                                           size_t count) {
  return ChangeEdges(graph, from, to, nullptr, count, false);
}
MIG_EXPORT CUresult cuGraphAddDependencies_v2(CUgraph graph, const CUgraphNode* from, const CUgraphNode* to,
                                              const CUgraphEdgeData* data, size_t count) {
  return ChangeEdges(graph, from, to, data, count, false);
}
MIG_EXPORT CUresult cuGraphRemoveDependencies(CUgraph graph, const CUgraphNode* from, const CUgraphNode* to,
                                              size_t count) {
  return ChangeEdges(graph, from, to, nullptr, count, true);
}
MIG_EXPORT CUresult cuGraphRemoveDependencies_v2(CUgraph graph, const CUgraphNode* from, const CUgraphNode* to,
                                                 const CUgraphEdgeData* data, size_t count) {
  return ChangeEdges(graph, from, to, data, count, true);
}

MIG_EXPORT CUresult cuGraphDebugDotPrint(CUgraph graph, const char* path, unsigned) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (path == nullptr) return CUDA_ERROR_INVALID_VALUE;
  std::vector<wire::GraphEdge> nodes, edges;
  if (const CUresult result = List(NameOf(graph), GraphListKind::kNodes, nodes); result != CUDA_SUCCESS) return result;
  if (const CUresult result = List(NameOf(graph), GraphListKind::kEdges, edges); result != CUDA_SUCCESS) return result;
  std::FILE* file = std::fopen(path, "we");
  if (file == nullptr) return CUDA_ERROR_OPERATING_SYSTEM;
  const CUresult result = PrintDot(file, nodes, edges);
  return std::fclose(file) == 0 ? result : CUDA_ERROR_OPERATING_SYSTEM;
}

// --- Executables ----------------------------------------------------------------------------------------------------

MIG_EXPORT CUresult cuGraphInstantiateWithParams(CUgraphExec* exec, CUgraph graph,
                                                 CUDA_GRAPH_INSTANTIATE_PARAMS* params) {
  return params == nullptr ? InvalidValue() : Instantiate(exec, graph, *params);
}
MIG_EXPORT CUresult cuGraphInstantiateWithParams_ptsz(CUgraphExec* exec, CUgraph graph,
                                                      CUDA_GRAPH_INSTANTIATE_PARAMS* params) {
  if (params == nullptr) return InvalidValue();
  CUDA_GRAPH_INSTANTIATE_PARAMS per_thread = *params;
  per_thread.upload_stream = PerThread(params->upload_stream);
  const CUresult result = Instantiate(exec, graph, per_thread);
  params->error_node = per_thread.error_node;
  params->result = per_thread.result;
  return result;
}
MIG_EXPORT CUresult cuGraphInstantiateWithFlags(CUgraphExec* exec, CUgraph graph, unsigned long long flags) {
  return InstantiatePlain(exec, graph, flags, nullptr);
}
MIG_EXPORT CUresult cuGraphInstantiate(CUgraphExec* exec, CUgraph graph, CUgraphNode* error_node, char* log,
                                       size_t log_bytes) {
  if (log != nullptr && log_bytes > 0) log[0] = '\0';
  return InstantiatePlain(exec, graph, 0, error_node);
}
MIG_EXPORT CUresult cuGraphInstantiate_v2(CUgraphExec* exec, CUgraph graph, CUgraphNode* error_node, char* log,
                                          size_t log_bytes) {
  return cuGraphInstantiate(exec, graph, error_node, log, log_bytes);
}

MIG_EXPORT CUresult cuGraphExecDestroy(CUgraphExec exec) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  const CUresult result = CallHandle(Command::kGraphExecDestroy, NameOf(exec));
  if (result == CUDA_SUCCESS) ReleaseUserObjectsOf(NameOf(exec));
  return result;
}

MIG_EXPORT CUresult cuGraphExecUpdate_v2(CUgraphExec exec, CUgraph graph, CUgraphExecUpdateResultInfo* info) {
  return info == nullptr ? InvalidValue() : Update(exec, graph, *info);
}
MIG_EXPORT CUresult cuGraphExecUpdate(CUgraphExec exec, CUgraph graph, CUgraphNode* error_node, int* reason) {
  CUgraphExecUpdateResultInfo info{};
  const CUresult result = Update(exec, graph, info);
  if (error_node != nullptr) *error_node = info.error_node;
  if (reason != nullptr) *reason = info.result;
  return result;
}

}  // namespace mignificient::client
