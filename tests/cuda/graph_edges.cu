// Dependencies added, removed and refused; nodes destroyed; a diamond's order.
#include "graph.h"

int main() {
  Order order;
  cudaGraph_t graph;
  NEED(cudaGraphCreate(&graph, 0));
  const auto a = AppendNode(graph, order.list, 1);
  const auto b = AppendNode(graph, order.list, 2);
  const auto c = AppendNode(graph, order.list, 3);
  const auto d = AppendNode(graph, order.list, 4);
  const cudaGraphNode_t from[] = {d, c, b}, to[] = {c, b, a};
  SHOW(cudaGraphAddDependencies(graph, from, to, nullptr, 3));
  Launch(Instantiate(graph));
  order.Take("backwards");
  size_t count = 3;
  cudaGraphNode_t read_from[3], read_to[3];
  SHOW(cudaGraphGetEdges(graph, read_from, read_to, nullptr, &count));
  Print("edges", count);
  SHOW(cudaGraphRemoveDependencies(graph, &from[1], &to[1], nullptr, 1));  // c -> b
  SHOW(cudaGraphAddDependencies(graph, &a, &d, nullptr, 1));               // b -> a -> d -> c
  Launch(Instantiate(graph));
  order.Take("turned");
  SHOW(cudaGraphAddDependencies(graph, &c, &b, nullptr, 1));  // a cycle
  cudaGraphExec_t exec;
  SHOW(cudaGraphInstantiate(&exec, graph, 0));
  SHOW(cudaGraphRemoveDependencies(graph, &c, &b, nullptr, 1));
  SHOW(cudaGraphDestroyNode(d));
  count = 0;
  SHOW(cudaGraphGetEdges(graph, nullptr, nullptr, nullptr, &count));
  Print("edges", count);
  SHOW(cudaGraphAddDependencies(graph, &a, &c, nullptr, 1));
  Launch(Instantiate(graph));
  order.Take("without d");
  SHOW(cudaGraphAddDependencies(graph, &a, &a, nullptr, 1));
  SHOW(cudaGetLastError());
}
