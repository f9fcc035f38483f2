// cuGetProcAddress: versions, flags, names that are not there, and that what it gives can be called.
#include "check.h"

void Ask(const char* name, int version, cuuint64_t flags = 0) {
  void* function = nullptr;
  CUdriverProcAddressQueryResult found = static_cast<CUdriverProcAddressQueryResult>(9);
  const CUresult result = cuGetProcAddress(name, &function, version, flags, &found);
  std::printf("%s at %d: %s, %s, query %d\n", name, version, Name(result), function != nullptr ? "found" : "null",
              found);
}

int main() {
  NEED(cuInit(0));
  Ask("cuMemAlloc", 2000);
  Ask("cuMemAlloc", 3020);
  Ask("cuMemAlloc", 1000);
  Ask("cuGraphInstantiate", 12000);
  Ask("cuGraphInstantiate", 9000);
  Ask("cuStreamSynchronize", 12000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM);
  Ask("cuStreamSynchronize", 2000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM);
  Ask("cuStreamSynchronize", 12000, CU_GET_PROC_ADDRESS_LEGACY_STREAM);
  Ask("cuStreamSynchronize", 12000, 3);
  Ask("cuNoSuchFunction", 12000);
  Ask("", 12000);
  Ask("cuMemAlloc_v2", 12000);
  Ask("cuLaunchKernelEx", 11000);
  Ask("cuLaunchKernelEx", 11080);
  Ask("cuCtxCreate", 13000);
  Ask("cuCtxCreate", 12050);
  Ask("cuMemAlloc", 99000);
  void *legacy = nullptr, *per_thread = nullptr, *old = nullptr, *current = nullptr;
  NEED(cuGetProcAddress("cuMemcpyHtoD", &legacy, 12000, CU_GET_PROC_ADDRESS_LEGACY_STREAM, nullptr));
  NEED(cuGetProcAddress("cuMemcpyHtoD", &per_thread, 12000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, nullptr));
  Print("streams differ", legacy != per_thread);
  NEED(cuGetProcAddress("cuEventElapsedTime", &old, 12000, 0, nullptr));
  NEED(cuGetProcAddress("cuEventElapsedTime", &current, 13000, 0, nullptr));
  Print("versions differ", old != current);

  int version = 0;
  NEED(cuGetProcAddress("cuDriverGetVersion", &current, 12000, 0, nullptr));
  Print("called", reinterpret_cast<CUresult (*)(int*)>(current)(&version));
  Print("13 or later", version >= 13000);
  cudaDriverEntryPointQueryResult found;
  SHOW(cudaGetDriverEntryPointByVersion("cuLaunchKernel", &current, 12000, cudaEnableDefault, &found));
  Print("found", found);
  SHOW(cudaGetDriverEntryPointByVersion("cuNone", &current, 12000, cudaEnableDefault, &found));
  Print("found", found);
}
