// Virtual memory: reserve, create, map, set access, use, and take it apart.
#include "check.h"

__global__ void Fill(int* to, int count, int value) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) to[i] = value + i;
}

int main() {
  NEED(cudaFree(nullptr));
  CUmemAllocationProp properties = {};
  properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  size_t granule, recommended;
  SHOW(cuMemGetAllocationGranularity(&granule, &properties, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
  SHOW(cuMemGetAllocationGranularity(&recommended, &properties, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED));
  Print("granule is whole pages", granule % 4096 == 0);
  Print("recommended is whole granules", recommended % granule == 0);

  CUdeviceptr address;
  SHOW(cuMemAddressReserve(&address, 4 * granule, 0, 0, 0));
  CUmemGenericAllocationHandle first, second;
  SHOW(cuMemCreate(&first, granule, &properties, 0));
  SHOW(cuMemCreate(&second, 2 * granule, &properties, 0));
  SHOW(cuMemMap(address, granule, 0, first, 0));
  SHOW(cuMemMap(address + granule, 2 * granule, 0, second, 0));
  CUmemAccessDesc access = {properties.location, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
  SHOW(cuMemSetAccess(address, 3 * granule, &access, 1));
  unsigned long long flags = 0;
  SHOW(cuMemGetAccess(&flags, &access.location, address));
  Print("access", flags);

  // One range across two allocations.
  const int count = static_cast<int>(3 * granule / sizeof(int));
  int* memory = reinterpret_cast<int*>(address);
  Fill<<<(count + 255) / 256, 256>>>(memory, count, 5);
  SHOW(cudaDeviceSynchronize());
  const int border = static_cast<int>(granule / sizeof(int));
  auto across = Host(memory + border - 2, 4);
  for (int& value : across) value -= border;
  Print("across the border, from there", across);
  Print("last, from the end", Host(memory + count - 1, 1)[0] - count);

  // The first allocation seen at a second address.
  SHOW(cuMemMap(address + 3 * granule, granule, 0, first, 0));
  SHOW(cuMemSetAccess(address + 3 * granule, granule, &access, 1));
  SHOW(cuMemsetD32(address, 99, 1));
  Print("by the other address", Host(memory + 3 * border, 2));

  CUmemAllocationProp given;
  SHOW(cuMemGetAllocationPropertiesFromHandle(&given, second));
  Print("type", given.type);
  CUmemGenericAllocationHandle again;
  SHOW(cuMemRetainAllocationHandle(&again, memory + border));
  Print("same handle", again == second);
  SHOW(cuMemRelease(again));
  SHOW(cuMemRelease(first));
  SHOW(cuMemRelease(second));  // stays mapped
  Print("still there", Host(memory + 1, 1));
  SHOW(cuMemUnmap(address, 4 * granule));
  SHOW(cuMemAddressFree(address, 4 * granule));
}
