// The runtime linked statically, as most programs have it.
#include "check.h"

__global__ void Square(int* values) {
  values[threadIdx.x] *= values[threadIdx.x];
}

int main() {
  int* values = Device(std::vector<int>{1, 2, 3, 4, 5});
  Square<<<1, 5>>>(values);
  SHOW(cudaDeviceSynchronize());
  Print("values", Host(values, 5));
  int count = 0;
  SHOW(cudaGetDeviceCount(&count));
  SHOW(cudaSetDevice(0));
  SHOW(cudaFree(values));
  SHOW(cudaDeviceReset());
  SHOW(cudaMalloc(&values, 4));
}
