// Properties that every device of these programs has, and agreement between the ways to ask for them.
#include <cstring>

#include "check.h"

int main() {
  int count = 0;
  SHOW(cudaGetDeviceCount(&count));
  Print("at least one", count >= 1);
  cudaDeviceProp properties;
  SHOW(cudaGetDeviceProperties(&properties, 0));
  Print("warp", properties.warpSize);
  Print("threads of a block", properties.maxThreadsPerBlock);
  Print("block", properties.maxThreadsDim, 3);
  Print("grid", properties.maxGridSize, 3);
  Print("shared", properties.sharedMemPerBlock);
  Print("registers", properties.regsPerBlock);
  Print("constant", properties.totalConstMem);
  Print("unified addresses", properties.unifiedAddressing);
  Print("can map", properties.canMapHostMemory);
  Print("priorities", properties.streamPrioritiesSupported);
  Print("concurrent kernels", properties.concurrentKernels);
  Print("a name", std::strlen(properties.name) > 0);
  char name[256];
  SHOW(cuDeviceGetName(name, sizeof name, 0));
  Print("the same name", std::strcmp(name, properties.name) == 0);
  size_t total, free_bytes, whole;
  SHOW(cuDeviceTotalMem(&total, 0));
  Print("the same memory", total == properties.totalGlobalMem);
  SHOW(cudaMemGetInfo(&free_bytes, &whole));
  Print("free is less", free_bytes <= whole);
  CUuuid uuid;
  SHOW(cuDeviceGetUuid(&uuid, 0));
  Print("the same UUID", std::memcmp(&uuid, &properties.uuid, sizeof uuid) == 0);
  int major = 0, minor = 0;
  SHOW(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0));
  SHOW(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0));
  Print("the same capability", major == properties.major && minor == properties.minor);
  char bus[32];
  SHOW(cudaDeviceGetPCIBusId(bus, sizeof bus, 0));
  int ordinal = -1;
  SHOW(cudaDeviceGetByPCIBusId(&ordinal, bus));
  Print("found by its bus", ordinal);
  int driver = 0, runtime = 0;
  SHOW(cudaDriverGetVersion(&driver));
  SHOW(cudaRuntimeGetVersion(&runtime));
  Print("driver is not older", driver >= runtime / 1000 * 1000);
  SHOW(cudaGetDeviceProperties(&properties, 999));
  SHOW(cudaDeviceGetAttribute(&major, static_cast<cudaDeviceAttr>(99999), 0));
}
