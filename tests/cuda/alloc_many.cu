// Many allocations of many sizes: none overlaps another, memory is given back, addresses are aligned.
#include <map>

#include "check.h"

int main() {
  std::map<char*, size_t> live;
  unsigned state = 7;
  int misaligned = 0, overlaps = 0;
  for (int i = 0; i < 3000; ++i) {
    state = state * 1664525u + 1013904223u;
    if (live.size() > 200 && state % 3 != 0) {
      auto victim = live.lower_bound(reinterpret_cast<char*>(static_cast<size_t>(state) << 20));
      if (victim == live.end()) victim = live.begin();
      NEED(cudaFree(victim->first));
      live.erase(victim);
      continue;
    }
    const size_t bytes = 1 + (state >> 8) % (i % 10 == 0 ? 300'000 : 3000);
    char* memory;
    NEED(cudaMalloc(&memory, bytes));
    misaligned += reinterpret_cast<size_t>(memory) % 256 != 0;
    const auto next = live.lower_bound(memory);
    if (next != live.end() && memory + bytes > next->first) ++overlaps;
    if (next != live.begin() && std::prev(next)->first + std::prev(next)->second > memory) ++overlaps;
    live[memory] = bytes;
  }
  Print("misaligned", misaligned);
  Print("overlaps", overlaps);
  unsigned char value = 0;
  for (const auto& [memory, bytes] : live) NEED(cudaMemset(memory, ++value, bytes));
  int wrong = 0;
  value = 0;
  for (const auto& [memory, bytes] : live) {
    unsigned char ends[2];
    NEED(cudaMemcpy(ends, memory, 1, cudaMemcpyDeviceToHost));
    NEED(cudaMemcpy(ends + 1, memory + bytes - 1, 1, cudaMemcpyDeviceToHost));
    ++value;
    wrong += ends[0] != value || ends[1] != value;
  }
  Print("wrong", wrong);
  for (const auto& [memory, bytes] : live) NEED(cudaFree(memory));
  for (int i = 0; i < 100; ++i) {  // 100 times 64 MiB, one after another
    char* memory;
    NEED(cudaMalloc(&memory, 64 << 20));
    NEED(cudaFree(memory));
  }
  SHOW(cudaDeviceSynchronize());
}
