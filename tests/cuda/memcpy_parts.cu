// Pageable copies of sizes around those where they are split or take another way, at odd addresses, and of several
// threads at once.
#include <atomic>
#include <thread>

#include "check.h"

namespace {

constexpr size_t kKiB = 1024, kMost = 20 * 1024 * kKiB + 64;
constexpr size_t kSizes[] = {1,           64,           16 * kKiB,       32 * kKiB,   64 * kKiB,
                             128 * kKiB,  256 * kKiB,   512 * kKiB,      1024 * kKiB, 2048 * kKiB,
                             3000 * kKiB, 16384 * kKiB, 20 * 1024 * kKiB};

void Fill(std::vector<unsigned char>& bytes, unsigned seed) {
  for (unsigned char& byte : bytes) byte = static_cast<unsigned char>((seed = seed * 1664525u + 1013904223u) >> 24);
}

// There and back; what lies around the target is as it was.
bool RoundTrip(const unsigned char* from, unsigned char* device, std::vector<unsigned char>& back, size_t offset,
               size_t bytes, cudaStream_t stream) {
  std::fill(back.begin(), back.end(), 0xee);
  NEED(cudaMemsetAsync(device, 0x11, bytes + 8, stream));
  NEED(cudaMemcpyAsync(device + 3, from + offset, bytes, cudaMemcpyHostToDevice, stream));
  NEED(cudaMemcpyAsync(back.data() + offset, device + 3, bytes, cudaMemcpyDeviceToHost, stream));
  NEED(cudaStreamSynchronize(stream));
  unsigned char edges[2];
  NEED(cudaMemcpy(edges, device + 2, 1, cudaMemcpyDeviceToHost));
  NEED(cudaMemcpy(edges + 1, device + 3 + bytes, 1, cudaMemcpyDeviceToHost));
  return std::equal(from + offset, from + offset + bytes, back.data() + offset) && back[offset + bytes] == 0xee &&
         (offset == 0 || back[offset - 1] == 0xee) && edges[0] == 0x11 && edges[1] == 0x11;
}

int WrongRoundTrips(unsigned seed, int rounds) {
  std::vector<unsigned char> from(kMost), back(kMost);
  Fill(from, seed);
  unsigned char* device = nullptr;
  cudaStream_t stream;
  NEED(cudaMalloc(&device, kMost));
  NEED(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  int wrong = 0;
  for (int round = 0; round < rounds; ++round)
    for (const size_t size : kSizes)
      for (const size_t more : {size_t{0}, size_t{1}, size_t{17}})
        if (!RoundTrip(from.data(), device, back, more, size + more - (more == 1 && size > 1 ? 2 : 0), stream)) ++wrong;
  NEED(cudaStreamDestroy(stream));
  NEED(cudaFree(device));
  return wrong;
}

}  // namespace

int main() {
  Print("wrong round trips", WrongRoundTrips(1, 1));
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 4; ++i) threads.emplace_back([&wrong, i] { wrong += WrongRoundTrips(i + 2, 2); });
  for (std::thread& thread : threads) thread.join();
  Print("wrong round trips of four threads", wrong.load());

  // The source may be changed as soon as the call has returned, whatever the device is doing.
  std::vector<unsigned char> from(kMost), back(kMost), expected;
  Fill(from, 9);
  expected = from;
  unsigned char* device = nullptr;
  NEED(cudaMalloc(&device, kMost));
  NEED(cudaMemcpy(device, from.data(), kMost, cudaMemcpyHostToDevice));
  std::fill(from.begin(), from.end(), 0);
  NEED(cudaMemcpy(back.data(), device, kMost, cudaMemcpyDeviceToHost));
  Print("what was there when it was called", back == expected);
}
