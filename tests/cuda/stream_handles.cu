// Ids of streams, the special handles, destroying a stream that has work, and handles that may not be destroyed.
#include "gate.h"

__global__ void Write(int* to) {
  *to = 5;
}

int main() {
  PRELOAD(Write);
  int* memory = Device<int>(1);
  cudaStream_t a, b;
  NEED(cudaStreamCreate(&a));
  NEED(cudaStreamCreate(&b));
  unsigned long long id_a, id_b, id_default, id_legacy, id_thread;
  SHOW(cudaStreamGetId(a, &id_a));
  SHOW(cudaStreamGetId(b, &id_b));
  SHOW(cudaStreamGetId(nullptr, &id_default));
  SHOW(cudaStreamGetId(cudaStreamLegacy, &id_legacy));
  SHOW(cudaStreamGetId(cudaStreamPerThread, &id_thread));
  Print("ids differ", id_a != id_b && id_a != id_default && id_thread != id_default);
  Print("null is the legacy stream", id_default == id_legacy);
  int device = -1;
  SHOW(cudaStreamGetDevice(a, &device));
  Print("device", device);

  Gate gate;
  gate.CloseOn(a);
  Write<<<1, 1, 0, a>>>(memory);
  SHOW(cudaStreamDestroy(a));  // returns at once; the work is still done
  gate.Open();
  SHOW(cudaDeviceSynchronize());
  Print("memory", Host(memory, 1));
  SHOW(cudaStreamDestroy(nullptr));
  SHOW(cudaStreamDestroy(cudaStreamLegacy));
  SHOW(cudaStreamDestroy(cudaStreamPerThread));
  SHOW(cudaStreamSynchronize(cudaStreamPerThread));
  SHOW(cudaStreamDestroy(b));
}
