// Memory that is mapped but not accessible faults when a kernel touches it.
#include "check.h"

__global__ void Read(const int* from, int* to) {
  *to = *from;
}

int main() {
  int* out = Device<int>(1);
  CUmemAllocationProp properties = {};
  properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  size_t granule;
  NEED(cuMemGetAllocationGranularity(&granule, &properties, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
  CUdeviceptr address;
  CUmemGenericAllocationHandle handle;
  NEED(cuMemAddressReserve(&address, granule, 0, 0, 0));
  NEED(cuMemCreate(&handle, granule, &properties, 0));
  NEED(cuMemMap(address, granule, 0, handle, 0));
  CUmemAccessDesc access = {properties.location, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
  SHOW(cuMemSetAccess(address, granule, &access, 1));
  SHOW(cuMemsetD32(address, 3, 1));
  Read<<<1, 1>>>(reinterpret_cast<int*>(address), out);
  Print("read", Host(out, 1));
  access.flags = CU_MEM_ACCESS_FLAGS_PROT_NONE;
  SHOW(cuMemSetAccess(address, granule, &access, 1));
  unsigned long long flags = 9;
  SHOW(cuMemGetAccess(&flags, &access.location, address));
  Print("access", flags);
  Read<<<1, 1>>>(reinterpret_cast<int*>(address), out);
  SHOW(cudaDeviceSynchronize());
}
