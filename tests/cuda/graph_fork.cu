// A capture that forks to a second stream by events and joins again.
#include "graph.h"

__global__ void Join(const int* a, const int* b, int* out) {
  *out = *a * 100 + *b;
}
__global__ void Set(int* to, int value) {
  *to = value;
}

int main() {
  int* memory = Device<int>(3);
  cudaStream_t a, b;
  NEED(cudaStreamCreate(&a));
  NEED(cudaStreamCreate(&b));
  cudaEvent_t fork, join;
  NEED(cudaEventCreateWithFlags(&fork, cudaEventDisableTiming));
  NEED(cudaEventCreateWithFlags(&join, cudaEventDisableTiming));
  cudaGraph_t graph;
  SHOW(cudaStreamBeginCapture(a, cudaStreamCaptureModeThreadLocal));
  SHOW(cudaMemsetAsync(memory, 0, 12, a));
  SHOW(cudaEventRecord(fork, a));
  SHOW(cudaStreamWaitEvent(b, fork));
  Set<<<1, 1, 0, a>>>(memory, 7);
  Set<<<1, 1, 0, b>>>(memory + 1, 8);
  cudaStreamCaptureStatus status;
  SHOW(cudaStreamIsCapturing(b, &status));
  Print("b captures", status);
  SHOW(cudaEventRecord(join, b));
  SHOW(cudaStreamWaitEvent(a, join));
  Join<<<1, 1, 0, a>>>(memory, memory + 1, memory + 2);
  SHOW(cudaStreamEndCapture(a, &graph));
  size_t nodes = 0, edges = 0, roots = 0;
  SHOW(cudaGraphGetNodes(graph, nullptr, &nodes));
  SHOW(cudaGraphGetEdges(graph, nullptr, nullptr, nullptr, &edges));
  SHOW(cudaGraphGetRootNodes(graph, nullptr, &roots));
  std::printf("%zu nodes, %zu edges, %zu roots\n", nodes, edges, roots);
  Launch(Instantiate(graph), a);
  Print("memory", Host(memory, 3));
}
