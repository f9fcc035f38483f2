// Copy and set nodes of two and three dimensions, and changed ones.
#include "graph.h"

int main() {
  int host[12], back[12] = {};
  for (int i = 0; i < 12; ++i) host[i] = i;
  int *device, *pinned;
  size_t pitch;
  NEED(cudaMallocPitch(&device, &pitch, 16, 3));
  NEED(cudaMemset2D(device, pitch, 0, 16, 3));
  NEED(cudaMallocHost(&pinned, 48));
  cudaGraph_t graph;
  NEED(cudaGraphCreate(&graph, 0));
  cudaMemcpy3DParms up = {};
  up.srcPtr = make_cudaPitchedPtr(host, 16, 4, 3);
  up.dstPtr = make_cudaPitchedPtr(device, pitch, 4, 3);
  up.extent = make_cudaExtent(16, 3, 1);
  up.kind = cudaMemcpyHostToDevice;
  cudaGraphNode_t copy, set, down;
  SHOW(cudaGraphAddMemcpyNode(&copy, graph, nullptr, 0, &up));
  cudaMemsetParams square = {};
  square.dst = device + 1;
  square.pitch = pitch;
  square.value = 0xff;
  square.elementSize = 1;
  square.width = 8;
  square.height = 2;
  SHOW(cudaGraphAddMemsetNode(&set, graph, &copy, 1, &square));
  cudaMemcpy3DParms out = up;
  out.srcPtr = up.dstPtr;
  out.dstPtr = make_cudaPitchedPtr(pinned, 16, 4, 3);
  out.kind = cudaMemcpyDeviceToHost;
  SHOW(cudaGraphAddMemcpyNode(&down, graph, &set, 1, &out));
  const auto exec = Instantiate(graph);
  Launch(exec);
  Print("pinned", pinned, 12);
  square.value = 1;
  square.height = 1;
  SHOW(cudaGraphExecMemsetNodeSetParams(exec, set, &square));
  Launch(exec);
  Print("pinned", pinned, 12);
  SHOW(cudaGraphExecMemcpyNodeSetParams1D(exec, down, back, device, 16, cudaMemcpyDeviceToHost));
  SHOW(cudaGetLastError());
  cudaMemcpy3DParms given = {};
  SHOW(cudaGraphMemcpyNodeGetParams(copy, &given));
  Print("extent", std::vector<size_t>{given.extent.width, given.extent.height, given.extent.depth});
  Print("source", given.srcPtr.ptr == host);
}
