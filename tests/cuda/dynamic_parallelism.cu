// Kernels that launch kernels.
#include "check.h"

__global__ void Child(int* out, int value) {
  atomicAdd(out, value * static_cast<int>(threadIdx.x));
}
__global__ void Parent(int* out) {
  Child<<<1, 4>>>(out + threadIdx.x, threadIdx.x + 1);
  cudaStream_t stream;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  Child<<<2, 3, 0, stream>>>(out + threadIdx.x, 100);
  cudaStreamDestroy(stream);
}
__global__ void Countdown(int left, int* out) {
  ++*out;
  if (left > 0) Countdown<<<1, 1, 0, cudaStreamTailLaunch>>>(left - 1, out);
}

int main() {
  int* out = Device<int>(4);
  Parent<<<1, 3>>>(out);
  SHOW(cudaDeviceSynchronize());
  Countdown<<<1, 1>>>(9, out + 3);
  SHOW(cudaDeviceSynchronize());
  Print("out", Host(out, 4));
}
