// The graphs and executables of a context, by handle, and the one mutex that guards them and the captures.
#pragma once

#include <memory>
#include <mutex>
#include <unordered_map>

#include "driver/cpu/graph.h"
#include "driver/cpu/graph_exec.h"
#include "driver/cpu/graph_memory.h"
#include "driver/cpu/registry.h"

namespace mignificient::cpu {

class Graphs {
 public:
  explicit Graphs(Device& device) : memory(device.memory()), execs(device.handles()), handles_(device.handles()) {}

  // Held through every call that concerns graphs or captures. Tasks of the scheduler never take it.
  std::mutex mutex;

  // Names the graph, its nodes and its child graphs, where they have no name yet.
  CUgraph Name(const std::shared_ptr<Graph>& graph);
  CUgraphNode Name(GraphNode& node);
  // Null for a handle that is not ours.
  std::shared_ptr<Graph> Find(CUgraph handle) const;
  GraphNode* Find(CUgraphNode handle) const;
  // The handles of the graph and of everything in it end.
  void Forget(const Graph& graph);
  void Forget(const GraphNode& node);

  // Ends everything; nothing of it runs any more.
  void RemoveAll();

  GraphMemory memory;
  Registry<CUgraphExec, GraphExec> execs;

 private:
  HandleSource& handles_;
  std::unordered_map<CUgraph, std::shared_ptr<Graph>> graphs_;
  std::unordered_map<CUgraphNode, GraphNode*> nodes_;
};

}  // namespace mignificient::cpu
