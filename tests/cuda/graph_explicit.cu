// A graph built node by node: kernels, copies, sets, host functions and empty nodes, with its topology read back.
#include "graph.h"

void CUDART_CB Say(void* text) {
  std::printf("host: %s\n", static_cast<const char*>(text));
}

int main() {
  Order order;
  int* device = Device<int>(4);
  int host[4] = {1, 2, 3, 4}, back[4] = {};
  cudaGraph_t graph;
  SHOW(cudaGraphCreate(&graph, 0));

  cudaGraphNode_t up, set, say, down, empty;
  SHOW(cudaGraphAddMemcpyNode1D(&up, graph, nullptr, 0, device, host, sizeof host, cudaMemcpyHostToDevice));
  cudaMemsetParams zero = {};
  zero.dst = device + 1;
  zero.value = 50;
  zero.elementSize = 4;
  zero.width = 1;
  zero.height = 1;
  SHOW(cudaGraphAddMemsetNode(&set, graph, &up, 1, &zero));
  cudaHostNodeParams function = {Say, const_cast<char*>("between")};
  SHOW(cudaGraphAddHostNode(&say, graph, &set, 1, &function));
  SHOW(cudaGraphAddMemcpyNode1D(&down, graph, &say, 1, back, device, sizeof back, cudaMemcpyDeviceToHost));
  SHOW(cudaGraphAddEmptyNode(&empty, graph, &down, 1));
  const auto last = AppendNode(graph, order.list, 9, {empty});

  for (const auto node : {up, set, say, down, empty, last}) {
    cudaGraphNodeType type;
    NEED(cudaGraphNodeGetType(node, &type));
    size_t before = 0, after = 0;
    NEED(cudaGraphNodeGetDependencies(node, nullptr, nullptr, &before));
    NEED(cudaGraphNodeGetDependentNodes(node, nullptr, nullptr, &after));
    std::printf("type %d, %zu before, %zu after\n", type, before, after);
  }
  cudaMemsetParams given = {};
  SHOW(cudaGraphMemsetNodeGetParams(set, &given));
  Print("value", given.value);
  cudaKernelNodeParams kernel = {};
  SHOW(cudaGraphKernelNodeGetParams(last, &kernel));
  Print("is the kernel", kernel.func == reinterpret_cast<void*>(Append));
  Print("its argument", *static_cast<int*>(kernel.kernelParams[1]));
  cudaHostNodeParams host_given = {};
  SHOW(cudaGraphHostNodeGetParams(say, &host_given));
  Print("is the function", host_given.fn == Say);

  const auto exec = Instantiate(graph);
  Launch(exec);
  Print("back", back, 4);
  host[0] = 100;  // read at each launch
  Launch(exec);
  Print("back", back, 4);
  order.Take("kernels");
}
