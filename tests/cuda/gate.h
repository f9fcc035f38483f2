// A kernel that runs until the host opens the gate: what is behind it in its stream cannot have happened before.
#pragma once

#include "check.h"

static __global__ void WaitAtGate(volatile int* open) {
  while (*open == 0) {
  }
}

class Gate {
 public:
  Gate() {
    PRELOAD(WaitAtGate);
    NEED(cudaHostAlloc(&open_, sizeof *open_, cudaHostAllocMapped));
    *open_ = 0;
  }
  void CloseOn(cudaStream_t stream) {
    void* arguments[] = {&open_};
    NEED(cudaLaunchKernel(WaitAtGate, dim3(1), dim3(1), arguments, 0, stream));
  }
  void Open() { *static_cast<volatile int*>(open_) = 1; }

 private:
  int* open_ = nullptr;
};
