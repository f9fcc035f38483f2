#include <stdexcept>
#include <string>

#include <cuda_runtime.h>

#include "gpu.h"

namespace sharing {
namespace {

void Check(const char* call, cudaError_t status) {
  if (status != cudaSuccess) throw std::runtime_error(std::string(call) + " fails with " + cudaGetErrorName(status));
}

// Each word goes through `rounds` steps of a linear congruential generator.
__global__ void Mix(uint32_t* words, uint32_t count, uint32_t rounds) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count) return;
  uint32_t word = words[i];
#pragma unroll 1
  for (uint32_t round = 0; round < rounds; ++round) word = word * 1664525u + 1013904223u;
  words[i] = word;
}

// *sum += (i + 1) * words[i], over all i
__global__ void Checksum(const uint32_t* words, uint32_t count, uint32_t* sum) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) atomicAdd(sum, (i + 1) * words[i]);
}

// One level of a breadth-first search; every vertex has `degree` edges. Unreached vertices have level 0xffffffff.
__global__ void Expand(const uint32_t* targets, uint32_t* levels, uint32_t vertices, uint32_t degree, uint32_t level,
                       uint32_t* reached) {
  const uint32_t vertex = blockIdx.x * blockDim.x + threadIdx.x;
  if (vertex >= vertices || levels[vertex] != level) return;
  for (uint32_t edge = vertex * degree; edge < (vertex + 1) * degree; ++edge)
    if (atomicCAS(&levels[targets[edge]], ~0u, level + 1) == ~0u) atomicAdd(reached, 1u);
}

// One step of a stencil on a square torus whose side is a power of two: a cell and its four neighbours, weighted.
__global__ void Relax(const uint32_t* from, uint32_t* to, uint32_t side) {
  const uint32_t cell = blockIdx.x * blockDim.x + threadIdx.x;
  const uint32_t mask = side * side - 1;
  if (cell > mask) return;
  const uint32_t around =
      from[(cell + 1) & mask] + from[(cell - 1) & mask] + from[(cell + side) & mask] + from[(cell - side) & mask];
  to[cell] = (from[cell] * 4 + around) >> 3;
}

// One thread: when it began and ended, by the device's clock, in nanoseconds; `rounds` as in Mix in between.
__global__ void Timed(uint64_t* times, uint32_t rounds) {
  uint64_t begin, end;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(begin)::"memory");
  uint32_t word = static_cast<uint32_t>(begin);
#pragma unroll 1
  for (uint32_t round = 0; round < rounds; ++round) word = word * 1664525u + 1013904223u;
  times[1] = word;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(end)::"memory");
  times[0] = begin;
  times[1] = end;
}

const void* Entry(Kernel kernel) {
  switch (kernel) {
    case Kernel::kMix:
      return reinterpret_cast<const void*>(Mix);
    case Kernel::kChecksum:
      return reinterpret_cast<const void*>(Checksum);
    case Kernel::kExpand:
      return reinterpret_cast<const void*>(Expand);
    case Kernel::kRelax:
      return reinterpret_cast<const void*>(Relax);
    default:
      return reinterpret_cast<const void*>(Timed);
  }
}

void* Pointer(Address address) {
  return reinterpret_cast<void*>(address);
}

}  // namespace

DeviceMemory::DeviceMemory(size_t bytes) {
  void* pointer = nullptr;
  Check("cudaMalloc", cudaMalloc(&pointer, bytes));
  address_ = reinterpret_cast<Address>(pointer);
}

DeviceMemory::~DeviceMemory() {
  cudaFree(Pointer(address_));
}

void Upload(Address to, const void* from, size_t bytes) {
  Check("cudaMemcpy", cudaMemcpy(Pointer(to), from, bytes, cudaMemcpyHostToDevice));
}

void Download(void* to, Address from, size_t bytes) {
  Check("cudaMemcpy", cudaMemcpy(to, Pointer(from), bytes, cudaMemcpyDeviceToHost));
}

void Zero(Address at, size_t bytes) {
  Check("cudaMemset", cudaMemset(Pointer(at), 0, bytes));
}

void Synchronize() {
  Check("cudaDeviceSynchronize", cudaDeviceSynchronize());
}

void LaunchRaw(Kernel kernel, unsigned blocks, unsigned threads, void** parameters) {
  Check("cudaLaunchKernel", cudaLaunchKernel(Entry(kernel), dim3(blocks), dim3(threads), parameters, 0, nullptr));
}

}  // namespace sharing
