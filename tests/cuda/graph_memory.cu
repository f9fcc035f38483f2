// Memory that a graph allocates and frees, by nodes and by capture.
#include "graph.h"

__global__ void Fill(int* to, int value) {
  to[threadIdx.x] = value + threadIdx.x;
}
__global__ void Sum(const int* from, int* sum) {
  int all = 0;
  for (int i = 0; i < 32; ++i) all += from[i];
  *sum = all;
}

int main() {
  int* sum = Device<int>(1);
  cudaStream_t stream;
  NEED(cudaStreamCreate(&stream));
  SHOW(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
  int* memory;
  SHOW(cudaMallocAsync(&memory, 32 * sizeof(int), stream));
  Fill<<<1, 32, 0, stream>>>(memory, 3);
  Sum<<<1, 1, 0, stream>>>(memory, sum);
  SHOW(cudaFreeAsync(memory, stream));
  cudaGraph_t graph;
  SHOW(cudaStreamEndCapture(stream, &graph));
  size_t nodes = 0;
  SHOW(cudaGraphGetNodes(graph, nullptr, &nodes));
  Print("nodes", nodes);
  const auto exec = Instantiate(graph);
  for (int i = 0; i < 3; ++i) Launch(exec, stream);
  Print("sum", Host(sum, 1));
  cudaGraph_t clone;
  SHOW(cudaGraphClone(&clone, graph));  // not with nodes that allocate
  SHOW(cudaGetLastError());

  cudaGraph_t built;
  NEED(cudaGraphCreate(&built, 0));
  cudaMemAllocNodeParams allocate = {};
  allocate.poolProps.allocType = cudaMemAllocationTypePinned;
  allocate.poolProps.location.type = cudaMemLocationTypeDevice;
  allocate.bytesize = 1 << 16;
  cudaGraphNode_t node, release;
  SHOW(cudaGraphAddMemAllocNode(&node, built, nullptr, 0, &allocate));
  Print("an address", allocate.dptr != nullptr);
  cudaMemsetParams zero = {};
  zero.dst = allocate.dptr;
  zero.elementSize = 4;
  zero.width = 64;
  zero.height = 1;
  cudaGraphNode_t clear;
  SHOW(cudaGraphAddMemsetNode(&clear, built, &node, 1, &zero));
  const auto append = AppendNode(built, static_cast<int*>(allocate.dptr), 4, {clear});
  SHOW(cudaGraphAddMemFreeNode(&release, built, &append, 1, allocate.dptr));
  void* freed = nullptr;
  SHOW(cudaGraphMemFreeNodeGetParams(release, &freed));
  Print("of the same", freed == allocate.dptr);
  const auto both = Instantiate(built);
  SHOW(cudaGraphLaunch(both, stream));
  SHOW(cudaStreamSynchronize(stream));
  uint64_t used = 1;
  SHOW(cudaDeviceGetGraphMemAttribute(0, cudaGraphMemAttrUsedMemCurrent, &used));
  Print("used", used);
  SHOW(cudaDeviceGraphMemTrim(0));
}
