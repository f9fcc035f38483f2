// Dynamic shared memory, within the default limit and beyond it after opting in.
#include "check.h"

__global__ void Reverse(int* values, int count) {
  extern __shared__ int shared[];
  for (int i = threadIdx.x; i < count; i += blockDim.x) shared[i] = values[i];
  __syncthreads();
  for (int i = threadIdx.x; i < count; i += blockDim.x) values[i] = shared[count - 1 - i];
}

void Run(int count) {
  std::vector<int> values(count);
  for (int i = 0; i < count; ++i) values[i] = i;
  int* device = Device(values);
  Reverse<<<1, 128, count * sizeof(int)>>>(device, count);
  if (SHOW(cudaGetLastError()) != cudaSuccess) return;
  Print("first", Host(device, 1));
}

int main() {
  int optin, standard;
  SHOW(cudaDeviceGetAttribute(&standard, cudaDevAttrMaxSharedMemoryPerBlock, 0));
  SHOW(cudaDeviceGetAttribute(&optin, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0));
  Print("standard", standard);
  Print("more by opting in", optin > standard);
  Run(100);
  Run(12 * 1024);  // 48 KiB
  Run(12 * 1024 + 1);
  SHOW(cudaFuncSetAttribute(Reverse, cudaFuncAttributeMaxDynamicSharedMemorySize, 60 * 1024));
  Run(12 * 1024 + 1);
  Run(15 * 1024);
  Run(15 * 1024 + 1);
  SHOW(cudaFuncSetAttribute(Reverse, cudaFuncAttributeMaxDynamicSharedMemorySize, optin + 1));
  SHOW(cudaGetLastError());
  cudaFuncAttributes attributes;
  SHOW(cudaFuncGetAttributes(&attributes, Reverse));
  Print("limit", attributes.maxDynamicSharedSizeBytes);
  Print("static", attributes.sharedSizeBytes);
}
