// What the graph programs share: a list on the device that kernels append to, so that the order of nodes can be seen.
#pragma once

#include "check.h"

static __global__ void Append(int* list, int value) {
  const int at = atomicAdd(list, 1);
  list[1 + at] = value;
}

struct Order {
  int* list = Device<int>(64);
  // The values appended since the last call.
  void Take(const char* what) {
    const auto values = Host(list, 64);
    Print(what, values.data() + 1, values[0]);
    NEED(cudaMemset(list, 0, 64 * sizeof(int)));
  }
};

// Adds a kernel node that appends `value`.
inline cudaGraphNode_t AppendNode(cudaGraph_t graph, int* list, int value,
                                  const std::vector<cudaGraphNode_t>& after = {}) {
  void* arguments[] = {&list, &value};
  cudaKernelNodeParams parameters = {};
  parameters.func = reinterpret_cast<void*>(Append);
  parameters.gridDim = dim3(1);
  parameters.blockDim = dim3(1);
  parameters.kernelParams = arguments;
  cudaGraphNode_t node;
  NEED(cudaGraphAddKernelNode(&node, graph, after.data(), after.size(), &parameters));
  return node;
}

inline cudaGraphExec_t Instantiate(cudaGraph_t graph) {
  cudaGraphExec_t exec;
  NEED(cudaGraphInstantiate(&exec, graph, 0));
  return exec;
}

inline void Launch(cudaGraphExec_t exec, cudaStream_t stream = nullptr) {
  NEED(cudaGraphLaunch(exec, stream));
  NEED(cudaStreamSynchronize(stream));
}
