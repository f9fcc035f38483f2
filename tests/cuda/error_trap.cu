// A kernel that traps.
#include "check.h"

__global__ void Trap(int thread) {
  if (static_cast<int>(threadIdx.x) == thread) __trap();
}

int main() {
  Trap<<<1, 32>>>(32);
  SHOW(cudaDeviceSynchronize());
  Trap<<<1, 32>>>(7);
  SHOW(cudaDeviceSynchronize());
  SHOW(cudaPeekAtLastError());
  SHOW(cudaGetLastError());
  cudaStream_t stream;
  SHOW(cudaStreamCreate(&stream));
  SHOW(cuCtxSynchronize());
}
