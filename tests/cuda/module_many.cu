// Modules come and go; each has its own variables, and a function of an unloaded one is not another's.
#include "check.h"
#include "ptx.h"

int main() {
  int* memory = Device<int>(1);
  CUmodule modules[8];
  for (int i = 0; i < 8; ++i) {
    NEED(cuModuleLoadData(&modules[i], kAddPtx));
    CUdeviceptr bias;
    NEED(cuModuleGetGlobal(&bias, nullptr, modules[i], "bias"));
    NEED(cuMemsetD32(bias, 1 << i, 1));
  }
  for (int i = 0; i < 8; i += 2) NEED(cuModuleUnload(modules[i]));
  for (int i = 1; i < 8; i += 2) {
    CUfunction add;
    NEED(cuModuleGetFunction(&add, modules[i], "add"));
    int count = 1, value = 0;
    void* arguments[] = {&memory, &count, &value};
    NEED(cuLaunchKernel(add, 1, 1, 1, 1, 1, 1, 0, nullptr, arguments, nullptr));
  }
  Print("sum of the biases", Host(memory, 1));
  for (int i = 1; i < 8; i += 2) NEED(cuModuleUnload(modules[i]));
  for (int i = 0; i < 50; ++i) {
    CUmodule module;
    NEED(cuModuleLoadData(&module, kAddPtx));
    NEED(cuModuleUnload(module));
  }
  CUmoduleLoadingMode mode;
  SHOW(cuModuleGetLoadingMode(&mode));
}
