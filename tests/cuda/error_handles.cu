// Null handles and functions that are not kernels.
#include "check.h"

__global__ void Real() {}

int main() {
  cudaFuncAttributes attributes;
  SHOW(cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(main)));
  SHOW(cudaLaunchKernel(reinterpret_cast<const void*>(main), dim3(1), dim3(1), nullptr, 0, nullptr));
  SHOW(cudaGetLastError());
  SHOW(cudaFuncSetAttribute(Real, cudaFuncAttributeMaxDynamicSharedMemorySize, -1));
  SHOW(cudaSetDevice(999));
  SHOW(cudaSetDevice(-1));
  SHOW(cudaEventQuery(nullptr));
  SHOW(cudaEventSynchronize(nullptr));
  SHOW(cudaGetLastError());
  SHOW(cuStreamDestroy(nullptr));
  SHOW(cuEventDestroy(nullptr));
  SHOW(cuModuleUnload(nullptr));
  CUfunction function;
  SHOW(cuModuleGetFunction(&function, nullptr, "Real"));
  SHOW(cuLaunchKernel(nullptr, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr));
  int value;
  SHOW(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_NUM_REGS, nullptr));
  SHOW(cuDeviceGetAttribute(&value, static_cast<CUdevice_attribute>(100000), 0));
  SHOW(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 999));
  SHOW(cuMemFree(0));
  SHOW(cudaDeviceSynchronize());
}
