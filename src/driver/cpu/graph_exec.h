// Executables: a graph as it was when it was instantiated, launched as tasks that wait for each other as its edges say.
#pragma once

#include <memory>
#include <vector>

#include "driver/cpu/graph.h"

namespace mignificient::cpu {

class GraphMemory;

// CUgraphInstantiateResult and CUgraphExecUpdateResult, as far as they are given.
inline constexpr int kInstantiateSuccess = 0, kInstantiateError = 1, kInstantiateInvalidStructure = 2;
inline constexpr int kUpdateSuccess = 0, kUpdateError = 1, kUpdateTopologyChanged = 2, kUpdateNodeTypeChanged = 3,
                     kUpdateParametersChanged = 5, kUpdateNotSupported = 6;

inline constexpr unsigned long long kInstantiateAutoFree = 1, kInstantiateUpload = 2, kInstantiateDeviceLaunch = 4,
                                    kInstantiateKnownFlags = 15;

// Guarded by the mutex of Graphs.
class GraphExec {
 public:
  // The graph must be sound: Sorted() covers every node, here and in child graphs.
  GraphExec(const std::shared_ptr<Graph>& graph, unsigned long long flags);
  ~GraphExec() { --source_->executables; }

  unsigned long long flags() const { return flags_; }
  const Graph& graph() const { return *graph_; }
  // Null where the executable has no node made from this one.
  GraphNode* Find(CUgraphNode node) const;

  // Takes over what the nodes of `graph` do, if it has the same shape; else says which node differs, and changes
  // nothing.
  struct Difference {
    int reason = kUpdateSuccess;
    CUgraphNode node = nullptr;
    CUgraphNode from = nullptr;  // of an edge that differs
  };
  Difference Update(const Graph& graph);

  // The same between two graphs, without saying what differs.
  static bool UpdateInside(const Graph& ours, const Graph& other);

  // Issues it in the stream, behind its previous launch.
  CUresult Launch(Context& context, Stream& stream);

 private:
  CUresult HoldMemory(GraphMemory& memory) const;

  const std::shared_ptr<Graph> source_;
  const std::shared_ptr<Graph> graph_;
  const unsigned long long flags_;
  Ticket last_launch_;
};

}  // namespace mignificient::cpu
