// Pools of the program's own: attributes, use by name and as the device's current pool, trimming.
#include "check.h"

template <typename T>
void Attribute(const char* what, cudaMemPool_t pool, cudaMemPoolAttr attribute, bool exact = true) {
  T value = 0;
  NEED(cudaMemPoolGetAttribute(pool, attribute, &value));
  exact ? Print(what, value) : Print(what, value > 0);
}

int main() {
  cudaMemPoolProps properties = {};
  properties.allocType = cudaMemAllocationTypePinned;
  properties.location = {cudaMemLocationTypeDevice, 0};
  cudaMemPool_t pool;
  SHOW(cudaMemPoolCreate(&pool, &properties));
  Attribute<uint64_t>("release threshold", pool, cudaMemPoolAttrReleaseThreshold);
  Attribute<int>("follow events", pool, cudaMemPoolReuseFollowEventDependencies);
  Attribute<int>("opportunistic", pool, cudaMemPoolReuseAllowOpportunistic);
  Attribute<int>("internal dependencies", pool, cudaMemPoolReuseAllowInternalDependencies);
  uint64_t threshold = ~uint64_t{0};
  SHOW(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold));
  Attribute<uint64_t>("release threshold", pool, cudaMemPoolAttrReleaseThreshold);

  void *a, *b;
  SHOW(cudaMallocFromPoolAsync(&a, 1 << 20, pool, nullptr));
  SHOW(cudaMallocFromPoolAsync(&b, 1 << 20, pool, nullptr));
  SHOW(cudaMemsetAsync(a, 1, 1 << 20, nullptr));
  SHOW(cudaStreamSynchronize(nullptr));
  Attribute<uint64_t>("used", pool, cudaMemPoolAttrUsedMemCurrent);
  Attribute<uint64_t>("something is reserved", pool, cudaMemPoolAttrReservedMemCurrent, false);
  SHOW(cudaFreeAsync(a, nullptr));
  SHOW(cudaFreeAsync(b, nullptr));
  SHOW(cudaStreamSynchronize(nullptr));
  Attribute<uint64_t>("used", pool, cudaMemPoolAttrUsedMemCurrent);
  Attribute<uint64_t>("most used", pool, cudaMemPoolAttrUsedMemHigh);
  Attribute<uint64_t>("kept, because of the threshold", pool, cudaMemPoolAttrReservedMemCurrent, false);
  SHOW(cudaMemPoolTrimTo(pool, 0));
  Attribute<uint64_t>("reserved", pool, cudaMemPoolAttrReservedMemCurrent);
  uint64_t zero = 0;
  SHOW(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrUsedMemHigh, &zero));
  Attribute<uint64_t>("most used", pool, cudaMemPoolAttrUsedMemHigh);

  SHOW(cudaDeviceSetMemPool(0, pool));
  SHOW(cudaMallocAsync(&a, 1 << 16, nullptr));
  SHOW(cudaStreamSynchronize(nullptr));
  Attribute<uint64_t>("used by cudaMallocAsync", pool, cudaMemPoolAttrUsedMemCurrent);
  cudaMemAccessFlags access;
  cudaMemLocation location = {cudaMemLocationTypeDevice, 0};
  SHOW(cudaMemPoolGetAccess(&access, pool, &location));
  Print("access", access);
  SHOW(cudaFreeAsync(a, nullptr));
  SHOW(cudaStreamSynchronize(nullptr));
  SHOW(cudaMemPoolDestroy(pool));
  cudaMemPool_t current, standard;
  SHOW(cudaDeviceGetMemPool(&current, 0));
  SHOW(cudaDeviceGetDefaultMemPool(&standard, 0));
  Print("back to the default", current == standard);
  SHOW(cudaMemPoolDestroy(standard));
}
