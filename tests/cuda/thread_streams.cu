// Eight threads of the program on eight streams, each with copies, kernels and events of its own.
#include <thread>

#include "check.h"

__global__ void Step(int* values, int count, int add) {
  for (int i = threadIdx.x; i < count; i += blockDim.x) values[i] = values[i] * 3 + add;
}

int main() {
  constexpr int kThreads = 8, kCount = 5000, kRounds = 50;
  unsigned sums[kThreads];
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      NEED(cudaSetDevice(0));
      cudaStream_t stream;
      cudaEvent_t event;
      int *device, *host;
      NEED(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
      NEED(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
      NEED(cudaMalloc(&device, kCount * sizeof(int)));
      NEED(cudaMallocHost(&host, kCount * sizeof(int)));
      for (int i = 0; i < kCount; ++i) host[i] = i + t;
      for (int round = 0; round < kRounds; ++round) {
        NEED(cudaMemcpyAsync(device, host, kCount * sizeof(int), cudaMemcpyHostToDevice, stream));
        Step<<<1, 256, 0, stream>>>(device, kCount, t * round);
        NEED(cudaGetLastError());
        NEED(cudaMemcpyAsync(host, device, kCount * sizeof(int), cudaMemcpyDeviceToHost, stream));
        NEED(cudaEventRecord(event, stream));
        NEED(cudaEventSynchronize(event));
      }
      sums[t] = Checksum(host, kCount * sizeof(int));
      NEED(cudaFree(device));
      NEED(cudaFreeHost(host));
      NEED(cudaStreamDestroy(stream));
      NEED(cudaEventDestroy(event));
    });
  for (auto& thread : threads) thread.join();
  Print("sums", sums, kThreads);
}
