// Asynchronous copies: pinned memory does not wait, pageable sources may be overwritten at once, orders are kept.
#include "gate.h"

__global__ void Increment(int* values, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) ++values[i];
}

int main() {
  PRELOAD(Increment);
  constexpr int kCount = 100'000;
  int* device = Device<int>(kCount);
  int *pinned, *result;
  NEED(cudaMallocHost(&pinned, kCount * sizeof(int)));
  NEED(cudaMallocHost(&result, kCount * sizeof(int)));
  for (int i = 0; i < kCount; ++i) pinned[i] = i, result[i] = -1;
  cudaStream_t stream;
  NEED(cudaStreamCreate(&stream));

  Gate gate;
  gate.CloseOn(stream);
  SHOW(cudaMemcpyAsync(device, pinned, kCount * sizeof(int), cudaMemcpyHostToDevice, stream));
  Increment<<<(kCount + 255) / 256, 256, 0, stream>>>(device, kCount);
  SHOW(cudaMemcpyAsync(result, device, kCount * sizeof(int), cudaMemcpyDeviceToHost, stream));
  SHOW(cudaStreamQuery(stream));
  Print("not copied yet", result[7]);
  pinned[7] = 1000;  // read only when the copy happens
  gate.Open();
  SHOW(cudaStreamSynchronize(stream));
  Print("result", result, 10);
  Print("last", result[kCount - 1]);

  std::vector<int> pageable(1000, 5);
  SHOW(cudaMemcpyAsync(device, pageable.data(), 4000, cudaMemcpyHostToDevice, stream));
  pageable.assign(1000, 6);  // small pageable sources are taken before the call returns
  std::vector<int> back(1000);
  SHOW(cudaMemcpyAsync(back.data(), device, 4000, cudaMemcpyDeviceToHost, stream));
  SHOW(cudaStreamSynchronize(stream));
  Print("pageable", back.data(), 4);
}
