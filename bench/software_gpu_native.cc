#include "software_gpu_native.h"

namespace mignificient::bench {

void MatrixProduct(const float* a, const float* b, float* c, int size) {
  constexpr int kTile = 16;
  for (int row = 0; row < size; row += kTile) {
    for (int column = 0; column < size; column += kTile) {
      float sum[kTile][kTile] = {};
      for (int start = 0; start < size; start += kTile) {
        for (int y = 0; y < kTile; ++y) {
          for (int k = 0; k < kTile; ++k) {
            const float left = a[(row + y) * size + start + k];
            for (int x = 0; x < kTile; ++x) sum[y][x] += left * b[(start + k) * size + column + x];
          }
        }
      }
      for (int y = 0; y < kTile; ++y) {
        for (int x = 0; x < kTile; ++x) c[(row + y) * size + column + x] = sum[y][x];
      }
    }
  }
}

uint64_t Sum(std::span<const uint32_t> values) {
  uint64_t sum = 0;
  for (const uint32_t value : values) sum += value;
  return sum;
}

void Saxpy(std::span<const float> x, std::span<float> y, float factor) {
  for (size_t i = 0; i < x.size(); ++i) y[i] = factor * x[i] + y[i];
}

void Histogram(std::span<const uint8_t> values, std::span<uint32_t, 256> bins) {
  for (const uint8_t value : values) ++bins[value];
}

void Collatz(std::span<uint32_t> steps) {
  for (size_t i = 0; i < steps.size(); ++i) {
    uint32_t value = static_cast<uint32_t>(i) + 1, n = 0;
    while (value != 1) {
      if (value % 2 != 0) {
        value = 3 * value + 1;
        ++n;
      }
      while (value % 2 == 0) {
        value /= 2;
        ++n;
      }
    }
    steps[i] = n;
  }
}

}  // namespace mignificient::bench
