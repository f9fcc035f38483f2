// CUDA graphs as data: nodes, what each does, and what it comes after. Guarded by the mutex of Graphs (graphs.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "abi/graph.h"
#include "driver/cpu/kernel_launch.h"

namespace mignificient::cpu {

class Graph;
struct GraphAllocation;  // graph_memory.h

// What a node does. Immutable once a node has it: running launches share it.
struct EmptyNode {};
struct KernelNode {
  CUfunction handle = nullptr;
  KernelLaunch launch;
  std::map<int, CUlaunchAttributeValue> attributes;
};
struct CopyNode {
  CUDA_MEMCPY3D copy;
};
struct MemsetNode {
  CUDA_MEMSET_NODE_PARAMS memset;
};
struct HostNode {
  CUDA_HOST_NODE_PARAMS host;
};
struct ChildNode {
  std::shared_ptr<Graph> graph;  // the node's own
};
struct EventWaitNode {
  CUevent handle;
  std::shared_ptr<Event> event;
};
struct EventRecordNode {
  CUevent handle;
  std::shared_ptr<Event> event;
};
struct AllocNode {
  std::shared_ptr<GraphAllocation> allocation;
};
struct FreeNode {
  std::shared_ptr<GraphAllocation> allocation;
};
using NodeWork = std::variant<EmptyNode, KernelNode, CopyNode, MemsetNode, HostNode, ChildNode, EventWaitNode,
                              EventRecordNode, AllocNode, FreeNode>;

CUgraphNodeType TypeOf(const NodeWork& work);

struct GraphNode {
  struct Edge {
    GraphNode* from;
    CUgraphEdgeData data;
  };

  CUgraphNode handle = nullptr;  // in an executable: that of the node it was made from
  CUgraphNode origin = nullptr;  // of a clone's node: the one it was cloned from
  Graph* graph = nullptr;
  std::shared_ptr<const NodeWork> work;
  std::vector<Edge> after;    // in the order they were given
  bool enabled = true;        // in an executable
  std::vector<void*> params;  // lent out by cuGraphKernelNodeGetParams

  CUgraphNodeType type() const { return TypeOf(*work); }
  bool ComesAfter(const GraphNode& other) const;
  // The child graph of a node that has one.
  Graph* child() const;
};

class Graph {
 public:
  // Appends; `after` names nodes of this graph.
  GraphNode& Add(NodeWork work, std::vector<GraphNode::Edge> after);
  void Remove(GraphNode& node);  // and its edges
  // A copy of the structure. `same_handles`: nodes are named as here, for an executable; else they have no handle yet
  // and remember where they come from. Child graphs are copied along.
  std::shared_ptr<Graph> Copy(bool same_handles) const;

  const std::vector<std::unique_ptr<GraphNode>>& nodes() const { return nodes_; }
  std::vector<GraphNode*> Dependents(const GraphNode& node) const;
  // Every node behind those it comes after, in the order they were added where that leaves a choice; shorter than
  // `nodes` where edges form a circle.
  std::vector<GraphNode*> Sorted() const;
  // Calls `visit(GraphNode&)` for each node, those of child graphs included.
  template <typename Visit>
  void ForEach(Visit&& visit) const {
    for (const auto& node : nodes_) {
      visit(*node);
      if (Graph* child = node->child()) child->ForEach(visit);
    }
  }
  bool HasMemoryNodes() const;

  CUgraph handle = nullptr;
  bool of_node = false;      // belongs to a node and ends with it
  unsigned executables = 0;  // instantiated and not destroyed

 private:
  std::vector<std::unique_ptr<GraphNode>> nodes_;
};

}  // namespace mignificient::cpu
