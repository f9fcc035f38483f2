// The sum and the maximum of a vector: shuffles inside a warp, shared memory inside a block, one atomic per block.
//
// Payload: "elements" (default 262144), "seed" (default 1).
#include <algorithm>
#include <string>
#include <vector>

#include "cuda_check.h"

namespace {

constexpr int kThreads = 256;
constexpr int kMaxBlocks = 512;
constexpr long long kMaxElements = 1LL << 28;
constexpr unsigned kAllLanes = 0xffffffffu;

struct Totals {
  unsigned long long sum;
  unsigned maximum;
};

__global__ void Reduce(const unsigned* values, long long count, Totals* totals) {
  __shared__ unsigned long long warp_sums[kThreads / 32];
  __shared__ unsigned warp_maxima[kThreads / 32];
  unsigned long long sum = 0;
  unsigned maximum = 0;
  const long long stride = static_cast<long long>(gridDim.x) * blockDim.x;
  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += stride) {
    sum += values[i];
    maximum = max(maximum, values[i]);
  }
  for (int offset = 16; offset > 0; offset /= 2) {
    sum += __shfl_down_sync(kAllLanes, sum, offset);
    maximum = max(maximum, __shfl_down_sync(kAllLanes, maximum, offset));
  }
  const int warp = threadIdx.x / 32;
  if (threadIdx.x % 32 == 0) {
    warp_sums[warp] = sum;
    warp_maxima[warp] = maximum;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int i = 1; i < kThreads / 32; ++i) {
      sum += warp_sums[i];
      maximum = max(maximum, warp_maxima[i]);
    }
    atomicAdd(&totals->sum, sum);
    atomicMax(&totals->maximum, maximum);
  }
}

int ReduceOnDevice(const std::vector<unsigned>& values, Totals& totals) {
  example::DeviceArray<unsigned> device_values(values.size());
  example::DeviceArray<Totals> device_totals(1);
  EXAMPLE_CUDA(device_values.Status());
  EXAMPLE_CUDA(device_totals.Status());
  EXAMPLE_CUDA(device_values.Upload(values));
  EXAMPLE_CUDA(cudaMemset(device_totals.data(), 0, sizeof(Totals)));
  const long long count = static_cast<long long>(values.size());
  const int blocks = static_cast<int>(std::min<long long>((count + kThreads - 1) / kThreads, kMaxBlocks));
  Reduce<<<blocks, kThreads>>>(device_values.data(), count, device_totals.data());
  EXAMPLE_CUDA(cudaGetLastError());
  EXAMPLE_CUDA(cudaMemcpy(&totals, device_totals.data(), sizeof totals, cudaMemcpyDeviceToHost));
  return 0;
}

}  // namespace

int example::Run(std::string_view text, std::string& result) {
  const auto payload = Payload::Parse(text);
  if (!payload) return Fail("The payload is not a JSON object of numbers.");
  const long long elements = payload->Number("elements", 262144);
  if (elements < 1 || elements > kMaxElements)
    return Fail("elements is %lld (allowed: 1 to %lld).", elements, kMaxElements);

  std::vector<unsigned> values(elements);
  Sequence sequence(static_cast<unsigned>(payload->Number("seed", 1)));
  for (unsigned& value : values) value = sequence.Next();
  Totals expected{};
  for (const unsigned value : values) {
    expected.sum += value;
    expected.maximum = std::max(expected.maximum, value);
  }
  Totals totals{};
  if (const int status = ReduceOnDevice(values, totals); status != 0) return status;
  if (totals.sum != expected.sum) return Fail("The sum is %llu (expected %llu).", totals.sum, expected.sum);
  if (totals.maximum != expected.maximum)
    return Fail("The maximum is %u (expected %u).", totals.maximum, expected.maximum);
  result = "{\"result\":\"ok\",\"elements\":" + std::to_string(elements) + ",\"sum\":" + std::to_string(totals.sum) +
           ",\"maximum\":" + std::to_string(totals.maximum) + "}";
  return 0;
}
