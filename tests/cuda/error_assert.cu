// A failed assertion of the device: the sentence goes to standard error, the error stays.
#undef NDEBUG
#include <cassert>

#include "check.h"

__global__ void Check(int limit) {
  assert(static_cast<int>(threadIdx.x) < limit);
}

int main() {
  Check<<<1, 4>>>(4);
  SHOW(cudaDeviceSynchronize());
  Check<<<1, 4>>>(3);
  SHOW(cudaDeviceSynchronize());
  Check<<<1, 4>>>(4);
  SHOW(cudaGetLastError());
  void* memory;
  SHOW(cudaMalloc(&memory, 16));
}
