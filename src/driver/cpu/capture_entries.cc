// Stream capture.
#include <utility>
#include <vector>

#include "driver/cpu/graph_calls.h"

namespace mignificient::cpu {
namespace {

constexpr unsigned kSetDependencies = 1;  // of cuStreamUpdateCaptureDependencies; 0 adds

CUresult StreamBeginCapture(CUstream handle, int mode) {
  if (mode < CU_STREAM_CAPTURE_MODE_GLOBAL || mode > CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_ERROR_INVALID_VALUE;
  return OnStream(handle, [&](Context& context, Stream& stream) {
    const std::lock_guard lock(context.graphs().mutex);
    return context.captures().Begin(stream, nullptr, {}, mode);
  });
}

CUresult StreamBeginCaptureToGraph(CUstream handle, CUgraph graph_handle, const CUgraphNode* nodes,
                                   const CUgraphEdgeData* data, size_t count, int mode) {
  if (mode < CU_STREAM_CAPTURE_MODE_GLOBAL || mode > CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_ERROR_INVALID_VALUE;
  return OnStream(handle, [&](Context& context, Stream& stream) {
    auto& graphs = context.graphs();
    const std::lock_guard lock(graphs.mutex);
    const auto graph = graphs.Find(graph_handle);
    if (graph == nullptr || context.captures().IsGraphInUse(*graph)) return CUDA_ERROR_INVALID_VALUE;
    std::vector<GraphNode::Edge> edges;
    const CUresult read = ReadEdges(graphs, *graph, nodes, data, count, &edges);
    if (read != CUDA_SUCCESS) return read;
    std::vector<CaptureLink> links;
    for (const auto& edge : edges) links.push_back({edge.from->handle, edge.data});
    return context.captures().Begin(stream, graph, links, mode);
  });
}

CUresult StreamEndCapture(CUstream handle, CUgraph* graph) {
  return OnStream(handle, [&](Context& context, Stream& stream) {
    return graph == nullptr ? CUDA_ERROR_INVALID_VALUE : context.captures().End(stream, graph);
  });
}

CUresult StreamIsCapturing(CUstream handle, int* status) {
  return OnStream(handle, [&](Context& context, Stream& stream) {
    if (status == nullptr) return CUDA_ERROR_INVALID_VALUE;
    Captures::Info info;
    const CUresult asked = context.captures().Ask(stream, &info);
    *status = info.status;
    return asked;
  });
}

CUresult StreamGetCaptureInfo(CUstream handle, int* status, unsigned long long* id, CUgraph* graph,
                              const CUgraphNode** nodes, const CUgraphEdgeData** edges, size_t* count) {
  return OnStream(handle, [&](Context& context, Stream& stream) {
    if (status == nullptr) return CUDA_ERROR_INVALID_VALUE;
    Captures::Info info;
    const CUresult asked = context.captures().Ask(stream, &info);
    if (asked != CUDA_SUCCESS) return asked;
    *status = info.status;
    if (info.status == kCaptureNone) return CUDA_SUCCESS;
    if (info.edges != nullptr && nodes != nullptr && edges == nullptr) return CUDA_ERROR_LOSSY_QUERY;
    if (id != nullptr) *id = info.id;
    if (graph != nullptr) *graph = info.graph;
    if (nodes != nullptr) *nodes = info.nodes;
    if (edges != nullptr) *edges = info.edges;
    if (count != nullptr) *count = info.count;
    return CUDA_SUCCESS;
  });
}

CUresult StreamUpdateCaptureDependencies(CUstream handle, CUgraphNode* nodes, const CUgraphEdgeData* data, size_t count,
                                         unsigned flags) {
  return OnStream(handle, [&](Context& context, Stream& stream) {
    if (flags > kSetDependencies || (count > 0 && nodes == nullptr)) return CUDA_ERROR_INVALID_VALUE;
    std::vector<CaptureLink> links;
    for (size_t i = 0; i < count; ++i) links.push_back({nodes[i], data != nullptr ? data[i] : CUgraphEdgeData{}});
    return context.captures().UpdateLinks(stream, links, flags == kSetDependencies);
  });
}

// What modes forbid are calls that programs make outside streams; this driver has none that a capture could miss.
CUresult ThreadExchangeStreamCaptureMode(int* mode) {
  thread_local int current = CU_STREAM_CAPTURE_MODE_GLOBAL;
  if (mode == nullptr || *mode < CU_STREAM_CAPTURE_MODE_GLOBAL || *mode > CU_STREAM_CAPTURE_MODE_RELAXED)
    return CUDA_ERROR_INVALID_VALUE;
  std::swap(*mode, current);
  return CUDA_SUCCESS;
}

}  // namespace

void FillCaptureEntries(DriverTable& table) {
  table.cuStreamBeginCapture_v2 = StreamBeginCapture;
  table.cuStreamBeginCaptureToGraph = StreamBeginCaptureToGraph;
  table.cuStreamEndCapture = StreamEndCapture;
  table.cuStreamIsCapturing = StreamIsCapturing;
  table.cuStreamGetCaptureInfo_v3 = StreamGetCaptureInfo;
  table.cuStreamUpdateCaptureDependencies_v2 = StreamUpdateCaptureDependencies;
  table.cuThreadExchangeStreamCaptureMode = ThreadExchangeStreamCaptureMode;
}

}  // namespace mignificient::cpu
