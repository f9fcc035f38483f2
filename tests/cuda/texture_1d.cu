// One-dimensional textures over an array and over linear memory.
#include "texture.h"

__global__ void Fetch(cudaTextureObject_t texture, int* out) {
  out[threadIdx.x] = tex1Dfetch<int>(texture, threadIdx.x);
}
__global__ void Read(cudaTextureObject_t texture, int* out) {
  out[threadIdx.x] = tex1D<int>(texture, threadIdx.x - 1 + 0.5f);
}

int main() {
  const std::vector<int> values = {10, 11, 12, 13, 14, 15, 16, 17};
  int* out = Device<int>(10);
  const cudaTextureObject_t of_array = Texture(OfArray(ArrayOf(values, 8)));
  Read<<<1, 10>>>(of_array, out);
  Print("array, clamped", Host(out, 10));

  cudaResourceDesc linear = {};
  linear.resType = cudaResourceTypeLinear;
  linear.res.linear.devPtr = Device(values);
  linear.res.linear.desc = cudaCreateChannelDesc<int>();
  linear.res.linear.sizeInBytes = 32;
  const cudaTextureObject_t of_linear = Texture(linear);
  Fetch<<<1, 10>>>(of_linear, out);  // zero beyond the end
  Print("linear", Host(out, 10));

  cudaResourceDesc back;
  SHOW(cudaGetTextureObjectResourceDesc(&back, of_linear));
  Print("type is linear", back.resType == cudaResourceTypeLinear);
  Print("bytes", back.res.linear.sizeInBytes);
  SHOW(cudaDestroyTextureObject(of_array));
  SHOW(cudaDestroyTextureObject(of_linear));
  linear.res.linear.devPtr = nullptr;
  Texture(linear);
  SHOW(cudaDeviceSynchronize());
}
