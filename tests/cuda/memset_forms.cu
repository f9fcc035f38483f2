// Sets of 8, 16 and 32 bits, of one and two dimensions, on the default stream and on another.
#include "check.h"

int main() {
  unsigned* memory = Device<unsigned>(16);
  const auto address = reinterpret_cast<CUdeviceptr>(memory);
  SHOW(cudaMemset(memory, 0x1ff, 8));
  Print("bytes", Host(memory, 4));
  SHOW(cuMemsetD16(address, 0x1234, 6));
  Print("16 bits", Host(memory, 4));
  SHOW(cuMemsetD32(address + 4, 0xdeadbeef, 2));
  Print("32 bits", Host(memory, 4));

  SHOW(cudaMemset2D(memory, 16, 7, 6, 4));
  Print("2D bytes, 6 of 16", Host(memory, 16));
  SHOW(cuMemsetD2D16(address, 16, 0xabcd, 2, 2));
  Print("2D 16 bits", Host(memory, 16));
  SHOW(cuMemsetD2D32(address, 16, 5, 3, 4));
  Print("2D 32 bits", Host(memory, 16));

  cudaStream_t stream;
  NEED(cudaStreamCreate(&stream));
  SHOW(cudaMemsetAsync(memory, 0, 64, stream));
  SHOW(cuMemsetD8Async(address + 3, 1, 1, stream));
  SHOW(cuMemsetD32Async(address + 8, 9, 1, stream));
  SHOW(cudaMemset2DAsync(reinterpret_cast<char*>(memory) + 32, 8, 1, 4, 2, stream));
  SHOW(cudaStreamSynchronize(stream));
  Print("on a stream", Host(memory, 16));
  SHOW(cudaMemset(memory, 1, 0));
}
