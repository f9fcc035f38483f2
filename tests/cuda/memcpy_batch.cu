// Many copies by one call, in stream order, with sources that are read then or at the call.
#include "check.h"

int main() {
  int* device = Device<int>(8);
  int* other = Device(std::vector<int>{9, 8, 7, 6});
  int host[4] = {1, 2, 3, 4}, back[2] = {};
  cudaStream_t stream;
  NEED(cudaStreamCreate(&stream));
  const void* to[] = {device, device + 4, device + 6};
  const void* from[] = {host, other, host + 2};
  size_t bytes[] = {16, 8, 8};
  cudaMemcpyAttributes attributes = {};
  attributes.srcAccessOrder = cudaMemcpySrcAccessOrderStream;
  size_t first = 0;
  SHOW(cudaMemcpyBatchAsync(to, from, bytes, 3, &attributes, &first, 1, stream));
  SHOW(cudaStreamSynchronize(stream));
  Print("device", Host(device, 8));
  attributes.srcAccessOrder = cudaMemcpySrcAccessOrderDuringApiCall;
  SHOW(cudaMemcpyBatchAsync(to, from, bytes, 1, &attributes, &first, 1, stream));
  host[0] = 100;
  SHOW(cudaStreamSynchronize(stream));
  Print("device", Host(device, 2));
  const void* down[] = {back};
  const void* source[] = {device + 2};
  SHOW(cudaMemcpyBatchAsync(down, source, bytes + 1, 1, &attributes, &first, 1, stream));
  SHOW(cudaStreamSynchronize(stream));
  Print("back", back, 2);
  SHOW(cudaMemcpyBatchAsync(to, from, bytes, 0, &attributes, &first, 1, stream));
  SHOW(cudaMemcpyBatchAsync(to, from, bytes, 3, &attributes, &first, 1, nullptr));
  SHOW(cudaGetLastError());
}
