// Managed memory attached to one stream, which the program may use while another stream works.
#include "gate.h"

__global__ void Write(int* to) {
  *to = 9;
}

int main() {
  PRELOAD(Write);
  int *a, *b;
  NEED(cudaMallocManaged(&a, 4));
  NEED(cudaMallocManaged(&b, 4, cudaMemAttachHost));
  *b = 1;
  cudaStream_t stream;
  NEED(cudaStreamCreate(&stream));
  SHOW(cudaStreamAttachMemAsync(stream, b));
  SHOW(cudaStreamSynchronize(stream));
  Write<<<1, 1, 0, stream>>>(b);
  SHOW(cudaStreamSynchronize(stream));
  Print("b", *b);
  SHOW(cudaStreamAttachMemAsync(stream, a, 0, cudaMemAttachGlobal));
  Write<<<1, 1, 0, stream>>>(a);
  SHOW(cudaStreamSynchronize(stream));
  Print("a", *a);
  SHOW(cudaStreamAttachMemAsync(stream, a, 3));
  int concurrent = 0;
  SHOW(cudaDeviceGetAttribute(&concurrent, cudaDevAttrManagedMemory, 0));
  Print("managed memory", concurrent);
}
