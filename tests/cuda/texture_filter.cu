// Linear filtering, normalised coordinates, and integers read as fractions.
#include "texture.h"

__global__ void Read(cudaTextureObject_t texture, float begin, float step, float* out) {
  out[threadIdx.x] = tex1D<float>(texture, begin + step * threadIdx.x);
}
__global__ void Read2D(cudaTextureObject_t texture, float* out) {
  out[threadIdx.y * 3 + threadIdx.x] = tex2D<float>(texture, 0.5f + 0.5f * threadIdx.x, 0.5f + 0.5f * threadIdx.y);
}

int main() {
  float* out = Device<float>(9);
  const cudaArray_t line = ArrayOf(std::vector<float>{0, 4, 8, 16}, 4);
  Read<<<1, 9>>>(Texture(OfArray(line), cudaAddressModeClamp, cudaFilterModeLinear), 0.0f, 0.5f, out);
  Print("linear", Host(out, 9));
  Read<<<1, 9>>>(Texture(OfArray(line), cudaAddressModeClamp, cudaFilterModeLinear, true), 0.0f, 0.125f, out);
  Print("linear, normalised", Host(out, 9));
  Read<<<1, 9>>>(Texture(OfArray(line), cudaAddressModeClamp, cudaFilterModePoint, true), 0.0f, 0.125f, out);
  Print("point, normalised", Host(out, 9));
  const cudaArray_t plane = ArrayOf(std::vector<float>{0, 1, 2, 3}, 2, 2);
  Read2D<<<1, dim3(3, 3)>>>(Texture(OfArray(plane), cudaAddressModeClamp, cudaFilterModeLinear), out);
  Print("bilinear", Host(out, 9));
  const cudaArray_t bytes = ArrayOf(std::vector<unsigned char>{0, 51, 102, 255}, 4);
  Read<<<1, 4>>>(Texture(OfArray(bytes), cudaAddressModeClamp, cudaFilterModePoint, false, cudaReadModeNormalizedFloat),
                 0.5f, 1.0f, out);
  Print("bytes as fractions", Host(out, 4));
  const cudaArray_t words = ArrayOf(std::vector<short>{-32767, 0, 16384, 32767}, 4);
  Read<<<1, 4>>>(Texture(OfArray(words), cudaAddressModeClamp, cudaFilterModePoint, false, cudaReadModeNormalizedFloat),
                 0.5f, 1.0f, out);
  Print("signed words as fractions", Host(out, 4));
}
