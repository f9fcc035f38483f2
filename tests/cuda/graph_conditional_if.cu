// Conditional nodes: a body that runs if a kernel of the graph says so.
#include "graph.h"

__global__ void Decide(cudaGraphConditionalHandle handle, const int* input) {
  cudaGraphSetConditional(handle, *input > 10);
}

int main() {
  Order order;
  int* input = Device<int>(1);
  cudaGraph_t graph;
  NEED(cudaGraphCreate(&graph, 0));
  cudaGraphConditionalHandle handle;
  SHOW(cudaGraphConditionalHandleCreate(&handle, graph, 0, 0));
  void* arguments[] = {&handle, &input};
  cudaGraphNodeParams parameters = {};
  parameters.type = cudaGraphNodeTypeKernel;
  parameters.kernel.func = reinterpret_cast<void*>(Decide);
  parameters.kernel.gridDim = dim3(1);
  parameters.kernel.blockDim = dim3(1);
  parameters.kernel.kernelParams = arguments;
  cudaGraphNode_t decide, conditional;
  SHOW(cudaGraphAddNode(&decide, graph, nullptr, nullptr, 0, &parameters));
  parameters = {};
  parameters.type = cudaGraphNodeTypeConditional;
  parameters.conditional.handle = handle;
  parameters.conditional.type = cudaGraphCondTypeIf;
  parameters.conditional.size = 1;
  SHOW(cudaGraphAddNode(&conditional, graph, &decide, nullptr, 1, &parameters));
  AppendNode(parameters.conditional.phGraph_out[0], order.list, 5);
  AppendNode(graph, order.list, 6, {conditional});
  const auto exec = Instantiate(graph);
  for (const int value : {3, 30, 4}) {
    NEED(cudaMemcpy(input, &value, sizeof value, cudaMemcpyHostToDevice));
    Launch(exec);
    order.Take("with this input");
  }
}
