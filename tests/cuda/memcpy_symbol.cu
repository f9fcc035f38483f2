// Copies to and from variables of the device by their symbol.
#include "check.h"

__constant__ int table[4] = {1, 2, 3, 4};
__device__ float numbers[4] = {0.5f, 1.5f, 2.5f, 3.5f};
__device__ int counter;

__global__ void Use(int* out) {
  out[threadIdx.x] = table[threadIdx.x] * static_cast<int>(2 * numbers[threadIdx.x]);
  atomicAdd(&counter, 1);
}

int main() {
  int* out = Device<int>(4);
  Use<<<1, 4>>>(out);
  Print("initial", Host(out, 4));
  const int constants[2] = {30, 40};
  SHOW(cudaMemcpyToSymbol(table, constants, sizeof constants, 2 * sizeof(int)));
  const float number = 10.5f;
  SHOW(cudaMemcpyToSymbolAsync(numbers, &number, sizeof number, 0, cudaMemcpyHostToDevice, nullptr));
  Use<<<1, 4>>>(out);
  Print("changed", Host(out, 4));
  int count = 0;
  SHOW(cudaMemcpyFromSymbol(&count, counter, sizeof count));
  Print("counter", count);
  float back[4];
  SHOW(cudaMemcpyFromSymbolAsync(back, numbers, sizeof back, 0, cudaMemcpyDeviceToHost, nullptr));
  SHOW(cudaDeviceSynchronize());
  Print("numbers", back, 4);

  void* address;
  size_t bytes;
  SHOW(cudaGetSymbolAddress(&address, numbers));
  SHOW(cudaGetSymbolSize(&bytes, numbers));
  Print("bytes", bytes);
  SHOW(cudaMemset(address, 0, bytes));
  Use<<<1, 4>>>(out);
  Print("zeroed", Host(out, 4));
  SHOW(cudaMemcpyToSymbol(table, constants, sizeof constants, 3 * sizeof(int)));  // past the end
  SHOW(cudaGetSymbolAddress(&address, &count));
  SHOW(cudaGetSymbolSize(&bytes, counter));
  Print("bytes", bytes);
}
