// The primary context: its state, flags, and the runtime's use of it.
#include "check.h"

void State() {
  unsigned flags;
  int active;
  NEED(cuDevicePrimaryCtxGetState(0, &flags, &active));
  std::printf("flags %u, active %d\n", flags, active);
}

int main() {
  SHOW(cuCtxSynchronize());
  SHOW(cuInit(1));
  SHOW(cuInit(0));
  State();
  CUcontext context = nullptr, current = nullptr;
  SHOW(cuCtxGetCurrent(&current));
  Print("none is current", current == nullptr);
  CUdeviceptr memory;
  SHOW(cuMemAlloc(&memory, 16));
  SHOW(cuDevicePrimaryCtxSetFlags(0, CU_CTX_SCHED_BLOCKING_SYNC));
  SHOW(cuDevicePrimaryCtxRetain(&context, 0));
  State();
  SHOW(cuCtxSetCurrent(context));
  SHOW(cuMemAlloc(&memory, 16));
  SHOW(cudaFree(nullptr));
  SHOW(cuCtxGetCurrent(&current));
  Print("the runtime takes the same", current == context);
  unsigned flags;
  SHOW(cudaGetDeviceFlags(&flags));
  Print("flags", flags & cudaDeviceScheduleMask);
  CUdevice device;
  SHOW(cuCtxGetDevice(&device));
  Print("device", device);
  SHOW(cudaSetDeviceFlags(cudaDeviceScheduleSpin));
  SHOW(cuDevicePrimaryCtxRelease(0));
  SHOW(cudaDeviceSynchronize());
  SHOW(cudaDeviceReset());
  State();
  int* again;
  SHOW(cudaMalloc(&again, 16));
  SHOW(cudaMemset(again, 0, 16));
  SHOW(cuDevicePrimaryCtxSetFlags(0, 0xff00));
  SHOW(cuDevicePrimaryCtxRetain(&context, 999));
}
