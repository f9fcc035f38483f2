// Counts how often each byte value occurs: atomics on shared memory, then atomics on global memory.
//
// Payload: "elements" (bytes counted, default 1048576), "seed" (default 1).
#include <algorithm>
#include <string>
#include <vector>

#include "cuda_check.h"

namespace {

constexpr int kBins = 256;
constexpr int kMaxBlocks = 256;
constexpr long long kMaxElements = 1LL << 30;

__global__ void Histogram(const unsigned char* values, long long count, unsigned* bins) {
  __shared__ unsigned block_bins[kBins];
  block_bins[threadIdx.x] = 0;
  __syncthreads();
  const long long stride = static_cast<long long>(gridDim.x) * blockDim.x;
  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += stride)
    atomicAdd(&block_bins[values[i]], 1u);
  __syncthreads();
  if (block_bins[threadIdx.x] != 0) atomicAdd(&bins[threadIdx.x], block_bins[threadIdx.x]);
}

int CountOnDevice(const std::vector<unsigned char>& values, std::vector<unsigned>& bins) {
  example::DeviceArray<unsigned char> device_values(values.size());
  example::DeviceArray<unsigned> device_bins(kBins);
  EXAMPLE_CUDA(device_values.Status());
  EXAMPLE_CUDA(device_bins.Status());
  EXAMPLE_CUDA(device_values.Upload(values));
  EXAMPLE_CUDA(cudaMemset(device_bins.data(), 0, kBins * sizeof(unsigned)));
  const long long count = static_cast<long long>(values.size());
  const int blocks = static_cast<int>(std::min<long long>((count + kBins - 1) / kBins, kMaxBlocks));
  Histogram<<<blocks, kBins>>>(device_values.data(), count, device_bins.data());
  EXAMPLE_CUDA(cudaGetLastError());
  EXAMPLE_CUDA(device_bins.Download(bins));
  return 0;
}

}  // namespace

int example::Run(std::string_view text, std::string& result) {
  const auto payload = Payload::Parse(text);
  if (!payload) return Fail("The payload is not a JSON object of numbers.");
  const long long elements = payload->Number("elements", 1 << 20);
  if (elements < 1 || elements > kMaxElements)
    return Fail("elements is %lld (allowed: 1 to %lld).", elements, kMaxElements);

  std::vector<unsigned char> values(elements);
  std::vector<unsigned> bins(kBins), expected(kBins, 0);
  Sequence sequence(static_cast<unsigned>(payload->Number("seed", 1)));
  for (unsigned char& value : values) {
    // The smaller of two draws: an uneven histogram, so that swapped bins are noticed.
    value = static_cast<unsigned char>(std::min(sequence.Next() >> 24, sequence.Next() >> 24));
    ++expected[value];
  }
  if (const int status = CountOnDevice(values, bins); status != 0) return status;
  for (int bin = 0; bin < kBins; ++bin)
    if (bins[bin] != expected[bin]) return Fail("Bin %d holds %u (expected %u).", bin, bins[bin], expected[bin]);
  const long fullest = std::max_element(bins.begin(), bins.end()) - bins.begin();
  result = "{\"result\":\"ok\",\"elements\":" + std::to_string(elements) +
           ",\"fullest-bin\":" + std::to_string(fullest) + ",\"fullest-count\":" + std::to_string(bins[fullest]) + "}";
  return 0;
}
