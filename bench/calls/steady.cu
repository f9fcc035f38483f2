// Works as long as it is told to, and is idle in between: for the CPU time that work and idleness cost.
//
// Prints "ready" once it has a context; then for each line "KIND SECONDS" of standard input, how many units of work it
// did, one number; ends with its input. Kinds: launches (a hundred tiny kernels and one wait, a unit each), waits (a
// kernel of some 100 us and a wait), copies (1 MiB of ordinary memory there and back).
#include <iostream>

#include "measure.h"

namespace {

constexpr size_t kBytes = 1 << 20;

__global__ void Count(uint64_t* count) {
  *count += 1;
}

__global__ void Spin(uint64_t* count, int rounds) {
  uint32_t word = static_cast<uint32_t>(*count);
#pragma unroll 1
  for (int i = 0; i < rounds; ++i) word = word * 1664525u + 1013904223u;
  *count += word != 0;
}

struct Worker {
  uint64_t* count = bench::Zeroed<uint64_t>(1);
  char* device = bench::Zeroed<char>(kBytes);
  std::vector<char> host = std::vector<char>(kBytes, 1);

  bool Do(const std::string& kind) {
    if (kind == "launches") {
      for (int i = 0; i < 100; ++i) Count<<<1, 1>>>(count);
      CHECK(cudaDeviceSynchronize());
    } else if (kind == "waits") {
      Spin<<<1, 1>>>(count, 20000);
      CHECK(cudaDeviceSynchronize());
    } else if (kind == "copies") {
      CHECK(cudaMemcpy(device, host.data(), kBytes, cudaMemcpyHostToDevice));
      CHECK(cudaMemcpy(host.data(), device, kBytes, cudaMemcpyDeviceToHost));
    } else {
      return false;
    }
    return true;
  }
};

}  // namespace

int main() {
  Worker worker;
  for (const char* kind : {"launches", "waits", "copies"}) worker.Do(kind);
  std::cout << "ready" << std::endl;
  std::string kind;
  double seconds;
  while (std::cin >> kind >> seconds) {
    int units = 0;
    for (const bench::Stopwatch watch; watch.Microseconds() < seconds * 1e6; ++units)
      if (!worker.Do(kind)) return std::fprintf(stderr, "Kind (%s) is not known.\n", kind.c_str()), 2;
    std::cout << units << std::endl;
  }
  return 0;
}
