// Sharing device memory with another process leaves the container, and is refused.
#include "check.h"

int main() {
  int* memory = Device<int>(4);
  cudaIpcMemHandle_t handle;
  SHOW(cudaIpcGetMemHandle(&handle, memory));
  cudaEvent_t event;
  SHOW(cudaEventCreateWithFlags(&event, cudaEventDisableTiming | cudaEventInterprocess));
  SHOW(cudaGetLastError());
  SHOW(cudaMemset(memory, 0, 16));
}
