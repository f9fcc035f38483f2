// The runtime's form of libraries: cudaLibrary and cudaKernel_t.
#include "check.h"
#include "ptx.h"

__global__ void Own(int* to) {
  *to = 1;
}

int main() {
  int* memory = Device<int>(4);
  cudaLibrary_t library;
  SHOW(cudaLibraryLoadData(&library, kAddPtx, nullptr, nullptr, 0, nullptr, nullptr, 0));
  cudaKernel_t add, own;
  SHOW(cudaLibraryGetKernel(&add, library, "add"));
  unsigned count;
  SHOW(cudaLibraryGetKernelCount(&count, library));
  Print("kernels", count);
  int n = 4, x = 6;
  void* arguments[] = {&memory, &n, &x};
  SHOW(cudaLaunchKernel(reinterpret_cast<const void*>(add), dim3(1), dim3(4), arguments, 0, nullptr));
  Print("memory", Host(memory, 4));
  void* table;
  size_t bytes;
  SHOW(cudaLibraryGetGlobal(&table, &bytes, library, "bias"));
  Print("bytes", bytes);
  SHOW(cudaGetKernel(&own, Own));
  void* one[] = {&memory};
  SHOW(cudaLaunchKernel(reinterpret_cast<const void*>(own), dim3(1), dim3(1), one, 0, nullptr));
  Print("memory", Host(memory, 4));
  cudaFunction_t function;
  SHOW(cudaGetFuncBySymbol(&function, reinterpret_cast<const void*>(Own)));
  SHOW(cudaLibraryUnload(library));
}
