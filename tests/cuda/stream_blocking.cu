// A blocking stream waits for the legacy default stream and is waited for by it; a non-blocking stream does neither.
#include "gate.h"

__global__ void Write(int* to, int value) {
  *to = value;
}

int main() {
  PRELOAD(Write);
  int* memory = Device<int>(3);
  cudaStream_t blocking, free_stream;
  NEED(cudaStreamCreate(&blocking));
  NEED(cudaStreamCreateWithFlags(&free_stream, cudaStreamNonBlocking));
  unsigned flags;
  SHOW(cudaStreamGetFlags(blocking, &flags));
  Print("flags", flags);
  SHOW(cudaStreamGetFlags(free_stream, &flags));
  Print("flags", flags);
  SHOW(cudaStreamGetFlags(nullptr, &flags));
  Print("flags", flags);

  Gate gate;
  gate.CloseOn(blocking);
  Write<<<1, 1>>>(memory, 1);                      // waits for `blocking`
  Write<<<1, 1, 0, free_stream>>>(memory + 1, 2);  // waits for nobody
  SHOW(cudaStreamSynchronize(free_stream));
  SHOW(cudaStreamQuery(free_stream));
  SHOW(cudaStreamQuery(blocking));
  SHOW(cudaStreamQuery(nullptr));
  SHOW(cudaGetLastError());
  gate.Open();
  SHOW(cudaDeviceSynchronize());
  SHOW(cudaStreamQuery(blocking));
  SHOW(cudaStreamQuery(cudaStreamLegacy));

  Gate second;
  second.CloseOn(nullptr);
  Write<<<1, 1, 0, blocking>>>(memory + 2, 3);  // waits for the default stream
  SHOW(cudaStreamQuery(blocking));
  SHOW(cudaStreamQuery(free_stream));
  second.Open();
  SHOW(cudaStreamSynchronize(blocking));
  Print("memory", Host(memory, 3));
  SHOW(cudaStreamDestroy(blocking));
  SHOW(cudaStreamDestroy(free_stream));
}
