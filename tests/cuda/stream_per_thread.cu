// Compiled with --default-stream per-thread: each host thread has a default stream of its own.
#include <thread>

#include "gate.h"

__global__ void Add(int* to, int value) {
  *to += value;
}

int main() {
  PRELOAD(Add);
  int* memory = Device<int>(8);
  Gate gate;
  gate.CloseOn(cudaStreamPerThread);  // the first thread's default stream is busy
  Add<<<1, 1>>>(memory, 1000);        // behind the gate

  cudaError_t queried[8], synchronized[8];
  std::vector<std::thread> threads;
  for (int i = 1; i < 8; ++i)
    threads.emplace_back([&, i] {
      for (int n = 0; n < 10; ++n) Add<<<1, 1>>>(memory + i, i);
      synchronized[i] = cudaStreamSynchronize(nullptr);  // this thread's only
      queried[i] = cudaStreamQuery(cudaStreamPerThread);
    });
  for (auto& thread : threads) thread.join();
  for (int i = 1; i < 8; ++i) std::printf("thread %d: %s, %s\n", i, Name(synchronized[i]), Name(queried[i]));
  SHOW(cudaStreamQuery(nullptr));
  gate.Open();
  SHOW(cudaStreamSynchronize(nullptr));
  SHOW(cudaDeviceSynchronize());
  Print("memory", Host(memory, 8));
}
