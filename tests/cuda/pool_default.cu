// Stream-ordered allocation from the device's default pool.
#include "check.h"

__global__ void Fill(int* to, int value) {
  to[threadIdx.x] = value + threadIdx.x;
}

int main() {
  int supported = 0;
  NEED(cudaDeviceGetAttribute(&supported, cudaDevAttrMemoryPoolsSupported, 0));
  Print("supported", supported);
  cudaMemPool_t pool, current;
  SHOW(cudaDeviceGetDefaultMemPool(&pool, 0));
  SHOW(cudaDeviceGetMemPool(&current, 0));
  Print("default is current", pool == current);
  cudaStream_t stream;
  NEED(cudaStreamCreate(&stream));
  int* memory;
  SHOW(cudaMallocAsync(&memory, 32 * sizeof(int), stream));
  Fill<<<1, 32, 0, stream>>>(memory, 100);
  int back[32];
  SHOW(cudaMemcpyAsync(back, memory, sizeof back, cudaMemcpyDeviceToHost, stream));
  SHOW(cudaFreeAsync(memory, stream));
  SHOW(cudaStreamSynchronize(stream));
  Print("first", back[0]);
  Print("last", back[31]);

  SHOW(cudaMallocAsync(&memory, 4 << 20, stream));
  SHOW(cudaMemsetAsync(memory, 1, 4 << 20, stream));
  SHOW(cudaMemcpyAsync(back, memory + 1000, sizeof back, cudaMemcpyDeviceToHost, stream));
  SHOW(cudaStreamSynchronize(stream));
  Print("set", back[5]);
  SHOW(cudaFree(memory));  // also frees what a pool gave
  SHOW(cudaMallocAsync(&memory, 0, stream));
  SHOW(cudaMallocAsync(&memory, size_t{1} << 42, stream));
  SHOW(cudaGetLastError());
  SHOW(cudaFreeAsync(nullptr, stream));
  SHOW(cudaDeviceSynchronize());
}
