// Arrays: their description, and copies between them, the host and linear memory.
#include "check.h"

int main() {
  const cudaChannelFormatDesc format = cudaCreateChannelDesc<int>();
  cudaArray_t array, other;
  SHOW(cudaMallocArray(&array, &format, 4, 3));
  SHOW(cudaMallocArray(&other, &format, 4, 3));
  cudaChannelFormatDesc given;
  cudaExtent extent;
  unsigned flags;
  SHOW(cudaArrayGetInfo(&given, &extent, &flags, array));
  std::printf("%d %d %d %d kind %d, %zu x %zu x %zu, flags %u\n", given.x, given.y, given.z, given.w, given.f,
              extent.width, extent.height, extent.depth, flags);

  int host[12], back[12] = {};
  for (int i = 0; i < 12; ++i) host[i] = i;
  SHOW(cudaMemcpy2DToArray(array, 0, 0, host, 16, 16, 3, cudaMemcpyHostToDevice));
  SHOW(cudaMemcpy2DArrayToArray(other, 0, 0, array, 0, 0, 16, 3));
  SHOW(cudaMemcpy2DFromArray(back, 16, other, 0, 0, 16, 3, cudaMemcpyDeviceToHost));
  Print("through two arrays", back, 12);
  SHOW(cudaMemcpy2DFromArray(back, 16, array, 4, 1, 8, 2, cudaMemcpyDeviceToHost));
  Print("a part", back, 12);
  int* device = Device<int>(12);
  SHOW(cudaMemcpy2DFromArrayAsync(device, 16, array, 0, 0, 16, 3, cudaMemcpyDeviceToDevice, nullptr));
  Print("to linear memory", Host(device, 12));
  SHOW(cudaMemset(device, 0, 48));
  SHOW(cudaMemcpy2DToArrayAsync(array, 4, 2, device, 16, 8, 1, cudaMemcpyDeviceToDevice, nullptr));
  SHOW(cudaMemcpy2DFromArray(back, 16, array, 0, 0, 16, 3, cudaMemcpyDeviceToHost));
  Print("from linear memory", back, 12);
  SHOW(cudaMemcpy2DToArray(array, 0, 0, host, 16, 20, 3, cudaMemcpyHostToDevice));
  SHOW(cudaMallocArray(&other, &format, 0, 0));
  SHOW(cudaFreeArray(array));
  SHOW(cudaFreeArray(nullptr));
}
