// Atomic operations on global and shared memory, of every width.
#include <cuda_fp16.h>

#include "check.h"

__global__ void Atomics(int* i, unsigned* u, unsigned long long* l, float* f, double* d, __half2* h) {
  const int me = blockIdx.x * blockDim.x + threadIdx.x;
  atomicAdd(i, me);
  atomicSub(i + 1, 2);
  atomicMin(i + 2, 50 - me);
  atomicMax(i + 3, me);
  atomicExch(i + 4, 7);
  atomicCAS(i + 5, 0, 9);
  atomicAnd(u, ~(1u << (me % 32)));
  atomicOr(u + 1, 1u << (me % 16));
  atomicXor(u + 2, 1u << (me % 3));
  atomicInc(u + 3, 9);
  atomicDec(u + 4, 9);
  atomicAdd(l, 1ull << 33);
  atomicMax(l + 1, static_cast<unsigned long long>(me) << 40);
  atomicCAS(l + 2, 0ull, 11ull);
  atomicAdd(f, 0.5f);
  atomicAdd(d, 0.25);
  atomicAdd(h, __floats2half2_rn(1.0f, 2.0f));
  atomicAdd_block(i + 6, 1);
  atomicAdd_system(i + 7, 1);
  __shared__ int shared;
  if (threadIdx.x == 0) shared = 0;
  __syncthreads();
  atomicAdd(&shared, 3);
  __syncthreads();
  if (threadIdx.x == 0) atomicAdd(i + 8, shared);
}

int main() {
  int* i = Device<int>(9);
  unsigned* u = Device(std::vector<unsigned>{~0u, 0, 0, 0, 0});
  auto* l = Device<unsigned long long>(3);
  float* f = Device<float>(1);
  double* d = Device<double>(1);
  __half2* h = Device<__half2>(1);
  Atomics<<<2, 64>>>(i, u, l, f, d, h);
  SHOW(cudaDeviceSynchronize());
  Print("int", Host(i, 9));
  Print("unsigned", Host(u, 5));
  Print("long", Host(l, 3));
  Print("float", Host(f, 1));
  Print("double", Host(d, 1));
  const float2 halves = __half22float2(Host(h, 1)[0]);
  std::printf("half2 = %g %g\n", halves.x, halves.y);
}
