// cudaGetLastError clears, cudaPeekAtLastError does not, success does not clear, and each thread has its own.
#include <thread>

#include "check.h"

__global__ void Nothing() {}

int main() {
  SHOW(cudaSetDevice(999));
  SHOW(cudaDeviceSynchronize());
  SHOW(cudaPeekAtLastError());
  std::thread([] { SHOW(cudaGetLastError()); }).join();
  SHOW(cudaGetLastError());
  SHOW(cudaGetLastError());
  Nothing<<<1, 5000>>>();
  Nothing<<<1, 1>>>();
  SHOW(cudaGetLastError());
  SHOW(cudaDeviceSynchronize());
  cudaStream_t stream;
  NEED(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  SHOW(cudaStreamQuery(stream));
  SHOW(cudaGetLastError());
}
