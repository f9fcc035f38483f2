// Threads that share one stream and one buffer; and a thread that waits delays nobody.
#include <atomic>
#include <thread>

#include "gate.h"

__global__ void Increment(int* to) {
  ++*to;
}

int main() {
  PRELOAD(Increment);
  int* memory = Device<int>(2);
  cudaStream_t stream, other;
  NEED(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  NEED(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 250; ++i) Increment<<<1, 1, 0, stream>>>(memory);
      NEED(cudaStreamSynchronize(stream));
    });
  for (auto& thread : threads) thread.join();
  Print("incremented", Host(memory, 1));

  Gate gate;
  gate.CloseOn(stream);
  std::atomic<bool> waited = false;
  std::thread waiter([&] {
    NEED(cudaStreamSynchronize(stream));
    waited = true;
  });
  for (int i = 0; i < 100; ++i) {
    Increment<<<1, 1, 0, other>>>(memory + 1);
    NEED(cudaStreamSynchronize(other));
  }
  Print("the other still waits", !waited);
  gate.Open();
  waiter.join();
  Print("memory", Host(memory, 2));
}
