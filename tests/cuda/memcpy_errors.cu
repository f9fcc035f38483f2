// Copies that are refused: pitches too small, null pointers, kinds that do not exist. None of them is sticky.
#include "check.h"

int main() {
  int* device = Device<int>(64);
  int host[64] = {};
  SHOW(cudaMemcpy(nullptr, host, 4, cudaMemcpyHostToDevice));
  SHOW(cudaMemcpy(device, nullptr, 4, cudaMemcpyHostToDevice));
  SHOW(cudaMemcpy2D(device, 4, host, 16, 16, 2, cudaMemcpyHostToDevice));
  SHOW(cudaMemcpy2D(device, 16, host, 4, 16, 2, cudaMemcpyHostToDevice));
  SHOW(cudaMemcpyAsync(device, host, 4, static_cast<cudaMemcpyKind>(9), nullptr));
  SHOW(cuMemcpyHtoD(0, host, 4));
  SHOW(cuMemcpyDtoH(host, 0x10, 4));
  SHOW(cudaFree(device + 1));
  SHOW(cudaFree(host));
  SHOW(cudaGetLastError());
  SHOW(cudaFree(device));
  SHOW(cudaFree(device));
  SHOW(cudaDeviceSynchronize());
}
