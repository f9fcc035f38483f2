// The driver API alone: a kernel writes to address 16, and the context stays broken.
#include "driver.h"
#include "ptx.h"

int main() {
  UseDevice();
  CUmodule module;
  CUfunction add;
  NEED(cuModuleLoadData(&module, kAddPtx));
  NEED(cuModuleGetFunction(&add, module, "add"));
  CUdeviceptr bad = 16, memory;
  NEED(cuMemAlloc_v2(&memory, 16));
  int count = 1, value = 1;
  void* arguments[] = {&bad, &count, &value};
  SHOW(cuLaunchKernel(add, 1, 1, 1, 1, 1, 1, 0, nullptr, arguments, nullptr));
  SHOW(cuCtxSynchronize());
  SHOW(cuCtxSynchronize());
  SHOW(cuMemAlloc_v2(&memory, 16));
  int host;
  SHOW(cuMemcpyDtoH_v2(&host, memory, 4));
  CUstream stream;
  SHOW(cuStreamCreate(&stream, 0));
  SHOW(cuModuleUnload(module));
}
