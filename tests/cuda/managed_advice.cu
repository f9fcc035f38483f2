// Advice, prefetches and their attributes.
#include "check.h"

__global__ void Increment(int* values) {
  ++values[blockIdx.x * blockDim.x + threadIdx.x];
}

int main() {
  constexpr size_t kBytes = 1 << 20;
  int* values;
  NEED(cudaMallocManaged(&values, kBytes));
  for (size_t i = 0; i < kBytes / 4; ++i) values[i] = static_cast<int>(i);
  const cudaMemLocation device = {cudaMemLocationTypeDevice, 0};
  const cudaMemLocation host = {cudaMemLocationTypeHost, 0};
  SHOW(cudaMemAdvise(values, kBytes, cudaMemAdviseSetPreferredLocation, device));
  SHOW(cudaMemAdvise(values, kBytes, cudaMemAdviseSetAccessedBy, host));
  SHOW(cudaMemAdvise(values, kBytes, cudaMemAdviseSetReadMostly, device));
  int value = -1;
  SHOW(cudaMemRangeGetAttribute(&value, sizeof value, cudaMemRangeAttributeReadMostly, values, kBytes));
  Print("read mostly", value);
  SHOW(cudaMemRangeGetAttribute(&value, sizeof value, cudaMemRangeAttributePreferredLocation, values, kBytes));
  Print("preferred", value);
  SHOW(cudaMemAdvise(values, kBytes, cudaMemAdviseUnsetReadMostly, device));
  SHOW(cudaMemPrefetchAsync(values, kBytes, device, 0, nullptr));
  Increment<<<kBytes / 4 / 256, 256>>>(values);
  SHOW(cudaMemPrefetchAsync(values, kBytes, host, 0, nullptr));
  SHOW(cudaDeviceSynchronize());
  SHOW(cudaMemRangeGetAttribute(&value, sizeof value, cudaMemRangeAttributeLastPrefetchLocation, values, kBytes));
  Print("last prefetch", value);
  Print("values", values, 3);
  SHOW(cudaMemAdvise(values, kBytes, static_cast<cudaMemoryAdvise>(99), device));
  SHOW(cudaMemPrefetchAsync(Device<int>(4), 16, device, 0, nullptr));  // not managed
  SHOW(cudaGetLastError());
}
