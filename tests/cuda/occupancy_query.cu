// Occupancy: what fits at given block sizes and shared memory, and the block size that is proposed.
#include "check.h"

__global__ void Light(int* to) {
  to[threadIdx.x] = 1;
}
__global__ void Heavy(int* to) {
  __shared__ int shared[8192];  // 32 KiB
  shared[threadIdx.x] = to[threadIdx.x];
  __syncthreads();
  to[threadIdx.x] = shared[(threadIdx.x + 1) % blockDim.x];
}

int main() {
  int blocks = -1;
  for (const int threads : {32, 256, 1024}) {
    SHOW(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, Light, threads, 0));
    Print("light fits", blocks >= 1);
    Print("no more than the threads", blocks * threads <= 2048);
  }
  SHOW(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, Heavy, 128, 0));
  Print("heavy fits", blocks >= 1);
  Print("shared memory bounds it", blocks <= 7);
  SHOW(cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(&blocks, Light, 128, 0,
                                                              cudaOccupancyDisableCachingOverride));
  Print("with flags", blocks >= 1);
  SHOW(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, Light, 2048, 0));
  Print("too many threads", blocks);
  SHOW(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, Light, 0, 0));
  int grid = 0, block = 0;
  SHOW(cudaOccupancyMaxPotentialBlockSize(&grid, &block, Light, 0, 0));
  Print("block is whole warps", block > 0 && block % 32 == 0);
  Print("grid", grid > 0);
  SHOW(cudaOccupancyMaxPotentialBlockSize(&grid, &block, Light, 0, 128));
  Print("block at most 128", block <= 128);
  size_t bytes;
  SHOW(cudaOccupancyAvailableDynamicSMemPerBlock(&bytes, Light, 2, 128));
  Print("room", bytes > 1024);
  SHOW(cudaGetLastError());
}
