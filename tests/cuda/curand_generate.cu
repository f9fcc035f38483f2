// cuRAND: generators with seeds give the same numbers in every run.
#include <curand.h>

#include "check.h"

int main() {
  constexpr int kCount = 4096;
  float* uniform = Device<float>(kCount);
  unsigned* words = Device<unsigned>(kCount);
  for (const curandRngType_t type : {CURAND_RNG_PSEUDO_PHILOX4_32_10, CURAND_RNG_PSEUDO_XORWOW,
                                     CURAND_RNG_PSEUDO_MRG32K3A, CURAND_RNG_QUASI_SOBOL32}) {
    curandGenerator_t generator;
    Print("create", curandCreateGenerator(&generator, type));
    if (type != CURAND_RNG_QUASI_SOBOL32) Print("seed", curandSetPseudoRandomGeneratorSeed(generator, 1234));
    Print("uniform", curandGenerateUniform(generator, uniform, kCount));
    SHOW(cudaDeviceSynchronize());
    const auto values = Host(uniform, kCount);
    Print("first", values.data(), 4);
    Print("checksum", Checksum(values.data(), kCount * 4));
    if (type != CURAND_RNG_PSEUDO_MRG32K3A) {
      Print("words", curandGenerate(generator, words, kCount));
      Print("first", Host(words, 3));
    }
    if (type == CURAND_RNG_PSEUDO_PHILOX4_32_10)
      Print("normal", curandGenerateNormal(generator, uniform, kCount, 0, 1));
    Print("destroy", curandDestroyGenerator(generator));
  }
}
