// What the entry points of graphs and captures share.
#pragma once

#include <mutex>
#include <utility>
#include <vector>

#include "driver/cpu/capture.h"
#include "driver/cpu/entries.h"
#include "driver/cpu/graphs.h"

namespace mignificient::cpu {

// Calls `body(Context&, Graphs&)` with the mutex of the graphs held.
template <typename Body>
CUresult OnGraphs(Body&& body) {
  return InContext([&](Context& context) {
    const std::lock_guard lock(context.graphs().mutex);
    return body(context, context.graphs());
  });
}

// The same, with the graph, node or executable behind a handle: `body(Context&, Graph&)` and so on.
template <typename Body>
CUresult OnGraph(CUgraph handle, Body&& body) {
  return OnGraphs([&](Context& context, Graphs& graphs) {
    const auto graph = graphs.Find(handle);
    return graph == nullptr ? CUDA_ERROR_INVALID_VALUE : body(context, *graph);
  });
}

template <typename Body>
CUresult OnNode(CUgraphNode handle, Body&& body) {
  return OnGraphs([&](Context& context, Graphs& graphs) {
    GraphNode* node = graphs.Find(handle);
    return node == nullptr ? CUDA_ERROR_INVALID_VALUE : body(context, *node);
  });
}

// With a node's work of one kind: `body(const Kind&)`.
template <typename Kind, typename Body>
CUresult OnNodeOf(CUgraphNode handle, Body&& body) {
  return OnNode(handle, [&](Context&, GraphNode& node) {
    const auto* work = std::get_if<Kind>(node.work.get());
    return work == nullptr ? CUDA_ERROR_INVALID_VALUE : body(*work);
  });
}

template <typename Body>
CUresult OnExec(CUgraphExec handle, Body&& body) {
  return OnGraphs([&](Context& context, Graphs& graphs) {
    const auto exec = graphs.execs.Find(handle);
    return exec == nullptr ? CUDA_ERROR_INVALID_VALUE : body(context, *exec);
  });
}

// Edges from nodes of `graph`, as programs list them. CUDA_ERROR_INVALID_VALUE for one that is not there or named
// twice.
CUresult ReadEdges(Graphs& graphs, const Graph& graph, const CUgraphNode* nodes, const CUgraphEdgeData* data,
                   size_t count, std::vector<GraphNode::Edge>* edges);

}  // namespace mignificient::cpu
