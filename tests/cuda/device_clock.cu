// Clocks go forward, special registers are right, and kernels see their own shape.
#include "check.h"

__global__ void Look(unsigned* out) {
  const long long begin = clock64();
  unsigned long long time;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(time));
  unsigned lane, warp, mask;
  asm("mov.u32 %0, %laneid;" : "=r"(lane));
  asm("mov.u32 %0, %lanemask_lt;" : "=r"(mask));
  warp = (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) / 32;
  const bool last = blockIdx.x == gridDim.x - 1 && blockIdx.y == gridDim.y - 1 && blockIdx.z == gridDim.z - 1;
  if (last && lane == 5 && warp == 1) {
    out[0] = gridDim.x * 10000 + gridDim.y * 100 + gridDim.z;
    out[1] = blockDim.x * 10000 + blockDim.y * 100 + blockDim.z;
    out[2] = mask;
    out[3] = threadIdx.x * 10000 + threadIdx.y * 100 + threadIdx.z;
    out[4] = clock64() >= begin;
    out[5] = time != 0;
    out[6] = warpSize;
  }
}

int main() {
  unsigned* out = Device<unsigned>(7);
  Look<<<dim3(3, 4, 5), dim3(4, 4, 4)>>>(out);
  SHOW(cudaDeviceSynchronize());
  Print("seen", Host(out, 7));
}
