// Pitched memory and copies of two dimensions.
#include "check.h"

int main() {
  constexpr int kWidth = 5, kHeight = 3;
  int host[kHeight][kWidth];
  for (int y = 0; y < kHeight; ++y)
    for (int x = 0; x < kWidth; ++x) host[y][x] = 10 * y + x;

  int* device;
  size_t pitch;
  SHOW(cudaMallocPitch(&device, &pitch, kWidth * sizeof(int), kHeight));
  Print("pitch is a multiple of 32", pitch % 32 == 0);
  Print("pitch holds a row", pitch >= kWidth * sizeof(int));
  SHOW(cudaMemcpy2D(device, pitch, host, sizeof host[0], sizeof host[0], kHeight, cudaMemcpyHostToDevice));

  int back[kHeight][kWidth] = {};
  SHOW(cudaMemcpy2D(back, sizeof back[0], device, pitch, sizeof back[0], kHeight, cudaMemcpyDeviceToHost));
  for (const auto& row : back) Print("row", row, kWidth);

  // The inner 3 x 2, to another place on the device, and from there into a host buffer with a wider pitch.
  int* inner;
  SHOW(cudaMalloc(&inner, 6 * sizeof(int)));
  const char* from = reinterpret_cast<char*>(device) + pitch + sizeof(int);
  SHOW(cudaMemcpy2D(inner, 12, from, pitch, 12, 2, cudaMemcpyDeviceToDevice));
  int wide[2][4] = {};
  SHOW(cudaMemcpy2DAsync(wide, sizeof wide[0], inner, 12, 12, 2, cudaMemcpyDeviceToHost, nullptr));
  SHOW(cudaDeviceSynchronize());
  for (const auto& row : wide) Print("inner row", row, 4);

  SHOW(cudaMemcpy2D(back, 4, device, pitch, 20, 3, cudaMemcpyDeviceToHost));
  SHOW(cudaMemcpy2D(back, sizeof back[0], device, pitch, 0, 3, cudaMemcpyDeviceToHost));
  SHOW(cudaGetLastError());
}
