// A while node: its body runs until a kernel of the body ends it.
#include "graph.h"

__global__ void CountDown(cudaGraphConditionalHandle handle, int* left, int* list) {
  list[1 + list[0]++] = *left;
  cudaGraphSetConditional(handle, --*left > 0);
}

int main() {
  Order order;
  int* left = Device<int>(1);
  cudaGraph_t graph;
  NEED(cudaGraphCreate(&graph, 0));
  cudaGraphConditionalHandle handle;
  SHOW(cudaGraphConditionalHandleCreate(&handle, graph, 1, cudaGraphCondAssignDefault));
  cudaGraphNodeParams parameters = {};
  parameters.type = cudaGraphNodeTypeConditional;
  parameters.conditional.handle = handle;
  parameters.conditional.type = cudaGraphCondTypeWhile;
  parameters.conditional.size = 1;
  cudaGraphNode_t loop, node;
  SHOW(cudaGraphAddNode(&loop, graph, nullptr, nullptr, 0, &parameters));
  const cudaGraph_t body = parameters.conditional.phGraph_out[0];
  void* arguments[] = {&handle, &left, &order.list};
  cudaKernelNodeParams kernel = {};
  kernel.func = reinterpret_cast<void*>(CountDown);
  kernel.gridDim = dim3(1);
  kernel.blockDim = dim3(1);
  kernel.kernelParams = arguments;
  SHOW(cudaGraphAddKernelNode(&node, body, nullptr, 0, &kernel));
  const auto exec = Instantiate(graph);
  for (const int times : {5, 1, 8}) {
    NEED(cudaMemcpy(left, &times, sizeof times, cudaMemcpyHostToDevice));
    Launch(exec);
    order.Take("rounds");
  }
}
