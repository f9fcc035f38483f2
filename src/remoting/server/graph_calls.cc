#include "remoting/server/graph_calls.h"

namespace mignificient::server {

void GraphCalls::Remove(CUgraph graph, const Ref& call) {
  const auto of_graph = graphs_.find(graph);
  if (of_graph == graphs_.end()) return;
  const auto counted = of_graph->second.find(call);
  if (counted != of_graph->second.end() && --counted->second == 0) of_graph->second.erase(counted);
}

void GraphCalls::Include(CUgraph graph, CUgraph other) {
  const auto from = graphs_.find(other);
  if (from == graphs_.end()) return;
  const Calls copy = from->second;
  Calls& to = graphs_[graph];
  for (const auto& [call, count] : copy) to[call] += count;
}

void GraphCalls::Include(CUgraph graph, CUgraphExec exec) {
  const auto from = execs_.find(exec);
  if (from == execs_.end()) return;
  Calls& to = graphs_[graph];
  for (const auto& [call, count] : from->second.calls) to[call] += count;
  for (const auto& [node, changed] : from->second.changed)
    if (changed.call && *changed.call != nullptr) ++to[*changed.call];
}

void GraphCalls::Instantiated(CUgraphExec exec, CUgraph graph) {
  const auto from = graphs_.find(graph);
  if (from != graphs_.end()) execs_[exec].calls = from->second;
}

void GraphCalls::Updated(CUgraphExec exec, CUgraph graph, bool whole) {
  Exec& updated = execs_[exec];
  const auto from = graphs_.find(graph);
  if (whole) Retire(updated);
  if (from != graphs_.end())
    for (const auto& [call, count] : from->second) updated.calls[call] += count;
}

void GraphCalls::Forget(CUgraphExec exec) {
  auto forgotten = execs_.extract(exec);
  if (!forgotten.empty()) Retire(forgotten.mapped());
}

const GraphCalls::Node* GraphCalls::Find(CUgraphExec exec, CUgraphNode node) const {
  const auto of_exec = execs_.find(exec);
  if (of_exec == execs_.end()) return nullptr;
  const auto changed = of_exec->second.changed.find(node);
  return changed == of_exec->second.changed.end() ? nullptr : &changed->second;
}

void GraphCalls::Change(CUgraphExec exec, CUgraphNode node, Node now) {
  Node& changed = execs_[exec].changed[node];
  Retire(changed);
  changed = std::move(now);
}

std::vector<CUgraphNode> GraphCalls::SwitchedOff(CUgraphExec exec) const {
  std::vector<CUgraphNode> off;
  const auto of_exec = execs_.find(exec);
  if (of_exec == execs_.end()) return off;
  for (const auto& [node, changed] : of_exec->second.changed)
    if (changed.off) off.push_back(node);
  return off;
}

void GraphCalls::Retire(Node& node) {
  if (node.call && *node.call != nullptr) retired_.push_back(std::move(*node.call));
  node.call.reset();
}

void GraphCalls::Retire(Calls& calls) {
  for (const auto& [call, count] : calls) retired_.push_back(call);
  calls.clear();
}

void GraphCalls::Retire(Exec& exec) {
  Retire(exec.calls);
  for (auto& [node, changed] : exec.changed) Retire(changed);
  std::erase_if(exec.changed, [](const auto& entry) { return !entry.second.off; });
}

}  // namespace mignificient::server
