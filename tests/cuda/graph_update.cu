// An instantiated graph changed: one node's arguments, and the whole by another graph of the same shape.
#include "graph.h"

cudaGraph_t Chain(int* list, int first, int count) {
  cudaGraph_t graph;
  NEED(cudaGraphCreate(&graph, 0));
  std::vector<cudaGraphNode_t> after;
  for (int i = 0; i < count; ++i) after = {AppendNode(graph, list, first + i, after)};
  return graph;
}

int main() {
  Order order;
  const cudaGraph_t graph = Chain(order.list, 1, 3);
  const cudaGraphExec_t exec = Instantiate(graph);
  Launch(exec);
  order.Take("first");

  size_t count = 3;
  cudaGraphNode_t nodes[3];
  NEED(cudaGraphGetNodes(graph, nodes, &count));
  int value = 77;
  void* arguments[] = {&order.list, &value};
  cudaKernelNodeParams parameters = {};
  NEED(cudaGraphKernelNodeGetParams(nodes[1], &parameters));
  parameters.kernelParams = arguments;
  SHOW(cudaGraphExecKernelNodeSetParams(exec, nodes[1], &parameters));
  Launch(exec);
  order.Take("one node");
  Launch(Instantiate(graph));
  order.Take("the graph is as it was");
  SHOW(cudaGraphKernelNodeSetParams(nodes[0], &parameters));
  Launch(Instantiate(graph));
  order.Take("now it is not");

  cudaGraphExecUpdateResultInfo info = {};
  SHOW(cudaGraphExecUpdate(exec, Chain(order.list, 10, 3), &info));
  Print("result", info.result);
  Launch(exec);
  order.Take("updated");
  SHOW(cudaGraphExecUpdate(exec, Chain(order.list, 20, 4), &info));
  Print("result", info.result);
  SHOW(cudaGetLastError());
  Launch(exec);
  order.Take("still as before");
}
