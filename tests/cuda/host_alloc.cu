// Pinned host memory: flags, its device address, and kernels that use it in place.
#include "check.h"

__global__ void Double(int* values) {
  values[threadIdx.x] *= 2;
}

int main() {
  int *plain, *mapped, *portable, *combined;
  SHOW(cudaHostAlloc(&plain, 64, cudaHostAllocDefault));
  SHOW(cudaHostAlloc(&mapped, 64, cudaHostAllocMapped));
  SHOW(cudaHostAlloc(&portable, 64, cudaHostAllocPortable));
  SHOW(cudaHostAlloc(&combined, 64, cudaHostAllocWriteCombined | cudaHostAllocMapped));
  for (int* memory : {plain, mapped, portable, combined}) {
    for (int i = 0; i < 16; ++i) memory[i] = i;
    int* device;
    SHOW(cudaHostGetDevicePointer(&device, memory, 0));
    Print("one address", device == memory);
    Double<<<1, 16>>>(device);
    SHOW(cudaDeviceSynchronize());
    Print("doubled", memory, 4);
    unsigned flags;
    SHOW(cudaHostGetFlags(&flags, memory));
    Print("flags", flags);
  }
  int* device;
  SHOW(cudaHostGetDevicePointer(&device, mapped + 3, 0));
  Print("inside too", device == mapped + 3);
  SHOW(cudaHostGetDevicePointer(&device, mapped, 1));
  int pageable[4];
  SHOW(cudaHostGetDevicePointer(&device, pageable, 0));
  SHOW(cudaHostAlloc(&plain, 64, 0x80));
  SHOW(cudaFreeHost(mapped));
  SHOW(cudaFreeHost(nullptr));
  SHOW(cudaFreeHost(pageable));
  SHOW(cudaMallocHost(&plain, 0));
  SHOW(cudaGetLastError());
}
