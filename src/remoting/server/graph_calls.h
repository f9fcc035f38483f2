// Which host functions each graph and executable may run: what keeps them. Pure bookkeeping, on the dispatcher thread.
//
// A graph may count a function more often than it has nodes for it, never less often: then it is kept until the graph
// ends. What an executable lets go of may still be running: it is retired, until the caller knows that all work issued
// so far is complete.
#pragma once

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "driver/driver_table.h"
#include "remoting/server/host_calls.h"

namespace mignificient::server {

class GraphCalls {
 public:
  using Ref = HostCalls::Ref;

  // --- Graphs, by the outermost one

  void Add(CUgraph graph, const Ref& call) {
    if (call != nullptr) ++graphs_[graph][call];
  }
  // A node that had it is gone, or has another.
  void Remove(CUgraph graph, const Ref& call);
  // `graph` has a copy of what is in `other`.
  void Include(CUgraph graph, CUgraph other);
  // Or of what is in an executable, which was launched while it was captured.
  void Include(CUgraph graph, CUgraphExec exec);
  void Forget(CUgraph graph) { graphs_.erase(graph); }
  // Forgets the graphs for which `dead(CUgraph)`.
  template <typename Dead>
  void ForgetIf(Dead dead) {
    std::erase_if(graphs_, [&](const auto& entry) { return dead(entry.first); });
  }

  // --- Executables

  void Instantiated(CUgraphExec exec, CUgraph graph);
  // It does what `graph` does now; not `whole`: perhaps in parts.
  void Updated(CUgraphExec exec, CUgraph graph, bool whole);
  // A node of it does what is in `graph` now.
  void Include(CUgraphExec exec, CUgraph graph) { Updated(exec, graph, /*whole=*/false); }
  void Forget(CUgraphExec exec);

  // A node of an executable that was changed by itself.
  struct Node {
    std::optional<Ref> call;  // null: it runs none; nullopt: that of the graph's node
    bool off = false;         // switched off: `call` is what it runs when it is switched on
  };
  // Null: it is as it was instantiated.
  const Node* Find(CUgraphExec exec, CUgraphNode node) const;
  void Change(CUgraphExec exec, CUgraphNode node, Node now);
  std::vector<CUgraphNode> SwitchedOff(CUgraphExec exec) const;

  // --- What is retired

  bool any_retired() const { return !retired_.empty(); }
  std::vector<Ref> TakeRetired() { return std::exchange(retired_, {}); }

 private:
  using Calls = std::map<Ref, uint32_t>;  // -> nodes, at least
  struct Exec {
    Calls calls;
    std::map<CUgraphNode, Node> changed;
  };
  void Retire(Calls& calls);
  void Retire(Node& node);
  void Retire(Exec& exec);

  std::map<CUgraph, Calls> graphs_;
  std::map<CUgraphExec, Exec> execs_;
  std::vector<Ref> retired_;
};

}  // namespace mignificient::server
