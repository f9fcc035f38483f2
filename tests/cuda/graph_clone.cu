// Clones, and child graphs inside of graphs.
#include "graph.h"

int main() {
  Order order;
  cudaGraph_t inner, clone, outer;
  NEED(cudaGraphCreate(&inner, 0));
  const auto a = AppendNode(inner, order.list, 1);
  AppendNode(inner, order.list, 2, {a});
  SHOW(cudaGraphClone(&clone, inner));
  cudaGraphNode_t in_clone;
  SHOW(cudaGraphNodeFindInClone(&in_clone, a, clone));
  Print("another node", in_clone != a);
  AppendNode(inner, order.list, 3, {a});  // not in the clone
  Launch(Instantiate(clone));
  order.Take("clone");

  NEED(cudaGraphCreate(&outer, 0));
  const auto first = AppendNode(outer, order.list, 100);
  cudaGraphNode_t child, second;
  SHOW(cudaGraphAddChildGraphNode(&child, outer, &first, 1, clone));
  SHOW(cudaGraphAddChildGraphNode(&second, outer, &child, 1, clone));
  AppendNode(outer, order.list, 200, {second});
  cudaGraph_t embedded;
  SHOW(cudaGraphChildGraphNodeGetGraph(child, &embedded));
  size_t nodes = 0;
  SHOW(cudaGraphGetNodes(embedded, nullptr, &nodes));
  Print("nodes of the child", nodes);
  const auto exec = Instantiate(outer);
  SHOW(cudaGraphDestroy(clone));  // the child is a copy
  Launch(exec);
  order.Take("outer");
  SHOW(cudaGraphDestroy(outer));
  SHOW(cudaGraphDestroy(inner));
  Launch(exec);
  order.Take("after the graphs are gone");
}
