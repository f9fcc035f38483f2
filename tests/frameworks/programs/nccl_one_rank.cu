// NCCL with one rank: all-reduce, broadcast and all-gather are copies.
#include <nccl.h>

#include <cstdio>
#include <vector>

#include <cuda_runtime.h>

#define CHECK(call)                                               \
  do {                                                            \
    if (const int status = static_cast<int>(call); status != 0) { \
      std::printf("%s answers %d\n", #call, status);              \
      return 1;                                                   \
    }                                                             \
  } while (false)

int main() {
  ncclUniqueId id;
  CHECK(ncclGetUniqueId(&id));
  ncclComm_t communicator;
  CHECK(ncclCommInitRank(&communicator, 1, id, 0));
  constexpr int kCount = 1 << 16;
  std::vector<float> host(kCount);
  for (int i = 0; i < kCount; ++i) host[i] = static_cast<float>(i % 100);
  float *in, *out;
  CHECK(cudaMalloc(&in, kCount * 4));
  CHECK(cudaMalloc(&out, kCount * 4));
  CHECK(cudaMemcpy(in, host.data(), kCount * 4, cudaMemcpyHostToDevice));
  cudaStream_t stream;
  CHECK(cudaStreamCreate(&stream));
  CHECK(ncclAllReduce(in, out, kCount, ncclFloat, ncclSum, communicator, stream));
  CHECK(ncclBroadcast(out, out, kCount, ncclFloat, 0, communicator, stream));
  CHECK(ncclAllGather(out, in, kCount, ncclFloat, communicator, stream));
  CHECK(cudaStreamSynchronize(stream));
  CHECK(cudaMemcpy(host.data(), in, kCount * 4, cudaMemcpyDeviceToHost));
  double sum = 0;
  for (const float value : host) sum += value;
  std::printf("sum %a\n", sum);
  CHECK(ncclCommDestroy(communicator));
}
