// Copies of pageable memory in graphs: one node each, with the parameters it was given, which can be changed.
#include "graph.h"

namespace {

constexpr cudaMemcpyKind kUp = cudaMemcpyHostToDevice, kDown = cudaMemcpyDeviceToHost;

void PrintNode(const char* what, cudaGraphNode_t node, const void* source, const void* target) {
  cudaGraphNodeType type;
  NEED(cudaGraphNodeGetType(node, &type));
  cudaMemcpy3DParms given = {};
  const auto result = cudaGraphMemcpyNodeGetParams(node, &given);
  std::printf("%s: type %d, %s, from %d, to %d, %zu bytes\n", what, type, Name(result), given.srcPtr.ptr == source,
              given.dstPtr.ptr == target, given.extent.width);
}

void PrintShape(const char* what, cudaGraph_t graph) {
  size_t nodes = 0, roots = 0, edges = 0;
  NEED(cudaGraphGetNodes(graph, nullptr, &nodes));
  NEED(cudaGraphGetRootNodes(graph, nullptr, &roots));
#if CUDART_VERSION >= 13000
  NEED(cudaGraphGetEdges(graph, nullptr, nullptr, nullptr, &edges));
#else
  NEED(cudaGraphGetEdges(graph, nullptr, nullptr, &edges));
#endif
  std::printf("%s: %zu nodes, %zu roots, %zu edges\n", what, nodes, roots, edges);
}

// up -> down: `in` to the device and from there to `out`.
struct Pair {
  cudaGraph_t graph;
  cudaGraphNode_t up, down;

  Pair(int* device, const int* in, int* out) {
    NEED(cudaGraphCreate(&graph, 0));
    NEED(cudaGraphAddMemcpyNode1D(&up, graph, nullptr, 0, device, in, 16, kUp));
    NEED(cudaGraphAddMemcpyNode1D(&down, graph, &up, 1, out, device, 16, kDown));
  }
};

}  // namespace

