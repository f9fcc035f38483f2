// Priorities: the range, what is given, and what lies outside of it and is clamped.
#include "check.h"

__global__ void Write(int* to) {
  *to = 1;
}

int main() {
  int least, greatest;
  SHOW(cudaDeviceGetStreamPriorityRange(&least, &greatest));
  Print("least", least);
  Print("more than one priority", greatest < least);
  int* memory = Device<int>(1);
  for (const int priority : {least, greatest, 100, -100}) {
    cudaStream_t stream;
    SHOW(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, priority));
    int given;
    unsigned flags;
    SHOW(cudaStreamGetPriority(stream, &given));
    Print("is the least", given == least);
    Print("is the greatest", given == greatest);
    SHOW(cudaStreamGetFlags(stream, &flags));
    Print("flags", flags);
    Write<<<1, 1, 0, stream>>>(memory);
    SHOW(cudaStreamSynchronize(stream));
    SHOW(cudaStreamDestroy(stream));
  }
  int given;
  SHOW(cudaStreamGetPriority(nullptr, &given));
  Print("default stream", given);
  cudaStream_t stream;
  SHOW(cudaStreamCreateWithPriority(&stream, 77, 0));
}
