// Attributes of functions, and those that can be set.
#include "check.h"

__global__ void __launch_bounds__(128) Kernel(int* to) {
  __shared__ int shared[100];
  shared[threadIdx.x % 100] = threadIdx.x;
  __syncthreads();
  to[threadIdx.x] = shared[(threadIdx.x + 1) % 100];
}
__constant__ int used[10];
__global__ void Constant(int* to) {
  *to = used[threadIdx.x];
}

int main() {
  cudaFuncAttributes attributes;
  SHOW(cudaFuncGetAttributes(&attributes, Kernel));
  Print("shared", attributes.sharedSizeBytes);
  Print("threads", attributes.maxThreadsPerBlock);
  Print("local", attributes.localSizeBytes);
  Print("registers", attributes.numRegs > 0);
  Print("versions", attributes.ptxVersion >= 75 && attributes.binaryVersion >= 75);
  Print("dynamic", attributes.maxDynamicSharedSizeBytes);
  Print("carve-out", attributes.preferredShmemCarveout);
  SHOW(cudaFuncGetAttributes(&attributes, Constant));
  Print("threads", attributes.maxThreadsPerBlock);
  SHOW(cudaFuncSetAttribute(Kernel, cudaFuncAttributePreferredSharedMemoryCarveout, 50));
  SHOW(cudaFuncGetAttributes(&attributes, Kernel));
  Print("carve-out", attributes.preferredShmemCarveout);
  SHOW(cudaFuncSetAttribute(Kernel, cudaFuncAttributePreferredSharedMemoryCarveout, 101));
  SHOW(cudaFuncSetAttribute(Kernel, static_cast<cudaFuncAttribute>(0), 1));
  SHOW(cudaFuncSetCacheConfig(Kernel, cudaFuncCachePreferL1));
  SHOW(cudaFuncSetCacheConfig(Kernel, cudaFuncCachePreferShared));
  SHOW(cudaGetLastError());
  int* memory = Device<int>(128);
  Kernel<<<1, 128>>>(memory);
  Print("memory", Host(memory, 3));
  const char* name;
  SHOW(cudaFuncGetName(&name, reinterpret_cast<const void*>(Kernel)));
  std::printf("%s\n", name);
  size_t offset, size;
  SHOW(cudaFuncGetParamInfo(reinterpret_cast<const void*>(Kernel), 0, &offset, &size));
  std::printf("at %zu, %zu bytes\n", offset, size);
  SHOW(cudaFuncGetParamInfo(reinterpret_cast<const void*>(Kernel), 1, &offset, &size));
}
