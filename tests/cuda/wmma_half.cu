// Tensor cores: a product of 16 x 16 matrices of halves, summed in floats.
#include <mma.h>

#include "check.h"

__global__ void Multiply(const __half* a, const __half* b, float* c) {
  using namespace nvcuda::wmma;
  fragment<matrix_a, 16, 16, 16, __half, row_major> left;
  fragment<matrix_b, 16, 16, 16, __half, col_major> right;
  fragment<accumulator, 16, 16, 16, float> sum;
  fill_fragment(sum, 0.5f);
  load_matrix_sync(left, a, 16);
  load_matrix_sync(right, b, 16);
  mma_sync(sum, left, right, sum);
  store_matrix_sync(c, sum, 16, mem_row_major);
}

int main() {
  std::vector<__half> a(256), b(256);
  for (int i = 0; i < 256; ++i) a[i] = __float2half(i % 7), b[i] = __float2half(i % 5 - 2);
  float* c = Device<float>(256);
  Multiply<<<1, 32>>>(Device(a), Device(b), c);
  SHOW(cudaDeviceSynchronize());
  const auto given = Host(c, 256);
  int wrong = 0;
  for (int y = 0; y < 16; ++y)
    for (int x = 0; x < 16; ++x) {
      float sum = 0.5f;
      for (int k = 0; k < 16; ++k) sum += __half2float(a[16 * y + k]) * __half2float(b[16 * x + k]);
      wrong += sum != given[16 * y + x];
    }
  Print("wrong", wrong);
  Print("first row", given.data(), 16);
}