int main() {
  int* device = Device<int>(8);
  int a[8] = {1, 2, 3, 4, 5, 6, 7, 8}, b[8] = {10, 20, 30, 40, 50, 60, 70, 80}, out[8] = {}, other[8] = {};
  int* pinned;
  NEED(cudaMallocHost(&pinned, 32));
  for (int i = 0; i < 8; ++i) pinned[i] = 100 + i;

  Pair pair(device, a, out);
  PrintShape("pair", pair.graph);
  PrintNode("up", pair.up, a, device);
  PrintNode("down", pair.down, device, out);
  const auto exec = Instantiate(pair.graph);
  Launch(exec);
  Print("out", out, 4);

  // In the executable.
  SHOW(cudaGraphExecMemcpyNodeSetParams1D(exec, pair.up, device, b, 16, kUp));
  SHOW(cudaGraphExecMemcpyNodeSetParams1D(exec, pair.down, other, device, 16, kDown));
  Launch(exec);
  Print("out", out, 4);
  Print("other", other, 4);
  PrintNode("up", pair.up, a, device);
  SHOW(cudaGraphExecMemcpyNodeSetParams1D(exec, pair.up, device, b + 4, 8, kUp));
  Launch(exec);
  Print("other", other, 4);
  SHOW(cudaGraphExecMemcpyNodeSetParams1D(exec, pair.up, device, pinned, 16, kUp));
  Launch(exec);
  Print("other", other, 4);
  SHOW(cudaGraphExecMemcpyNodeSetParams1D(exec, pair.up, device, a, 16, kUp));
  Launch(exec);
  Print("other", other, 4);
  SHOW(cudaGraphExecMemcpyNodeSetParams1D(exec, pair.up, b, device, 16, kDown));
  SHOW(cudaGraphExecMemcpyNodeSetParams1D(exec, pair.up, device, a, 0, kUp));
  cudaMemcpy3DParms rows = {};
  rows.srcPtr = make_cudaPitchedPtr(a, 8, 8, 2);
  rows.dstPtr = make_cudaPitchedPtr(device, 8, 8, 2);
  rows.extent = make_cudaExtent(8, 2, 1);
  rows.kind = kUp;
  SHOW(cudaGraphExecMemcpyNodeSetParams(exec, pair.up, &rows));
  cudaGetLastError();

  // Switched off: the target keeps what it has.
  unsigned enabled = 9;
  SHOW(cudaGraphNodeSetEnabled(exec, pair.down, 0));
  SHOW(cudaGraphNodeGetEnabled(exec, pair.down, &enabled));
  Print("enabled", enabled);
  other[0] = -1;
  Launch(exec);
  Print("other", other, 4);
  SHOW(cudaGraphNodeSetEnabled(exec, pair.down, 1));
  Launch(exec);
  Print("other", other, 4);

  // In the graph: for executables that are made afterwards.
  SHOW(cudaGraphMemcpyNodeSetParams1D(pair.up, device, b, 16, kUp));
  PrintNode("up", pair.up, b, device);
  Launch(exec);
  Print("other", other, 4);
  Launch(Instantiate(pair.graph));
  Print("out", out, 4);
  SHOW(cudaGraphMemcpyNodeSetParams1D(pair.up, device, pinned, 16, kUp));
  PrintNode("up", pair.up, pinned, device);
  Launch(Instantiate(pair.graph));
  Print("out", out, 4);
  SHOW(cudaGraphMemcpyNodeSetParams1D(pair.up, device, a, 16, kUp));
  PrintNode("up", pair.up, a, device);
  Launch(Instantiate(pair.graph));
  Print("out", out, 4);

  // A whole graph with other memory.
  const Pair another(device, b, other);
  cudaGraphExecUpdateResultInfo info = {};
  SHOW(cudaGraphExecUpdate(exec, another.graph, &info));
  Print("result", info.result);
  Launch(exec);
  Print("other", other, 4);

  // Copies of the graph.
  cudaGraph_t clone;
  NEED(cudaGraphClone(&clone, pair.graph));
  PrintShape("clone", clone);
  cudaGraphNode_t found;
  SHOW(cudaGraphNodeFindInClone(&found, pair.up, clone));
  PrintNode("found", found, a, device);
  std::vector<cudaGraphNode_t> nodes(2);
  size_t count = 2;
  NEED(cudaGraphGetNodes(clone, nodes.data(), &count));
  NEED(cudaGraphGetRootNodes(clone, nodes.data() + 1, &(count = 1)));
  PrintNode("root", nodes[1], a, device);
  SHOW(cudaGraphDestroyNode(found));
  PrintShape("clone", clone);
  cudaGraph_t outer, inner;
  cudaGraphNode_t child;
  NEED(cudaGraphCreate(&outer, 0));
  NEED(cudaGraphAddChildGraphNode(&child, outer, nullptr, 0, pair.graph));
  NEED(cudaGraphChildGraphNodeGetGraph(child, &inner));
  PrintShape("inner", inner);
  NEED(cudaGraphGetRootNodes(inner, nodes.data(), &(count = 1)));
  PrintNode("root", nodes[0], a, device);
  SHOW(cudaGraphChildGraphNodeGetGraph(pair.up, &inner));
  cudaGetLastError();
  NEED(cudaGraphDestroy(pair.graph));
  out[0] = 0;
  a[0] = 77;
  Launch(Instantiate(outer));
  Print("out", out, 4);

  // Captured.
  cudaStream_t stream;
  NEED(cudaStreamCreate(&stream));
  NEED(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
  SHOW(cudaMemcpyAsync(device, b, 16, kUp, stream));
  cudaStreamCaptureStatus status;
  cudaGraph_t captured;
  const cudaGraphNode_t* last;
#if CUDART_VERSION >= 13000
  NEED(cudaStreamGetCaptureInfo(stream, &status, nullptr, &captured, &last, nullptr, &count));
#else
  NEED(cudaStreamGetCaptureInfo_v2(stream, &status, nullptr, &captured, &last, &count));
#endif
  Print("dependencies", count);
  PrintNode("captured", last[0], b, device);
  SHOW(cudaMemcpy2DAsync(out, 8, device, 8, 8, 2, kDown, stream));
  NEED(cudaStreamEndCapture(stream, &captured));
  PrintShape("captured", captured);
  nodes.resize(2);
  count = 2;
  NEED(cudaGraphGetNodes(captured, nodes.data(), &count));
  for (const auto node : nodes) {
    cudaMemcpy3DParms given = {};
    NEED(cudaGraphMemcpyNodeGetParams(node, &given));
    std::printf("%d %d, extent %zu %zu %zu, pitches %zu %zu, kind %d\n", given.srcPtr.ptr == b, given.dstPtr.ptr == out,
                given.extent.width, given.extent.height, given.extent.depth, given.srcPtr.pitch, given.dstPtr.pitch,
                given.kind);
  }
  Launch(Instantiate(captured), stream);
  Print("out", out, 4);
}
