// Graphs with host functions and copies of pageable memory, made, launched and destroyed: more than may exist at a time.
#include "graph.h"

namespace {

constexpr int kGraphs = 2100, kFunctions = 128;  // 268 800 functions, of which every sixteenth graph's run

int ran = 0;

void CUDART_CB Count(void* by) {
  ran += *static_cast<int*>(by);
}

}  // namespace

int main() {
  int* device = Device<int>(1);
  int one = 1, in = 0, out = 0, wrong = 0;
  cudaStream_t stream;
  NEED(cudaStreamCreate(&stream));
  const cudaHostNodeParams function = {Count, &one};
  for (int i = 0; i < kGraphs; ++i) {
    cudaGraph_t graph;
    NEED(cudaGraphCreate(&graph, 0));
    cudaGraphNode_t node, before;
    NEED(cudaGraphAddMemcpyNode1D(&before, graph, nullptr, 0, device, &in, 4, cudaMemcpyHostToDevice));
    for (int k = 0; k < kFunctions; ++k, before = node)
      NEED(cudaGraphAddHostNode(&node, graph, &before, 1, &function));
    NEED(cudaGraphAddMemcpyNode1D(&node, graph, &before, 1, &out, device, 4, cudaMemcpyDeviceToHost));
    in = i;
    const auto exec = Instantiate(graph);
    NEED(cudaGraphDestroy(graph));
    const bool launched = i % 16 == 0;
    if (launched) NEED(cudaGraphLaunch(exec, stream));
    NEED(cudaGraphExecDestroy(exec));  // while it runs
    NEED(cudaStreamSynchronize(stream));
    wrong += launched && out != i;
  }
  Print("functions that ran", ran);
  Print("wrong copies", wrong);

  // Functions that replace others, in an executable and in a graph.
  cudaGraph_t graph;
  cudaGraphNode_t node;
  NEED(cudaGraphCreate(&graph, 0));
  NEED(cudaGraphAddHostNode(&node, graph, nullptr, 0, &function));
  const auto exec = Instantiate(graph);
  for (int i = 0; i < 8192; ++i) {
    NEED(cudaGraphExecHostNodeSetParams(exec, node, &function));
    NEED(cudaGraphHostNodeSetParams(node, &function));
  }
  ran = 0;
  Launch(exec);
  Print("functions that ran", ran);

  // Streams that capture.
  for (int i = 0; i < kGraphs; ++i) {
    NEED(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
    for (int k = 0; k < 4; ++k) NEED(cudaLaunchHostFunc(stream, Count, &one));
    cudaGraph_t captured;
    NEED(cudaStreamEndCapture(stream, &captured));
    if (i % 100 == 0) Launch(Instantiate(captured), stream);
    NEED(cudaGraphDestroy(captured));
  }
  Print("functions that ran", ran);
}
