#include "driver/cpu/graph_exec.h"

#include <unordered_map>
#include <utility>

#include "driver/cpu/copy_3d.h"
#include "driver/cpu/graphs.h"
#include "driver/cpu/memset.h"

namespace mignificient::cpu {
namespace {

template <typename... Bodies>
struct Overloaded : Bodies... {
  using Bodies::operator()...;
};

// What the node's task does; empty where being in order is all there is to do.
Scheduler::Work TaskOf(Context& context, const std::shared_ptr<const NodeWork>& work) {
  const auto run = [&](auto body) {
    return Scheduler::Work([&context, work, body] {
      if (!context.Stopped()) body();
    });
  };
  return std::visit(
      Overloaded{[&](const KernelNode& node) { return run([&] { Execute(context, node.launch); }); },
                 [&](const CopyNode& node) {
                   return run([&] {
                     Copy3D copy;  // arrays and memory may have gone since the node was made
                     if (Resolve(context, node.copy, &copy) != CUDA_SUCCESS)
                       return context.device().SetFault(CUDA_ERROR_ILLEGAL_ADDRESS);
                     Execute(context, copy);
                   });
                 },
                 [&](const MemsetNode& node) { return run([&] { Execute(context, node.memset); }); },
                 [&](const HostNode& node) { return run([&] { node.host.function(node.host.user_data); }); },
                 [](const auto&) { return Scheduler::Work(); }},
      *work);
}

// Issues the nodes of a graph; the tickets of those that nothing comes after.
std::vector<Ticket> Issue(Context& context, const Graph& graph, const std::vector<Ticket>& start) {
  std::unordered_map<const GraphNode*, std::vector<Ticket>> ends;
  std::unordered_map<const GraphNode*, bool> followed;
  const auto sorted = graph.Sorted();
  for (const GraphNode* node : sorted) {
    std::vector<Ticket> after;
    for (const auto& edge : node->after) {
      const auto& before = ends[edge.from];
      after.insert(after.end(), before.begin(), before.end());
      followed[edge.from] = true;
    }
    if (node->after.empty()) after = start;
    if (const Graph* child = node->child()) {
      ends[node] = Issue(context, *child, after);
      if (ends[node].empty()) ends[node] = std::move(after);
      continue;
    }
    if (const auto* wait = std::get_if<EventWaitNode>(node->work.get())) after.push_back(wait->event->Recorded());
    const Ticket done =
        context.scheduler().EnqueueAfter(node->enabled ? TaskOf(context, node->work) : Scheduler::Work(), after);
    if (const auto* record = std::get_if<EventRecordNode>(node->work.get())) record->event->Record(done);
    ends[node] = {done};
  }
  std::vector<Ticket> leaves;
  for (const GraphNode* node : sorted)
    if (!followed[node]) leaves.insert(leaves.end(), ends[node].begin(), ends[node].end());
  return leaves;
}

GraphNode* FindIn(const Graph& graph, CUgraphNode handle) {
  GraphNode* found = nullptr;
  graph.ForEach([&](GraphNode& node) { found = node.handle == handle ? &node : found; });
  return found;
}

// Nodes are paired in the order they were added.
GraphExec::Difference Compare(const Graph& ours, const Graph& other) {
  const auto& a = ours.nodes();
  const auto& b = other.nodes();
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (a[i]->type() != b[i]->type()) return {kUpdateNodeTypeChanged, b[i]->handle};
    if (a[i]->after.size() != b[i]->after.size()) return {kUpdateTopologyChanged, b[i]->handle};
    if (a[i]->type() == CU_GRAPH_NODE_TYPE_MEM_ALLOC || a[i]->type() == CU_GRAPH_NODE_TYPE_MEM_FREE)
      return {kUpdateNotSupported, b[i]->handle};
  }
  if (a.size() != b.size()) return {kUpdateTopologyChanged, b.size() > a.size() ? b[a.size()]->handle : nullptr};
  std::unordered_map<const GraphNode*, const GraphNode*> pair;
  for (size_t i = 0; i < a.size(); ++i) pair[b[i].get()] = a[i].get();
  for (size_t i = 0; i < a.size(); ++i) {
    for (const auto& edge : b[i]->after)
      if (!a[i]->ComesAfter(*pair[edge.from])) return {kUpdateTopologyChanged, b[i]->handle, edge.from->handle};
    if (a[i]->child() == nullptr) continue;
    const auto inside = Compare(*a[i]->child(), *b[i]->child());
    if (inside.reason != kUpdateSuccess) return {inside.reason, b[i]->handle};
  }
  return {};
}

void TakeWork(const Graph& ours, const Graph& other) {
  for (size_t i = 0; i < ours.nodes().size(); ++i) {
    GraphNode& node = *ours.nodes()[i];
    if (const Graph* child = node.child())
      TakeWork(*child, *other.nodes()[i]->child());
    else
      node.work = other.nodes()[i]->work;
  }
}

}  // namespace

GraphExec::GraphExec(const std::shared_ptr<Graph>& graph, unsigned long long flags)
    : source_(graph), graph_(graph->Copy(/*same_handles=*/true)), flags_(flags) {
  ++source_->executables;
}

GraphNode* GraphExec::Find(CUgraphNode node) const {
  return FindIn(*graph_, node);
}

GraphExec::Difference GraphExec::Update(const Graph& graph) {
  const Difference difference = Compare(*graph_, graph);
  if (difference.reason == kUpdateSuccess) TakeWork(*graph_, graph);
  return difference;
}

bool GraphExec::UpdateInside(const Graph& ours, const Graph& other) {
  if (Compare(ours, other).reason != kUpdateSuccess) return false;
  TakeWork(ours, other);
  return true;
}

// In the order in which nodes run, so that what one node frees another one may allocate. All or nothing.
CUresult GraphExec::HoldMemory(GraphMemory& memory) const {
  std::vector<GraphAllocation*> held;
  CUresult result = CUDA_SUCCESS;
  for (const GraphNode* node : graph_->Sorted()) {
    if (const auto* alloc = std::get_if<AllocNode>(node->work.get())) {
      if ((flags_ & kInstantiateAutoFree) != 0) memory.Release(*alloc->allocation);
      result = memory.Hold(*alloc->allocation);
      if (result != CUDA_SUCCESS) break;
      held.push_back(alloc->allocation.get());
    }
    if (const auto* free = std::get_if<FreeNode>(node->work.get())) memory.Release(*free->allocation);
  }
  if (result != CUDA_SUCCESS)
    for (GraphAllocation* each : held) memory.Release(*each);
  return result;
}

CUresult GraphExec::Launch(Context& context, Stream& stream) {
  if (const CUresult held = HoldMemory(context.graphs().memory); held != CUDA_SUCCESS) return held;
  auto& scheduler = context.scheduler();
  const std::vector<Ticket> start = {scheduler.Enqueue(stream, {}, std::span(&last_launch_, 1))};
  const auto leaves = Issue(context, *graph_, start);
  last_launch_ = scheduler.Enqueue(stream, {}, leaves);
  return CUDA_SUCCESS;
}

}  // namespace mignificient::cpu
