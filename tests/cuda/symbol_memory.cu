// Variables of the device: initial values, alignment, pointers to one another, and 64 KiB of constants.
#include "check.h"

__device__ int base[3] = {7, 8, 9};
__device__ int* second = &base[1];
__constant__ double factors[2] = {0.5, 0.25};
__constant__ char filler[60000];
struct alignas(16) Wide {
  float x, y, z;
};
__device__ Wide wide = {1, 2, 3};
static __device__ unsigned char text[] = "device text";

__global__ void Use(double* out, unsigned char* letters) {
  out[0] = *second * factors[0];
  out[1] = factors[1] + filler[100];
  out[2] = wide.x + wide.y + wide.z;
  out[3] = reinterpret_cast<size_t>(&wide) % 16;
  for (int i = 0; i < 12; ++i) letters[i] = text[i];
}

int main() {
  double* out = Device<double>(4);
  unsigned char* letters = Device<unsigned char>(12);
  Use<<<1, 1>>>(out, letters);
  SHOW(cudaDeviceSynchronize());
  Print("out", Host(out, 4));
  std::printf("%s\n", reinterpret_cast<const char*>(Host(letters, 12).data()));
  size_t bytes;
  SHOW(cudaGetSymbolSize(&bytes, filler));
  Print("filler", bytes);
  SHOW(cudaGetSymbolSize(&bytes, wide));
  Print("wide", bytes);
}
