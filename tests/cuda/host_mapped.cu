// Program and kernel talk through pinned memory while the kernel runs.
#include "check.h"

__global__ void Echo(volatile int* request, volatile int* answer) {
  for (int turn = 1; turn <= 3; ++turn) {
    while (request[0] != turn) {
    }
    answer[1] = request[1] * 10;
    __threadfence_system();
    answer[0] = turn;
  }
}

int main() {
  volatile int* shared;
  void* memory;
  NEED(cudaHostAlloc(&memory, 256, cudaHostAllocMapped));
  shared = static_cast<int*>(memory);
  for (int i = 0; i < 64; ++i) shared[i] = 0;
  int* on_device;
  SHOW(cudaHostGetDevicePointer(&on_device, const_cast<int*>(shared), 0));
  Echo<<<1, 1>>>(on_device, on_device + 32);
  SHOW(cudaGetLastError());
  for (int turn = 1; turn <= 3; ++turn) {
    shared[1] = turn + 4;
    __sync_synchronize();
    shared[0] = turn;
    while (shared[32] != turn) {
    }
    Print("answer", static_cast<int>(shared[33]));
  }
  SHOW(cudaDeviceSynchronize());
}
