// Executables of graphs: instantiated, changed, launched.
#include "driver/cpu/graph_calls.h"

namespace mignificient::cpu {
namespace {

// Null, or a graph whose edges form a circle: the graph itself or one inside.
const Graph* FindCircle(const Graph& graph) {
  if (graph.Sorted().size() != graph.nodes().size()) return &graph;
  for (const auto& node : graph.nodes()) {
    const Graph* child = node->child();
    if (const Graph* circle = child == nullptr ? nullptr : FindCircle(*child)) return circle;
  }
  return nullptr;
}

CUresult GraphInstantiateWithParams(CUgraphExec* handle, CUgraph graph_handle, CUDA_GRAPH_INSTANTIATE_PARAMS* params) {
  return OnGraphs([&](Context& context, Graphs& graphs) {
    if (handle == nullptr || params == nullptr) return CUDA_ERROR_INVALID_VALUE;
    params->error_node = nullptr;
    params->result = kInstantiateError;
    const auto graph = graphs.Find(graph_handle);
    if (graph == nullptr || graph->of_node || (params->flags & ~kInstantiateKnownFlags) != 0)
      return CUDA_ERROR_INVALID_VALUE;
    if ((params->flags & kInstantiateDeviceLaunch) != 0) return CUDA_ERROR_NOT_SUPPORTED;
    if ((params->flags & kInstantiateUpload) != 0 && context.FindStream(params->upload_stream) == nullptr)
      return CUDA_ERROR_INVALID_HANDLE;
    if (FindCircle(*graph) != nullptr) {
      params->result = kInstantiateInvalidStructure;
      return CUDA_ERROR_INVALID_VALUE;
    }
    if (graph->executables > 0 && graph->HasMemoryNodes()) return CUDA_ERROR_NOT_SUPPORTED;
    *handle = graphs.execs.Add(std::make_shared<GraphExec>(graph, params->flags));
    params->result = kInstantiateSuccess;
    return CUDA_SUCCESS;
  });
}

CUresult GraphExecDestroy(CUgraphExec handle) {
  return OnGraphs([&](Context& context, Graphs& graphs) {
    if (graphs.execs.Remove(handle) == nullptr) return CUDA_ERROR_INVALID_VALUE;
    graphs.memory.Collect([&] { context.scheduler().WaitAll(); });
    return CUDA_SUCCESS;
  });
}

CUresult GraphExecGetFlags(CUgraphExec handle, unsigned long long* flags) {
  return OnExec(handle, [&](Context&, GraphExec& exec) {
    if (flags == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *flags = exec.flags();
    return CUDA_SUCCESS;
  });
}

CUresult GraphExecUpdate(CUgraphExec handle, CUgraph graph_handle, CUgraphExecUpdateResultInfo* info) {
  return OnExec(handle, [&](Context& context, GraphExec& exec) {
    const auto graph = context.graphs().Find(graph_handle);
    if (info == nullptr || graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const auto difference = exec.Update(*graph);
    *info = {difference.reason, difference.node, difference.from};
    return difference.reason == kUpdateSuccess ? CUDA_SUCCESS : CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
  });
}

// Kernels, copies and sets alone can be left out.
CUresult OnSwitch(CUgraphExec handle, CUgraphNode node_handle, auto&& body) {
  return OnExec(handle, [&](Context&, GraphExec& exec) {
    GraphNode* node = exec.Find(node_handle);
    if (node == nullptr || (node->type() != CU_GRAPH_NODE_TYPE_KERNEL && node->type() != CU_GRAPH_NODE_TYPE_MEMCPY &&
                            node->type() != CU_GRAPH_NODE_TYPE_MEMSET)) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    return body(*node);
  });
}

CUresult GraphNodeSetEnabled(CUgraphExec exec, CUgraphNode handle, unsigned enabled) {
  return OnSwitch(exec, handle, [&](GraphNode& node) {
    node.enabled = enabled != 0;
    return CUDA_SUCCESS;
  });
}

CUresult GraphNodeGetEnabled(CUgraphExec exec, CUgraphNode handle, unsigned* enabled) {
  return OnSwitch(exec, handle, [&](const GraphNode& node) {
    if (enabled == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *enabled = node.enabled ? 1 : 0;
    return CUDA_SUCCESS;
  });
}

// There is nothing to bring to the device ahead of a launch.
CUresult GraphUpload(CUgraphExec handle, CUstream stream) {
  return OnExec(handle, [&](Context& context, GraphExec&) {
    return context.FindStream(stream) == nullptr ? CUDA_ERROR_INVALID_HANDLE : CUDA_SUCCESS;
  });
}

CUresult GraphLaunch(CUgraphExec handle, CUstream stream_handle) {
  return InContext([&](Context& context) {
    const auto exec = context.graphs().execs.Find(handle);
    const auto stream = context.FindStream(stream_handle);
    if (exec == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    // A captured launch becomes a child graph.
    const auto captured = context.captures().Take(*stream, [&] {
      const std::lock_guard lock(context.graphs().mutex);
      return ChildNode{exec->graph().Copy(/*same_handles=*/false)};
    });
    if (captured) return *captured;
    const std::lock_guard lock(context.graphs().mutex);
    return exec->Launch(context, *stream);
  });
}

}  // namespace

void FillGraphExecEntries(DriverTable& table) {
  table.cuGraphInstantiateWithParams = GraphInstantiateWithParams;
  table.cuGraphExecDestroy = GraphExecDestroy;
  table.cuGraphExecGetFlags = GraphExecGetFlags;
  table.cuGraphExecUpdate_v2 = GraphExecUpdate;
  table.cuGraphNodeSetEnabled = GraphNodeSetEnabled;
  table.cuGraphNodeGetEnabled = GraphNodeGetEnabled;
  table.cuGraphUpload = GraphUpload;
  table.cuGraphLaunch = GraphLaunch;
}

}  // namespace mignificient::cpu
