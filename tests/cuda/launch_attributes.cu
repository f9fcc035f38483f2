// cudaLaunchKernelEx with priority, memory domain, access policy and attributes that are ignored or refused.
#include "check.h"

__global__ void Add(int* to, int a, int b) {
  *to += a * 10 + b;
}

int main() {
  int* memory = Device<int>(1);
  cudaLaunchAttribute attributes[3] = {};
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(1);
  config.blockDim = dim3(1);
  config.attrs = attributes;
  SHOW(cudaLaunchKernelEx(&config, Add, memory, 1, 2));
  attributes[0].id = cudaLaunchAttributePriority;
  attributes[0].val.priority = 0;
  attributes[1].id = cudaLaunchAttributeMemSyncDomain;
  attributes[1].val.memSyncDomain = cudaLaunchMemSyncDomainDefault;
  attributes[2].id = cudaLaunchAttributeIgnore;
  config.numAttrs = 3;
  SHOW(cudaLaunchKernelEx(&config, Add, memory, 1, 2));
  SHOW(cudaDeviceSynchronize());
  Print("memory", Host(memory, 1));
  config.numAttrs = 0;
  config.blockDim = dim3(2048);
  SHOW(cudaLaunchKernelEx(&config, Add, memory, 1, 2));
  SHOW(cudaGetLastError());
  void* arguments[] = {&memory, nullptr, nullptr};
  int a = 3, b = 4;
  arguments[1] = &a;
  arguments[2] = &b;
  SHOW(cudaLaunchKernel(Add, dim3(1), dim3(1), arguments, 0, nullptr));
  Print("memory", Host(memory, 1));
}
