// A module of PTX text: functions, variables, launches, and names that are not there.
#include "check.h"
#include "ptx.h"

int main() {
  int* memory = Device<int>(64);
  CUmodule module;
  SHOW(cuModuleLoadData(&module, kAddPtx));
  CUfunction add, lookup, none;
  SHOW(cuModuleGetFunction(&add, module, "add"));
  SHOW(cuModuleGetFunction(&lookup, module, "lookup"));
  SHOW(cuModuleGetFunction(&none, module, "subtract"));
  unsigned functions = 0;
  SHOW(cuModuleGetFunctionCount(&functions, module));
  Print("functions", functions);
  const char* name;
  SHOW(cuFuncGetName(&name, add));
  std::printf("%s\n", name);
  CUmodule of_function;
  SHOW(cuFuncGetModule(&of_function, add));
  Print("its module", of_function == module);

  int count = 50, value = 7;
  void* arguments[] = {&memory, &count, &value};
  SHOW(cuLaunchKernel(add, 2, 1, 1, 32, 1, 1, 0, nullptr, arguments, nullptr));
  SHOW(cuCtxSynchronize());
  const auto added = Host(memory, 64);
  Print("added", std::vector<int>{added[0], added[49], added[50]});

  CUdeviceptr bias, table;
  size_t bytes;
  SHOW(cuModuleGetGlobal(&bias, &bytes, module, "bias"));
  Print("bytes", bytes);
  SHOW(cuModuleGetGlobal(&table, &bytes, module, "table"));
  Print("bytes", bytes);
  SHOW(cuModuleGetGlobal(&table, &bytes, module, "nothing"));
  SHOW(cuMemsetD32(bias, 100, 1));
  SHOW(cuLaunchKernel(add, 2, 1, 1, 32, 1, 1, 0, nullptr, arguments, nullptr));
  Print("with bias", Host(memory, 2));
  void* one[] = {&memory};
  SHOW(cuLaunchKernel(lookup, 1, 1, 1, 4, 1, 1, 0, nullptr, one, nullptr));
  Print("table", Host(memory, 4));

  // Arguments as one buffer.
  struct {
    int* memory;
    int count, value;
  } packed = {memory, 4, -1};
  size_t size = sizeof packed;
  void* extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &packed, CU_LAUNCH_PARAM_BUFFER_SIZE, &size, CU_LAUNCH_PARAM_END};
  SHOW(cuLaunchKernel(add, 1, 1, 1, 32, 1, 1, 0, nullptr, nullptr, extra));
  Print("packed", Host(memory, 5));
  SHOW(cuLaunchKernel(add, 1, 1, 1, 32, 1, 1, 0, nullptr, arguments, extra));
  SHOW(cuModuleUnload(module));
  SHOW(cuModuleLoadData(&module, nullptr));
  SHOW(cuModuleLoad(&module, "/no/such/module.ptx"));
}
