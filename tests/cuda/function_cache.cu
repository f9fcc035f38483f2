// The device's cache and shared memory settings, and its limits.
#include "check.h"

int main() {
  cudaFuncCache config;
  SHOW(cudaDeviceGetCacheConfig(&config));
  Print("config", config);
  SHOW(cudaDeviceSetCacheConfig(cudaFuncCachePreferShared));
  SHOW(cudaDeviceGetCacheConfig(&config));
  size_t value;
  SHOW(cudaDeviceGetLimit(&value, cudaLimitStackSize));
  Print("stack", value > 0);
  SHOW(cudaDeviceSetLimit(cudaLimitStackSize, 4096));
  SHOW(cudaDeviceGetLimit(&value, cudaLimitStackSize));
  Print("stack", value);
  SHOW(cudaDeviceSetLimit(cudaLimitPrintfFifoSize, 2 << 20));
  SHOW(cudaDeviceGetLimit(&value, cudaLimitPrintfFifoSize));
  Print("printf", value >= (2 << 20));
  SHOW(cudaDeviceSetLimit(cudaLimitMallocHeapSize, 16 << 20));
  SHOW(cudaDeviceGetLimit(&value, cudaLimitMallocHeapSize));
  Print("heap", value >= (16 << 20));
  SHOW(cudaDeviceGetLimit(&value, static_cast<cudaLimit>(77)));
  SHOW(cudaDeviceSetLimit(static_cast<cudaLimit>(77), 1));
  SHOW(cudaGetLastError());
}
