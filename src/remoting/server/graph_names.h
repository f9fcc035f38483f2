// Names of graphs and their nodes. A node belongs to its graph, and the body of a conditional or child node to the
// graph around it: destroying the outermost graph ends them all. On the dispatcher thread.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "driver/driver_table.h"
#include "remoting/server/handles.h"

namespace mignificient::server {

class GraphNames {
 public:
  struct Graph {
    CUgraph graph;
    CUgraph root;  // the outermost graph; itself unless the graph belongs to a node
  };
  struct Node {
    CUgraphNode node;
    CUgraph root;
  };

  // The name it has, or a new one. 0: there are too many.
  uint64_t NameGraph(CUgraph graph, CUgraph root) { return Name(graphs_, graph_names_, graph, Graph{graph, root}); }
  uint64_t NameNode(CUgraphNode node, CUgraph root) { return Name(nodes_, node_names_, node, Node{node, root}); }

  Graph* FindGraph(uint64_t name) { return graphs_.Find(name); }
  Node* FindNode(uint64_t name) { return nodes_.Find(name); }

  // The outermost graph around one that has a name, else itself.
  CUgraph RootOf(CUgraph graph) {
    const auto name = graph_names_.find(graph);
    return name == graph_names_.end() ? graph : graphs_.Find(name->second)->root;
  }
  bool HasName(CUgraph graph) const { return graph_names_.contains(graph); }

  void ForgetNode(uint64_t name) {
    if (const auto node = nodes_.Remove(name)) node_names_.erase(node->node);
  }
  void ForgetRoot(CUgraph root) {
    nodes_.RemoveIf([&](const Node& node) { return node.root == root && node_names_.erase(node.node) > 0; });
    graphs_.RemoveIf([&](const Graph& graph) { return graph.root == root && graph_names_.erase(graph.graph) > 0; });
  }
  // Calls `visit(CUgraph)` for each outermost graph.
  template <typename Visit>
  void ForEachRoot(Visit visit) {
    graphs_.NameIf([&](const Graph& graph) {
      if (graph.graph == graph.root) visit(graph.graph);
      return false;
    });
  }

 private:
  static constexpr uint32_t kGraphLimit = 1 << 16;
  static constexpr uint32_t kNodeLimit = 1 << 20;

  template <typename Entry, typename Object>
  static uint64_t Name(HandleTable<Entry>& table, std::unordered_map<Object, uint64_t>& names, Object object,
                       Entry entry) {
    if (const auto known = names.find(object); known != names.end()) return known->second;
    const auto name = table.Add(entry);
    if (name) names.emplace(object, *name);
    return name.value_or(0);
  }

  HandleTable<Graph> graphs_{wire::HandleKind::kGraph, kGraphLimit};
  HandleTable<Node> nodes_{wire::HandleKind::kGraphNode, kNodeLimit};
  std::unordered_map<CUgraph, uint64_t> graph_names_;
  std::unordered_map<CUgraphNode, uint64_t> node_names_;
};

}  // namespace mignificient::server
