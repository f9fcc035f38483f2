// Two-dimensional textures over an array and over pitched memory, gathers, and vectors of channels.
#include "texture.h"

__global__ void Read(cudaTextureObject_t texture, float* out) {
  out[threadIdx.y * 4 + threadIdx.x] = tex2D<float>(texture, threadIdx.x + 0.5f, threadIdx.y + 0.5f);
}
__global__ void Gather(cudaTextureObject_t texture, float4* out) {
  *out = tex2Dgather<float4>(texture, 1.0f, 1.0f, 0);
}
__global__ void ReadBytes(cudaTextureObject_t texture, uchar4* out) {
  out[threadIdx.x] = tex2D<uchar4>(texture, threadIdx.x + 0.5f, 0.5f);
}

int main() {
  std::vector<float> values(12);
  for (int i = 0; i < 12; ++i) values[i] = i + 0.25f;
  float* out = Device<float>(12);
  const cudaArray_t array = ArrayOf(values, 4, 3, 0, cudaArrayTextureGather);
  const cudaTextureObject_t of_array = Texture(OfArray(array));
  Read<<<1, dim3(4, 3)>>>(of_array, out);
  Print("array", Host(out, 12));
  float4* four = Device<float4>(1);
  Gather<<<1, 1>>>(of_array, four);
  const float4 gathered = Host(four, 1)[0];
  Print("gathered", &gathered.x, 4);

  float* pitched;
  size_t pitch;
  NEED(cudaMallocPitch(&pitched, &pitch, 16, 3));
  NEED(cudaMemcpy2D(pitched, pitch, values.data(), 16, 16, 3, cudaMemcpyHostToDevice));
  cudaResourceDesc resource = {};
  resource.resType = cudaResourceTypePitch2D;
  resource.res.pitch2D = {pitched, cudaCreateChannelDesc<float>(), 4, 3, pitch};
  NEED(cudaMemset(out, 0, 48));
  Read<<<1, dim3(4, 3)>>>(Texture(resource), out);
  Print("pitched", Host(out, 12));

  const std::vector<uchar4> pixels = {{1, 2, 3, 4}, {5, 6, 7, 8}};
  uchar4* pixels_out = Device<uchar4>(2);
  ReadBytes<<<1, 2>>>(Texture(OfArray(ArrayOf(pixels, 2, 1))), pixels_out);
  const auto read = Host(pixels_out, 2);
  Print("pixels", &read[0].x, 8);
}
