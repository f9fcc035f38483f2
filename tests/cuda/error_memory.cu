// More memory than any device has: refused, and nothing stays behind.
#include "check.h"

int main() {
  void* memory = nullptr;
  SHOW(cudaMalloc(&memory, size_t{1} << 42));
  SHOW(cudaPeekAtLastError());
  SHOW(cudaGetLastError());
  SHOW(cudaGetLastError());
  SHOW(cudaMalloc(&memory, ~size_t{0}));
  SHOW(cudaMalloc(&memory, 0));
  Print("no bytes give a null pointer", memory == nullptr);
  size_t pitch;
  SHOW(cudaMallocPitch(&memory, &pitch, size_t{1} << 21, size_t{1} << 21));
  SHOW(cudaGetLastError());
  size_t free_bytes, total;
  SHOW(cudaMemGetInfo(&free_bytes, &total));
  Print("free is at most the whole", free_bytes <= total);
  SHOW(cudaMalloc(&memory, 1 << 20));
  SHOW(cudaMemset(memory, 0, 1 << 20));
  SHOW(cudaFree(memory));
  CUdeviceptr address;
  SHOW(cuMemAlloc(&address, 0));
  SHOW(cuMemAlloc(&address, size_t{1} << 42));
}
