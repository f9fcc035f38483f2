// A kernel that writes where nothing is: the error stays, whatever is called afterwards.
#include "check.h"

__global__ void Write(int* to) {
  *to = 1;
}

int main() {
  int* memory = Device<int>(1);
  cudaStream_t stream;
  NEED(cudaStreamCreate(&stream));
  Write<<<1, 1, 0, stream>>>(memory);
  SHOW(cudaStreamSynchronize(stream));
  Write<<<1, 1, 0, stream>>>(reinterpret_cast<int*>(0x10));
  SHOW(cudaStreamSynchronize(stream));
  SHOW(cudaGetLastError());
  SHOW(cudaGetLastError());
  SHOW(cudaDeviceSynchronize());
  int value;
  SHOW(cudaMemcpy(&value, memory, sizeof value, cudaMemcpyDeviceToHost));
  void* more;
  SHOW(cudaMalloc(&more, 16));
  Write<<<1, 1>>>(memory);
  SHOW(cudaGetLastError());
  SHOW(cudaStreamQuery(stream));
  SHOW(cudaFree(memory));
  int device;
  SHOW(cudaGetDevice(&device));
}
