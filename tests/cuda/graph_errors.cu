// What may not happen while a stream captures, and captures that come to nothing.
#include "graph.h"

int main() {
  Order order;
  PRELOAD(Append);
  cudaStream_t stream, other;
  NEED(cudaStreamCreate(&stream));
  NEED(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
  cudaGraph_t graph = nullptr;
  SHOW(cudaStreamEndCapture(stream, &graph));
  SHOW(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeGlobal));

  SHOW(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
  SHOW(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
  SHOW(cudaStreamEndCapture(stream, &graph));

  SHOW(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
  SHOW(cudaStreamQuery(stream));
  SHOW(cudaStreamEndCapture(stream, &graph));
  Print("no graph", graph == nullptr);
  SHOW(cudaGetLastError());

  SHOW(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  void* memory;
  SHOW(cudaMalloc(&memory, 16));  // not safe under a global capture
  SHOW(cudaStreamEndCapture(stream, &graph));

  SHOW(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
  SHOW(cudaMalloc(&memory, 16));
  Append<<<1, 1, 0, nullptr>>>(order.list, 1);  // the legacy stream would wait for the capture
  SHOW(cudaGetLastError());
  SHOW(cudaStreamEndCapture(stream, &graph));
  SHOW(cudaGetLastError());

  // A fork that is not joined.
  cudaEvent_t event;
  NEED(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  SHOW(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
  SHOW(cudaEventRecord(event, stream));
  SHOW(cudaEventQuery(event));
  SHOW(cudaStreamEndCapture(stream, &graph));
  SHOW(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
  SHOW(cudaEventRecord(event, stream));
  SHOW(cudaStreamWaitEvent(other, event));
  Append<<<1, 1, 0, other>>>(order.list, 2);
  SHOW(cudaStreamEndCapture(stream, &graph));
  SHOW(cudaGetLastError());
  Append<<<1, 1, 0, stream>>>(order.list, 3);
  SHOW(cudaDeviceSynchronize());
  order.Take("only what was not captured");
}
