// Launches that cannot be: too many threads, empty grids and blocks, too much shared memory. None of them is sticky.
#include "check.h"

__global__ void Nothing() {}
__global__ void __launch_bounds__(64) Bounded(int* to) {
  if (threadIdx.x == 0) *to = blockDim.x;
}

int main() {
  int* memory = Device<int>(1);
  Nothing<<<1, 1025>>>();
  SHOW(cudaGetLastError());
  Nothing<<<0, 1>>>();
  SHOW(cudaGetLastError());
  Nothing<<<1, 0>>>();
  SHOW(cudaGetLastError());
  Nothing<<<dim3(1, 65536, 1), 1>>>();
  SHOW(cudaGetLastError());
  Nothing<<<dim3(1, 1, 65536), 1>>>();
  SHOW(cudaGetLastError());
  Nothing<<<1, dim3(1, 1, 65)>>>();
  SHOW(cudaGetLastError());
  Nothing<<<1, dim3(32, 33, 1)>>>();
  SHOW(cudaGetLastError());
  Nothing<<<1, 1, 49153>>>();
  SHOW(cudaGetLastError());
  Nothing<<<1, 1, 1 << 20>>>();
  SHOW(cudaGetLastError());
  Bounded<<<1, 65>>>(memory);
  SHOW(cudaGetLastError());
  SHOW(cudaDeviceSynchronize());
  Bounded<<<1, 64>>>(memory);
  SHOW(cudaGetLastError());
  Nothing<<<dim3(1, 65535, 1), dim3(1, 1, 64)>>>();
  SHOW(cudaGetLastError());
  SHOW(cudaDeviceSynchronize());
  Print("threads", Host(memory, 1));
}
