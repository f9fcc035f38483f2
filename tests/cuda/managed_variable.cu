// __managed__ variables: one name in the program and in kernels.
#include "check.h"

__managed__ int counter = 5;
__managed__ float table[4] = {1, 2, 3, 4};
__managed__ int* pointer;

__global__ void Use() {
  atomicAdd(&counter, 1);
  table[threadIdx.x] *= 10;
  if (pointer != nullptr && threadIdx.x == 0) *pointer = counter;
}

int main() {
  Print("counter", counter);
  Use<<<1, 4>>>();
  SHOW(cudaDeviceSynchronize());
  Print("counter", counter);
  Print("table", table, 4);
  counter = 100;
  pointer = Device<int>(1);
  Use<<<1, 4>>>();
  SHOW(cudaDeviceSynchronize());
  Print("counter", counter);
  Print("was seen", Host(pointer, 1)[0] >= 101);
  cudaPointerAttributes attributes;
  SHOW(cudaPointerGetAttributes(&attributes, &counter));
  Print("type", attributes.type);
}
