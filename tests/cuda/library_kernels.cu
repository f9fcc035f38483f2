// cuLibrary: kernels, their functions, names, parameters and variables, and lists of kernels.
#include <cstring>

#include "check.h"
#include "ptx.h"

int main() {
  int* memory = Device<int>(4);
  CUlibrary library;
  SHOW(cuLibraryLoadData(&library, kAddPtx, nullptr, nullptr, 0, nullptr, nullptr, 0));
  CUkernel add, lookup, none;
  SHOW(cuLibraryGetKernel(&add, library, "add"));
  SHOW(cuLibraryGetKernel(&lookup, library, "lookup"));
  SHOW(cuLibraryGetKernel(&none, library, "none"));
  unsigned count = 0;
  SHOW(cuLibraryGetKernelCount(&count, library));
  Print("kernels", count);
  CUkernel list[2];
  SHOW(cuLibraryEnumerateKernels(list, 2, library));
  Print("both are in the list", (list[0] == add || list[1] == add) && (list[0] == lookup || list[1] == lookup));
  const char* name;
  SHOW(cuKernelGetName(&name, lookup));
  std::printf("%s\n", name);
  size_t offset, size;
  for (size_t i = 0; i < 4; ++i)
    if (SHOW(cuKernelGetParamInfo(add, i, &offset, &size)) == CUDA_SUCCESS)
      std::printf("at %zu, %zu bytes\n", offset, size);
  CUfunction function;
  SHOW(cuKernelGetFunction(&function, add));
  int value;
  SHOW(cuKernelGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, add, 0));
  Print("threads", value);
  SHOW(cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 1024, add, 0));
  SHOW(cuKernelGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, add, 0));
  Print("dynamic shared", value);
  CUdeviceptr bias;
  SHOW(cuLibraryGetGlobal(&bias, &size, library, "bias"));
  Print("bytes", size);
  SHOW(cuLibraryGetGlobal(&bias, &size, library, "none"));
  NEED(cuLibraryGetGlobal(&bias, &size, library, "bias"));
  SHOW(cuMemsetD32(bias, 40, 1));
  int n = 4, x = 2;
  void* arguments[] = {&memory, &n, &x};
  SHOW(cuLaunchKernel(function, 1, 1, 1, 4, 1, 1, 0, nullptr, arguments, nullptr));
  SHOW(cuLaunchKernel(reinterpret_cast<CUfunction>(add), 1, 1, 1, 4, 1, 1, 0, nullptr, arguments, nullptr));
  Print("memory", Host(memory, 4));
  CUmodule module;
  SHOW(cuLibraryGetModule(&module, library));
  SHOW(cuModuleGetFunction(&function, module, "lookup"));
  void* one[] = {&memory};
  SHOW(cuLaunchKernel(function, 1, 1, 1, 4, 1, 1, 0, nullptr, one, nullptr));
  Print("memory", Host(memory, 4));
  SHOW(cuLibraryUnload(library));
  SHOW(cuLibraryLoadData(&library, "not PTX", nullptr, nullptr, 0, nullptr, nullptr, 0));
}
