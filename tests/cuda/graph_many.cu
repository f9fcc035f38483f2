// A graph of many nodes, launched many times, and many graphs.
#include "graph.h"

__global__ void Add(int* to, int value) {
  *to += value;
}

int main() {
  int* memory = Device<int>(1);
  cudaStream_t stream;
  NEED(cudaStreamCreate(&stream));
  cudaGraph_t graph;
  NEED(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  for (int i = 1; i <= 200; ++i) Add<<<1, 1, 0, stream>>>(memory, i);
  SHOW(cudaStreamEndCapture(stream, &graph));
  size_t nodes = 0;
  NEED(cudaGraphGetNodes(graph, nullptr, &nodes));
  Print("nodes", nodes);
  const auto exec = Instantiate(graph);
  for (int i = 0; i < 100; ++i) NEED(cudaGraphLaunch(exec, stream));
  SHOW(cudaStreamSynchronize(stream));
  Print("memory", Host(memory, 1));
  for (int i = 0; i < 50; ++i) {
    cudaGraph_t small;
    NEED(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    Add<<<1, 1, 0, stream>>>(memory, 1);
    NEED(cudaStreamEndCapture(stream, &small));
    const auto once = Instantiate(small);
    NEED(cudaGraphLaunch(once, stream));
    NEED(cudaGraphExecDestroy(once));  // while it runs
    NEED(cudaGraphDestroy(small));
  }
  SHOW(cudaStreamSynchronize(stream));
  Print("memory", Host(memory, 1));
}
