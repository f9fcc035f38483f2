// Errors that CUDA gives at the call itself, of calls that need not wait for the device.
#include "check.h"

__global__ void Add(int* to, int value) {
  *to += value;
}

int main() {
  int* memory = Device<int>(4);
  const auto address = reinterpret_cast<CUdeviceptr>(memory);
  cudaStream_t stream;
  cudaEvent_t event;
  NEED(cudaStreamCreate(&stream));
  NEED(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  SHOW(cuMemsetD16(address + 1, 0, 1));
  SHOW(cuMemsetD32(address + 2, 0, 1));
  SHOW(cuMemsetD32Async(address + 1, 0, 1, stream));
  SHOW(cudaMemset(nullptr, 0, 4));
  SHOW(cuMemcpyDtoD(address, 0, 4));
  SHOW(cudaStreamWaitEvent(stream, event, 99));
  SHOW(cudaEventRecordWithFlags(event, stream, 99));
  cudaLaunchAttribute attribute = {};
  attribute.id = static_cast<cudaLaunchAttributeID>(1000);
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(1);
  config.blockDim = dim3(1);
  config.attrs = &attribute;
  config.numAttrs = 1;
  SHOW(cudaLaunchKernelEx(&config, Add, memory, 5));
  SHOW(cudaGetLastError());
  SHOW(cudaDeviceSynchronize());
  // Past the end of what they name.
  SHOW(cudaMemset(memory, 0, size_t{1} << 40));
  SHOW(cudaDeviceSynchronize());
  SHOW(cudaMemcpyAsync(memory, memory + 2, size_t{1} << 40, cudaMemcpyDeviceToDevice, stream));
  SHOW(cudaDeviceSynchronize());
  Print("memory", Host(memory, 1));
}
