// printf of kernels appears at a synchronisation, before what the program prints after it.
#include "check.h"

__global__ void Say(int turn) {
  printf("turn %d: %s %5.2f %c %lld %x\n", turn, "text", 3.14159, 'c', 1LL << 40, 255);
}
__global__ void Count() {
  if (threadIdx.x == 0)
    for (int i = 0; i < 3; ++i) printf("i %d of %d%%\n", i, 100);
}

int main() {
  std::printf("before\n");
  std::fflush(stdout);
  Say<<<1, 1>>>(1);
  SHOW(cudaDeviceSynchronize());
  Say<<<1, 1>>>(2);
  Count<<<1, 32>>>();
  SHOW(cudaStreamSynchronize(nullptr));
  std::printf("between\n");
  std::fflush(stdout);
  Say<<<1, 1>>>(3);
  SHOW(cudaDeviceSynchronize());
  std::printf("after\n");
}
