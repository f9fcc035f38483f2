// Large copies, pageable and pinned, with checksums computed on both sides.
#include "check.h"

__global__ void Sum(const unsigned* values, size_t count, unsigned long long* sum) {
  unsigned long long mine = 0;
  for (size_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x)
    mine += values[i] * static_cast<unsigned>(i % 7 + 1);
  atomicAdd(sum, mine);
}

int main() {
  constexpr size_t kCount = (24u << 20) / 4 + 13;  // words: 24 MiB and a little
  std::vector<unsigned> pageable(kCount);
  unsigned state = 1;
  unsigned long long expected = 0;
  for (size_t i = 0; i < kCount; ++i) {
    pageable[i] = state = state * 1664525u + 1013904223u;
    expected += static_cast<unsigned long long>(state * static_cast<unsigned>(i % 7 + 1));
  }
  unsigned* device = Device<unsigned>(kCount);
  auto* sum = Device<unsigned long long>(1);
  unsigned* pinned;
  NEED(cudaMallocHost(&pinned, kCount * 4));

  SHOW(cudaMemcpy(device, pageable.data(), kCount * 4, cudaMemcpyHostToDevice));
  SHOW(cudaMemcpy(pinned, device, kCount * 4, cudaMemcpyDeviceToHost));
  Print("pinned holds the same", Checksum(pinned, kCount * 4) == Checksum(pageable.data(), kCount * 4));
  SHOW(cudaMemset(device, 0, kCount * 4));
  SHOW(cudaMemcpy(device, pinned, kCount * 4, cudaMemcpyHostToDevice));
  std::vector<unsigned> back(kCount);
  SHOW(cudaMemcpy(back.data(), device, kCount * 4, cudaMemcpyDeviceToHost));
  Print("checksum", Checksum(back.data(), kCount * 4));
  Print("equal", back == pageable);
  Sum<<<8, 128>>>(device, kCount, sum);
  Print("the device's sum is the host's", Host(sum, 1)[0] == expected);
}
