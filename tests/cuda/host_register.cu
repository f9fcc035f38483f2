// Host memory that the program owns, registered: kernels use it in place, copies do not wait.
#include <sys/mman.h>

#include "gate.h"

__global__ void Add(int* values, int count, int value) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) values[i] += value;
}

int main() {
  PRELOAD(Add);
  constexpr size_t kBytes = 1 << 20;
  constexpr int kCount = kBytes / sizeof(int);
  int* memory = static_cast<int*>(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  for (int i = 0; i < kCount; ++i) memory[i] = i;  // what is there stays
  SHOW(cudaHostRegister(memory, kBytes, cudaHostRegisterMapped));
  Print("kept", memory[1000]);
  int* device;
  SHOW(cudaHostGetDevicePointer(&device, memory, 0));
  Print("one address", device == memory);
  Add<<<kCount / 256, 256>>>(device, kCount, 7);
  SHOW(cudaDeviceSynchronize());
  Print("added", memory, 4);
  Print("last", memory[kCount - 1]);
  unsigned flags;
  SHOW(cudaHostGetFlags(&flags, memory));
  Print("mapped", (flags & cudaHostRegisterMapped) != 0);
  cudaPointerAttributes attributes;
  SHOW(cudaPointerGetAttributes(&attributes, memory + 5));
  Print("type", attributes.type);

  int* other = Device<int>(kCount);
  cudaStream_t stream;
  NEED(cudaStreamCreate(&stream));
  Gate gate;
  gate.CloseOn(stream);
  SHOW(cudaMemcpyAsync(other, memory, kBytes, cudaMemcpyHostToDevice, stream));
  memory[3] = -1;  // before the copy happens
  gate.Open();
  SHOW(cudaStreamSynchronize(stream));
  Print("copied", Host(other, 4));

  SHOW(cudaHostRegister(memory, kBytes, cudaHostRegisterDefault));  // once only
  SHOW(cudaHostUnregister(memory + 1));
  SHOW(cudaHostUnregister(memory));
  SHOW(cudaHostUnregister(memory));
  Print("kept", memory[1000]);
  SHOW(cudaHostRegister(memory, 0, cudaHostRegisterDefault));
  SHOW(cudaHostRegister(memory + 1024, 4096, cudaHostRegisterPortable));  // a part
  SHOW(cudaMemset(other, 0, kBytes));
  SHOW(cudaMemcpy(other, memory + 1024, 4096, cudaMemcpyHostToDevice));
  Print("a part", Host(other, 2));
  SHOW(cudaHostUnregister(memory + 1024));
  SHOW(cudaGetLastError());
  Print("munmap", munmap(memory, kBytes));
}
