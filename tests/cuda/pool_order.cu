// Memory of a pool is reused in the order of its stream, and shared across streams by events.
#include "gate.h"

__global__ void Fill(int* to, int value) {
  to[threadIdx.x] = value;
}
__global__ void Take(const int* from, int* to) {
  *to = from[7];
}

int main() {
  PRELOAD(Fill);
  PRELOAD(Take);
  int* results = Device<int>(4);
  cudaStream_t a, b;
  NEED(cudaStreamCreateWithFlags(&a, cudaStreamNonBlocking));
  NEED(cudaStreamCreateWithFlags(&b, cudaStreamNonBlocking));
  cudaEvent_t event;
  NEED(cudaEventCreate(&event));
  int* warm;
  NEED(cudaMallocAsync(&warm, 4096, a));
  NEED(cudaFreeAsync(warm, a));
  NEED(cudaStreamSynchronize(a));

  // Four owners in turn, one after another in one stream: each sees what it wrote.
  for (int i = 0; i < 4; ++i) {
    int* memory;
    NEED(cudaMallocAsync(&memory, 4096, a));
    Fill<<<1, 32, 0, a>>>(memory, 10 + i);
    Take<<<1, 1, 0, a>>>(memory, results + i);
    NEED(cudaFreeAsync(memory, a));
  }
  SHOW(cudaStreamSynchronize(a));
  Print("results", Host(results, 4));

  // Made in one stream, read and freed in another.
  int* memory;
  SHOW(cudaMallocAsync(&memory, 4096, a));
  Fill<<<1, 32, 0, a>>>(memory, 77);
  SHOW(cudaEventRecord(event, a));
  SHOW(cudaStreamWaitEvent(b, event));
  Take<<<1, 1, 0, b>>>(memory, results);
  SHOW(cudaFreeAsync(memory, b));
  SHOW(cudaStreamSynchronize(b));
  Print("results", Host(results, 4));

  // Memory of cudaMalloc may be freed in the order of a stream too.
  int* plain = Device<int>(32);
  Fill<<<1, 32, 0, a>>>(plain, 5);
  Take<<<1, 1, 0, a>>>(plain, results + 1);
  SHOW(cudaFreeAsync(plain, a));
  SHOW(cudaStreamSynchronize(a));
  Print("results", Host(results, 4));
}
