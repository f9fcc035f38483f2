// Event nodes: a graph that records an event, and one that waits for an event of another stream.
#include "gate.h"
#include "graph.h"

int main() {
  PRELOAD(Append);
  Order order;
  cudaStream_t a, b;
  NEED(cudaStreamCreateWithFlags(&a, cudaStreamNonBlocking));
  NEED(cudaStreamCreateWithFlags(&b, cudaStreamNonBlocking));
  cudaEvent_t done, begin, other;
  NEED(cudaEventCreate(&done));
  NEED(cudaEventCreate(&begin));
  NEED(cudaEventCreate(&other));
  cudaGraph_t graph;
  NEED(cudaGraphCreate(&graph, 0));
  cudaGraphNode_t wait, record;
  SHOW(cudaGraphAddEventWaitNode(&wait, graph, nullptr, 0, begin));
  const auto append = AppendNode(graph, order.list, 2, {wait});
  SHOW(cudaGraphAddEventRecordNode(&record, graph, &append, 1, done));
  cudaEvent_t given;
  SHOW(cudaGraphEventWaitNodeGetEvent(wait, &given));
  Print("waits for", given == begin);
  SHOW(cudaGraphEventRecordNodeGetEvent(record, &given));
  Print("records", given == done);
  const auto exec = Instantiate(graph);
  SHOW(cudaGraphUpload(exec, b));
  NEED(cudaDeviceSynchronize());

  Gate gate;
  gate.CloseOn(a);
  Append<<<1, 1, 0, a>>>(order.list, 1);
  SHOW(cudaEventRecord(begin, a));
  SHOW(cudaGraphLaunch(exec, b));
  SHOW(cudaStreamQuery(b));
  gate.Open();
  SHOW(cudaStreamSynchronize(b));
  SHOW(cudaEventQuery(done));
  order.Take("order");
  SHOW(cudaGraphExecEventRecordNodeSetEvent(exec, record, other));
  Launch(exec, b);
  SHOW(cudaEventQuery(other));
  float milliseconds;
  SHOW(cudaEventElapsedTime(&milliseconds, done, other));
  Print("later", milliseconds > 0);
}
