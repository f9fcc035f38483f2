// What pools refuse, by the driver API.
#include "check.h"

int main() {
  NEED(cudaFree(nullptr));
  CUmemPoolProps properties = {};
  CUmemoryPool pool;
  SHOW(cuMemPoolCreate(&pool, &properties));  // no location
  properties.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
  properties.location.id = 999;
  SHOW(cuMemPoolCreate(&pool, &properties));
  properties.location.id = 0;
  SHOW(cuMemPoolCreate(nullptr, &properties));
  SHOW(cuMemPoolCreate(&pool, &properties));
  int value = 0;
  SHOW(cuMemPoolGetAttribute(pool, static_cast<CUmemPool_attribute>(100), &value));
  cuuint64_t bytes = 5;
  SHOW(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &bytes));     // only zero
  SHOW(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &bytes));  // read only
  CUdeviceptr memory;
  SHOW(cuMemAllocFromPoolAsync(&memory, 0, pool, nullptr));
  SHOW(cuMemAllocAsync(nullptr, 16, nullptr));
  SHOW(cuMemAllocFromPoolAsync(&memory, 16, pool, nullptr));
  SHOW(cuMemFreeAsync(memory, nullptr));
  SHOW(cuMemFreeAsync(0, nullptr));
  SHOW(cuMemPoolTrimTo(pool, 0));
  SHOW(cuMemPoolDestroy(pool));
}
