// The driver API alone, with PTX text: copies, a launch, its result, and what is wrong with some calls.
#include "driver.h"
#include "ptx.h"

int main() {
  CUdeviceptr memory;
  SHOW(cuMemAlloc_v2(&memory, 16));  // before cuInit
  UseDevice();
  SHOW(cuMemAlloc_v2(&memory, 4 * sizeof(int)));
  int host[4] = {1, 2, 3, 4};
  SHOW(cuMemcpyHtoD_v2(memory, host, sizeof host));
  CUmodule module;
  CUfunction add, lookup;
  SHOW(cuModuleLoadData(&module, kAddPtx));
  SHOW(cuModuleGetFunction(&add, module, "add"));
  SHOW(cuModuleGetFunction(&lookup, module, "lookup"));
  int count = 3, value = 10;
  void* arguments[] = {&memory, &count, &value};
  SHOW(cuLaunchKernel(add, 1, 1, 1, 32, 1, 1, 0, nullptr, arguments, nullptr));
  SHOW(cuMemcpyDtoH_v2(host, memory, sizeof host));
  Print("added", host, 4);
  SHOW(cuLaunchKernel(lookup, 1, 1, 1, 4, 1, 1, 0, nullptr, arguments, nullptr));
  SHOW(cuMemcpyDtoH_v2(host, memory, sizeof host));
  Print("table", host, 4);
  SHOW(cuLaunchKernel(add, 0, 1, 1, 32, 1, 1, 0, nullptr, arguments, nullptr));
  SHOW(cuLaunchKernel(add, 1, 1, 1, 2000, 1, 1, 0, nullptr, arguments, nullptr));
  SHOW(cuLaunchKernel(add, 1, 1, 1, 32, 1, 1, 1 << 20, nullptr, arguments, nullptr));
  SHOW(cuCtxSynchronize());
  SHOW(cuMemFree_v2(memory));
  SHOW(cuMemFree_v2(memory));
  SHOW(cuModuleUnload(module));
}
