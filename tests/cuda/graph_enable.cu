// Nodes of an instantiated graph switched off and on, and attributes of kernel nodes.
#include "graph.h"

int main() {
  Order order;
  cudaGraph_t graph;
  NEED(cudaGraphCreate(&graph, 0));
  const auto a = AppendNode(graph, order.list, 1);
  const auto b = AppendNode(graph, order.list, 2, {a});
  AppendNode(graph, order.list, 3, {b});
  const auto exec = Instantiate(graph);
  unsigned enabled = 9;
  SHOW(cudaGraphNodeGetEnabled(exec, b, &enabled));
  Print("enabled", enabled);
  SHOW(cudaGraphNodeSetEnabled(exec, b, 0));
  SHOW(cudaGraphNodeGetEnabled(exec, b, &enabled));
  Print("enabled", enabled);
  Launch(exec);
  order.Take("without b");
  SHOW(cudaGraphNodeSetEnabled(exec, b, 1));
  Launch(exec);
  order.Take("with b");

  cudaLaunchAttributeValue value = {};
  value.priority = -1;
  SHOW(cudaGraphKernelNodeSetAttribute(a, cudaLaunchAttributePriority, &value));
  value = {};
  SHOW(cudaGraphKernelNodeGetAttribute(a, cudaLaunchAttributePriority, &value));
  Print("priority", value.priority);
  SHOW(cudaGraphKernelNodeCopyAttributes(b, a));
  value = {};
  SHOW(cudaGraphKernelNodeGetAttribute(b, cudaLaunchAttributePriority, &value));
  Print("priority", value.priority);
  unsigned long long flags = 9;
  SHOW(cudaGraphExecGetFlags(exec, &flags));
  Print("flags", flags);
  Launch(Instantiate(graph));
  order.Take("with attributes");
}
