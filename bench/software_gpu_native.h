// The loops of software_gpu_kernels.cu as a programmer would write them for one core. Built with -O2 in every build
// type: what the software GPU is compared with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mignificient::bench {

// c = a x b, square; in the tiles of the kernel.
void MatrixProduct(const float* a, const float* b, float* c, int size);
uint64_t Sum(std::span<const uint32_t> values);
void Saxpy(std::span<const float> x, std::span<float> y, float factor);
void Histogram(std::span<const uint8_t> values, std::span<uint32_t, 256> bins);
// steps[i]: how many steps the Collatz sequence takes from i + 1.
void Collatz(std::span<uint32_t> steps);

}  // namespace mignificient::bench
