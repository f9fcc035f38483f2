// C = A x B for square matrices, in tiles of shared memory.
//
// Payload: "size" (rows and columns, default 128), "seed" (default 1). The inputs are small whole numbers, so that the
// result is exact in 32-bit floating point and is compared without a tolerance.
#include <string>
#include <vector>

#include "cuda_check.h"

namespace {

constexpr int kTile = 16;
constexpr long long kMaxSize = 4096;

__global__ void MatrixProduct(const float* a, const float* b, float* c, int size) {
  __shared__ float tile_a[kTile][kTile];
  __shared__ float tile_b[kTile][kTile];
  const int row = blockIdx.y * kTile + threadIdx.y;
  const int column = blockIdx.x * kTile + threadIdx.x;
  float sum = 0;
  for (int start = 0; start < size; start += kTile) {
    const int a_column = start + threadIdx.x;
    const int b_row = start + threadIdx.y;
    tile_a[threadIdx.y][threadIdx.x] = row < size && a_column < size ? a[row * size + a_column] : 0.0f;
    tile_b[threadIdx.y][threadIdx.x] = b_row < size && column < size ? b[b_row * size + column] : 0.0f;
    __syncthreads();
    for (int k = 0; k < kTile; ++k) sum += tile_a[threadIdx.y][k] * tile_b[k][threadIdx.x];
    __syncthreads();
  }
  if (row < size && column < size) c[row * size + column] = sum;
}

int MultiplyOnDevice(int size, const std::vector<float>& a, const std::vector<float>& b, std::vector<float>& c) {
  example::DeviceArray<float> device_a(a.size()), device_b(b.size()), device_c(c.size());
  EXAMPLE_CUDA(device_a.Status());
  EXAMPLE_CUDA(device_b.Status());
  EXAMPLE_CUDA(device_c.Status());
  EXAMPLE_CUDA(device_a.Upload(a));
  EXAMPLE_CUDA(device_b.Upload(b));
  const int tiles = (size + kTile - 1) / kTile;
  MatrixProduct<<<dim3(tiles, tiles), dim3(kTile, kTile)>>>(device_a.data(), device_b.data(), device_c.data(), size);
  EXAMPLE_CUDA(cudaGetLastError());
  EXAMPLE_CUDA(device_c.Download(c));
  return 0;
}

std::vector<float> MultiplyOnHost(int size, const std::vector<float>& a, const std::vector<float>& b) {
  std::vector<float> c(a.size(), 0.0f);
  for (int row = 0; row < size; ++row)
    for (int k = 0; k < size; ++k)
      for (int column = 0; column < size; ++column) c[row * size + column] += a[row * size + k] * b[k * size + column];
  return c;
}

}  // namespace

int example::Run(std::string_view text, std::string& result) {
  const auto payload = Payload::Parse(text);
  if (!payload) return Fail("The payload is not a JSON object of numbers.");
  const long long size = payload->Number("size", 128);
  if (size < 1 || size > kMaxSize) return Fail("size is %lld (allowed: 1 to %lld).", size, kMaxSize);

  std::vector<float> a(size * size), b(size * size), c(size * size);
  Sequence values(static_cast<unsigned>(payload->Number("seed", 1)));
  for (float& value : a) value = static_cast<float>(values.Next() % 17) - 8.0f;
  for (float& value : b) value = static_cast<float>(values.Next() % 17) - 8.0f;
  if (const int status = MultiplyOnDevice(static_cast<int>(size), a, b, c); status != 0) return status;

  const std::vector<float> expected = MultiplyOnHost(static_cast<int>(size), a, b);
  double trace = 0;
  for (long long i = 0; i < size * size; ++i) {
    if (c[i] != expected[i])
      return Fail("Element (%lld, %lld) is %g (expected %g).", i / size, i % size, c[i], expected[i]);
    if (i / size == i % size) trace += c[i];
  }
  result = "{\"result\":\"ok\",\"size\":" + std::to_string(size) + ",\"trace\":" + std::to_string(trace) + "}";
  return 0;
}
