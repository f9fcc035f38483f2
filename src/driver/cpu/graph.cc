#include "driver/cpu/graph.h"

#include <algorithm>
#include <unordered_map>

namespace mignificient::cpu {

CUgraphNodeType TypeOf(const NodeWork& work) {
  constexpr CUgraphNodeType kTypes[] = {CU_GRAPH_NODE_TYPE_EMPTY,      CU_GRAPH_NODE_TYPE_KERNEL,
                                        CU_GRAPH_NODE_TYPE_MEMCPY,     CU_GRAPH_NODE_TYPE_MEMSET,
                                        CU_GRAPH_NODE_TYPE_HOST,       CU_GRAPH_NODE_TYPE_GRAPH,
                                        CU_GRAPH_NODE_TYPE_WAIT_EVENT, CU_GRAPH_NODE_TYPE_EVENT_RECORD,
                                        CU_GRAPH_NODE_TYPE_MEM_ALLOC,  CU_GRAPH_NODE_TYPE_MEM_FREE};
  static_assert(std::size(kTypes) == std::variant_size_v<NodeWork>);
  return kTypes[work.index()];
}

bool GraphNode::ComesAfter(const GraphNode& other) const {
  return std::ranges::any_of(after, [&](const Edge& edge) { return edge.from == &other; });
}

Graph* GraphNode::child() const {
  const auto* node = std::get_if<ChildNode>(work.get());
  return node == nullptr ? nullptr : node->graph.get();
}

GraphNode& Graph::Add(NodeWork work, std::vector<GraphNode::Edge> after) {
  auto node = std::make_unique<GraphNode>();
  node->graph = this;
  node->work = std::make_shared<const NodeWork>(std::move(work));
  node->after = std::move(after);
  return *nodes_.emplace_back(std::move(node));
}

void Graph::Remove(GraphNode& node) {
  for (const auto& other : nodes_)
    std::erase_if(other->after, [&](const GraphNode::Edge& edge) { return edge.from == &node; });
  std::erase_if(nodes_, [&](const auto& each) { return each.get() == &node; });
}

std::shared_ptr<Graph> Graph::Copy(bool same_handles) const {
  auto copy = std::make_shared<Graph>();
  copy->of_node = of_node;
  std::unordered_map<const GraphNode*, GraphNode*> copies;
  for (const auto& node : nodes_) {
    NodeWork work = *node->work;
    if (auto* child = std::get_if<ChildNode>(&work)) child->graph = child->graph->Copy(same_handles);
    GraphNode& added = copy->Add(std::move(work), {});
    (same_handles ? added.handle : added.origin) = node->handle;
    copies.emplace(node.get(), &added);
  }
  for (const auto& node : nodes_)  // an edge may come from a node that was added later
    for (const auto& edge : node->after) copies[node.get()]->after.push_back({copies[edge.from], edge.data});
  return copy;
}

std::vector<GraphNode*> Graph::Dependents(const GraphNode& node) const {
  std::vector<GraphNode*> found;
  for (const auto& other : nodes_)
    if (other->ComesAfter(node)) found.push_back(other.get());
  return found;
}

std::vector<GraphNode*> Graph::Sorted() const {
  std::unordered_map<const GraphNode*, size_t> missing;
  std::unordered_map<const GraphNode*, std::vector<GraphNode*>> dependents;
  std::vector<GraphNode*> sorted;
  for (const auto& node : nodes_) {
    missing[node.get()] = node->after.size();
    for (const auto& edge : node->after) dependents[edge.from].push_back(node.get());
    if (node->after.empty()) sorted.push_back(node.get());
  }
  for (size_t i = 0; i < sorted.size(); ++i)
    for (GraphNode* dependent : dependents[sorted[i]])
      if (--missing[dependent] == 0) sorted.push_back(dependent);
  return sorted;
}

bool Graph::HasMemoryNodes() const {
  bool found = false;
  ForEach([&](const GraphNode& node) {
    found |= node.type() == CU_GRAPH_NODE_TYPE_MEM_ALLOC || node.type() == CU_GRAPH_NODE_TYPE_MEM_FREE;
  });
  return found;
}

}  // namespace mignificient::cpu
