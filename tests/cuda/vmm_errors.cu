// What virtual memory management refuses.
#include "check.h"

int main() {
  NEED(cudaFree(nullptr));
  CUmemAllocationProp properties = {};
  properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  size_t granule;
  NEED(cuMemGetAllocationGranularity(&granule, &properties, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
  CUdeviceptr address;
  CUmemGenericAllocationHandle handle;
  SHOW(cuMemAddressReserve(&address, 0, 0, 0, 0));
  SHOW(cuMemAddressReserve(&address, granule, 3, 0, 0));
  SHOW(cuMemAddressReserve(&address, granule, 0, 0, 7));
  SHOW(cuMemCreate(&handle, granule + 1, &properties, 0));
  SHOW(cuMemCreate(&handle, 0, &properties, 0));
  SHOW(cuMemCreate(&handle, granule << 22, &properties, 0));  // 8 TiB
  properties.location.id = 999;
  SHOW(cuMemCreate(&handle, granule, &properties, 0));
  properties.location.id = 0;
  properties.type = CU_MEM_ALLOCATION_TYPE_INVALID;
  SHOW(cuMemCreate(&handle, granule, &properties, 0));
  properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  NEED(cuMemCreate(&handle, granule, &properties, 0));
  NEED(cuMemAddressReserve(&address, 2 * granule, 0, 0, 0));
  SHOW(cuMemMap(address, 2 * granule, 0, handle, 0));  // longer than the allocation
  SHOW(cuMemMap(address + 1, granule, 0, handle, 0));
  SHOW(cuMemMap(address, granule, 0, handle, 0));
  SHOW(cuMemMap(address, granule, 0, handle, 0));  // mapped already
  SHOW(cuMemsetD8(address + granule, 0, 1));       // nothing there
  SHOW(cuMemUnmap(address + granule, granule));
  SHOW(cuMemAddressFree(address, 2 * granule));  // still mapped
  SHOW(cuMemUnmap(address, granule));
  SHOW(cuMemRelease(handle));
  SHOW(cuMemAddressFree(address, 2 * granule));
}
