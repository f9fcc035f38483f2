#include "driver/cpu/graphs.h"

namespace mignificient::cpu {

CUgraph Graphs::Name(const std::shared_ptr<Graph>& graph) {
  if (graph->handle == nullptr) {
    graph->handle = reinterpret_cast<CUgraph>(handles_.Next());
    graphs_.emplace(graph->handle, graph);
  }
  for (const auto& node : graph->nodes()) Name(*node);
  return graph->handle;
}

CUgraphNode Graphs::Name(GraphNode& node) {
  if (node.handle == nullptr) {
    node.handle = reinterpret_cast<CUgraphNode>(handles_.Next());
    nodes_.emplace(node.handle, &node);
    if (const auto* child = std::get_if<ChildNode>(node.work.get())) {
      child->graph->of_node = true;
      Name(child->graph);
    }
  }
  return node.handle;
}

std::shared_ptr<Graph> Graphs::Find(CUgraph handle) const {
  const auto found = graphs_.find(handle);
  return found == graphs_.end() ? nullptr : found->second;
}

GraphNode* Graphs::Find(CUgraphNode handle) const {
  const auto found = nodes_.find(handle);
  return found == nodes_.end() ? nullptr : found->second;
}

void Graphs::Forget(const Graph& graph) {
  for (const auto& node : graph.nodes()) Forget(*node);
  graphs_.erase(graph.handle);
}

void Graphs::Forget(const GraphNode& node) {
  if (const Graph* child = node.child()) Forget(*child);
  nodes_.erase(node.handle);
}

void Graphs::RemoveAll() {
  execs.RemoveAll();
  nodes_.clear();
  graphs_.clear();
  memory.RemoveAll();
}

}  // namespace mignificient::cpu
