// A stream's work captured as a graph: nothing runs while it is captured, and all of it at each launch.
#include "graph.h"

int main() {
  Order order;
  PRELOAD(Append);
  cudaStream_t stream;
  NEED(cudaStreamCreate(&stream));
  cudaStreamCaptureStatus status;
  SHOW(cudaStreamIsCapturing(stream, &status));
  Print("status", status);
  SHOW(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  SHOW(cudaStreamIsCapturing(stream, &status));
  Print("status", status);
  for (int i = 1; i <= 3; ++i) Append<<<1, 1, 0, stream>>>(order.list, i);
  SHOW(cudaGetLastError());
  unsigned long long id = 0;
  SHOW(cudaStreamGetCaptureInfo(stream, &status, &id));
  Print("has an id", id != 0);
  cudaGraph_t graph;
  SHOW(cudaStreamEndCapture(stream, &graph));
  order.Take("before a launch");
  size_t nodes = 0;
  SHOW(cudaGraphGetNodes(graph, nullptr, &nodes));
  Print("nodes", nodes);
  cudaGraphExec_t exec;
  SHOW(cudaGraphInstantiate(&exec, graph, 0));
  SHOW(cudaGraphDestroy(graph));
  for (int i = 0; i < 3; ++i) SHOW(cudaGraphLaunch(exec, stream));
  SHOW(cudaStreamSynchronize(stream));
  order.Take("after three");
  SHOW(cudaGraphUpload(exec, stream));
  SHOW(cudaGraphLaunch(exec, nullptr));
  SHOW(cudaDeviceSynchronize());
  order.Take("after another");
  SHOW(cudaGraphExecDestroy(exec));
}
