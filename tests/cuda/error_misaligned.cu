// A kernel that writes an int at an odd address.
#include "check.h"

__global__ void Write(char* to) {
  *reinterpret_cast<volatile int*>(to + 1) = 1;
}

int main() {
  char* memory = Device<char>(16);
  Write<<<1, 1>>>(memory);
  SHOW(cudaDeviceSynchronize());
  SHOW(cudaDeviceSynchronize());
  SHOW(cudaFree(memory));
  SHOW(cudaGetLastError());
}
