// Graphs as objects: made, copied, listed, connected.
#include <algorithm>
#include <cstring>
#include <span>

#include "driver/cpu/graph_calls.h"

namespace mignificient::cpu {

CUresult ReadEdges(Graphs& graphs, const Graph& graph, const CUgraphNode* nodes, const CUgraphEdgeData* data,
                   size_t count, std::vector<GraphNode::Edge>* edges) {
  if (count > 0 && nodes == nullptr) return CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < count; ++i) {
    GraphNode* node = graphs.Find(nodes[i]);
    if (node == nullptr || node->graph != &graph) return CUDA_ERROR_INVALID_VALUE;
    const bool again = std::ranges::any_of(*edges, [&](const auto& edge) { return edge.from == node; });
    if (again) return CUDA_ERROR_INVALID_VALUE;
    edges->push_back({node, data != nullptr ? data[i] : CUgraphEdgeData{}});
  }
  return CUDA_SUCCESS;
}

namespace {

struct Listed {
  const GraphNode* from = nullptr;
  const GraphNode* to = nullptr;
  CUgraphEdgeData data{};
};

// With null arrays the number alone; else at most *count entries, null behind the last.
CUresult List(const std::vector<Listed>& entries, CUgraphNode* from, CUgraphNode* to, CUgraphEdgeData* data,
              size_t* count) {
  if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (from == nullptr && to == nullptr) {
    *count = entries.size();
    return CUDA_SUCCESS;
  }
  constexpr CUgraphEdgeData kPlain{};
  const auto is_plain = [&](const Listed& each) { return std::memcmp(&each.data, &kPlain, sizeof kPlain) == 0; };
  if (data == nullptr && !std::ranges::all_of(entries, is_plain)) return CUDA_ERROR_LOSSY_QUERY;
  for (size_t i = 0; i < *count; ++i) {
    const Listed entry = i < entries.size() ? entries[i] : Listed{};
    if (from != nullptr) from[i] = entry.from == nullptr ? nullptr : entry.from->handle;
    if (to != nullptr) to[i] = entry.to == nullptr ? nullptr : entry.to->handle;
    if (data != nullptr) data[i] = entry.data;
  }
  *count = std::min(*count, entries.size());
  return CUDA_SUCCESS;
}

void EndAllocations(Context& context) {
  context.graphs().memory.Collect([&] { context.scheduler().WaitAll(); });
}

CUresult GraphCreate(CUgraph* handle, unsigned flags) {
  return OnGraphs([&](Context&, Graphs& graphs) {
    if (handle == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
    *handle = graphs.Name(std::make_shared<Graph>());
    return CUDA_SUCCESS;
  });
}

CUresult GraphDestroy(CUgraph handle) {
  return OnGraphs([&](Context& context, Graphs& graphs) {
    {
      const auto graph = graphs.Find(handle);
      if (graph == nullptr || graph->of_node || context.captures().IsGraphInUse(*graph))
        return CUDA_ERROR_INVALID_VALUE;
      graphs.Forget(*graph);
    }
    EndAllocations(context);
    return CUDA_SUCCESS;
  });
}

CUresult GraphClone(CUgraph* clone, CUgraph handle) {
  return OnGraphs([&](Context&, Graphs& graphs) {
    const auto graph = graphs.Find(handle);
    if (clone == nullptr || graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (graph->HasMemoryNodes()) return CUDA_ERROR_NOT_SUPPORTED;
    const auto copy = graph->Copy(/*same_handles=*/false);
    copy->of_node = false;
    *clone = graphs.Name(copy);
    return CUDA_SUCCESS;
  });
}

CUresult GraphNodeFindInClone(CUgraphNode* found, CUgraphNode original, CUgraph handle) {
  return OnGraph(handle, [&](Context&, Graph& clone) {
    if (found == nullptr || original == nullptr) return CUDA_ERROR_INVALID_VALUE;
    CUgraphNode copy = nullptr;
    clone.ForEach([&](const GraphNode& node) { copy = node.origin == original ? node.handle : copy; });
    if (copy == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *found = copy;
    return CUDA_SUCCESS;
  });
}

CUresult GraphDestroyNode(CUgraphNode handle) {
  return OnNode(handle, [&](Context& context, GraphNode& node) {
    if (node.graph->HasMemoryNodes()) return CUDA_ERROR_NOT_SUPPORTED;
    context.graphs().Forget(node);
    node.graph->Remove(node);
    return CUDA_SUCCESS;
  });
}

// --- Lists ----------------------------------------------------------------------------------------------------------

CUresult GraphGetNodes(CUgraph handle, CUgraphNode* nodes, size_t* count) {
  return OnGraph(handle, [&](Context&, Graph& graph) {
    std::vector<Listed> entries;
    for (const auto& node : graph.nodes()) entries.push_back({node.get()});
    return List(entries, nodes, nullptr, nullptr, count);
  });
}

CUresult GraphGetRootNodes(CUgraph handle, CUgraphNode* nodes, size_t* count) {
  return OnGraph(handle, [&](Context&, Graph& graph) {
    std::vector<Listed> entries;
    for (const auto& node : graph.nodes())
      if (node->after.empty()) entries.push_back({node.get()});
    return List(entries, nodes, nullptr, nullptr, count);
  });
}

CUresult GraphGetEdges(CUgraph handle, CUgraphNode* from, CUgraphNode* to, CUgraphEdgeData* data, size_t* count) {
  return OnGraph(handle, [&](Context&, Graph& graph) {
    if ((from == nullptr) != (to == nullptr)) return CUDA_ERROR_INVALID_VALUE;
    std::vector<Listed> entries;
    for (const auto& node : graph.nodes())
      for (const auto& edge : node->after) entries.push_back({edge.from, node.get(), edge.data});
    return List(entries, from, to, data, count);
  });
}

CUresult GraphNodeGetDependencies(CUgraphNode handle, CUgraphNode* nodes, CUgraphEdgeData* data, size_t* count) {
  return OnNode(handle, [&](Context&, GraphNode& node) {
    std::vector<Listed> entries;
    for (const auto& edge : node.after) entries.push_back({edge.from, nullptr, edge.data});
    return List(entries, nodes, nullptr, data, count);
  });
}

CUresult GraphNodeGetDependentNodes(CUgraphNode handle, CUgraphNode* nodes, CUgraphEdgeData* data, size_t* count) {
  return OnNode(handle, [&](Context&, GraphNode& node) {
    std::vector<Listed> entries;
    for (const GraphNode* dependent : node.graph->Dependents(node))
      for (const auto& edge : dependent->after)
        if (edge.from == &node) entries.push_back({dependent, nullptr, edge.data});
    return List(entries, nodes, nullptr, data, count);
  });
}

// --- Edges ----------------------------------------------------------------------------------------------------------

// All pairs are checked by `check(GraphNode& from, GraphNode& to)` before the first is changed.
template <typename Check>
CUresult OnPairs(Graphs& graphs, const Graph& graph, const CUgraphNode* from, const CUgraphNode* to, size_t count,
                 Check&& check) {
  if (count > 0 && (from == nullptr || to == nullptr)) return CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < count; ++i) {
    GraphNode* a = graphs.Find(from[i]);
    GraphNode* b = graphs.Find(to[i]);
    if (a == nullptr || b == nullptr || a == b || a->graph != &graph || b->graph != &graph || !check(*a, *b))
      return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}

CUresult GraphAddDependencies(CUgraph handle, const CUgraphNode* from, const CUgraphNode* to,
                              const CUgraphEdgeData* data, size_t count) {
  return OnGraph(handle, [&](Context& context, Graph& graph) {
    auto& graphs = context.graphs();
    const CUresult good = OnPairs(graphs, graph, from, to, count,
                                  [](const GraphNode& a, const GraphNode& b) { return !b.ComesAfter(a); });
    if (good != CUDA_SUCCESS) return good;
    for (size_t i = 0; i < count; ++i) {
      GraphNode* before = graphs.Find(from[i]);
      GraphNode* node = graphs.Find(to[i]);
      if (!node->ComesAfter(*before)) node->after.push_back({before, data != nullptr ? data[i] : CUgraphEdgeData{}});
    }
    return CUDA_SUCCESS;
  });
}

CUresult GraphRemoveDependencies(CUgraph handle, const CUgraphNode* from, const CUgraphNode* to, const CUgraphEdgeData*,
                                 size_t count) {
  return OnGraph(handle, [&](Context& context, Graph& graph) {
    auto& graphs = context.graphs();
    if (graph.HasMemoryNodes()) return CUDA_ERROR_NOT_SUPPORTED;
    const CUresult good =
        OnPairs(graphs, graph, from, to, count, [](const GraphNode& a, const GraphNode& b) { return b.ComesAfter(a); });
    if (good != CUDA_SUCCESS) return good;
    for (size_t i = 0; i < count; ++i)
      std::erase_if(graphs.Find(to[i])->after, [&](const auto& edge) { return edge.from->handle == from[i]; });
    return CUDA_SUCCESS;
  });
}

// --- Memory ---------------------------------------------------------------------------------------------------------

CUresult DeviceGetGraphMemAttribute(CUdevice device, int attribute, void* value) {
  if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
  return OnGraphs([&](Context&, Graphs& graphs) {
    if (value == nullptr || attribute < 0 || attribute > 3) return CUDA_ERROR_INVALID_VALUE;
    const uint64_t answer = graphs.memory.Attribute(attribute);
    std::memcpy(value, &answer, sizeof answer);
    return CUDA_SUCCESS;
  });
}

// Nothing else here is allocated in the order of a stream.
CUresult MemFreeAsync(CUdeviceptr ptr, CUstream handle) {
  return OnGraphs([&](Context& context, Graphs& graphs) {
    if (context.FindStream(handle) == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    const auto allocation = graphs.memory.Find(ptr);
    return allocation != nullptr && graphs.memory.Release(*allocation) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  });
}

CUresult DeviceGraphMemTrim(CUdevice device) {
  if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
  return OnGraphs([&](Context& context, Graphs& graphs) {
    graphs.memory.Trim([&] { context.scheduler().WaitAll(); });
    return CUDA_SUCCESS;
  });
}

}  // namespace

void FillGraphEntries(DriverTable& table) {
  table.cuGraphCreate = GraphCreate;
  table.cuGraphDestroy = GraphDestroy;
  table.cuGraphClone = GraphClone;
  table.cuGraphNodeFindInClone = GraphNodeFindInClone;
  table.cuGraphDestroyNode = GraphDestroyNode;
  table.cuGraphGetNodes = GraphGetNodes;
  table.cuGraphGetRootNodes = GraphGetRootNodes;
  table.cuGraphGetEdges_v2 = GraphGetEdges;
  table.cuGraphNodeGetDependencies_v2 = GraphNodeGetDependencies;
  table.cuGraphNodeGetDependentNodes_v2 = GraphNodeGetDependentNodes;
  table.cuGraphAddDependencies_v2 = GraphAddDependencies;
  table.cuGraphRemoveDependencies_v2 = GraphRemoveDependencies;
  table.cuDeviceGetGraphMemAttribute = DeviceGetGraphMemAttribute;
  table.cuDeviceGraphMemTrim = DeviceGraphMemTrim;
  table.cuMemFreeAsync = MemFreeAsync;
}

}  // namespace mignificient::cpu
