// Mipmapped arrays: levels, and textures that read one of them.
#include "texture.h"

__global__ void Read(cudaTextureObject_t texture, float* out) {
  out[threadIdx.x] = tex2DLod<float>(texture, 0.5f, 0.5f, threadIdx.x * 0.5f);
}

int main() {
  const cudaChannelFormatDesc format = cudaCreateChannelDesc<float>();
  cudaMipmappedArray_t pyramid;
  SHOW(cudaMallocMipmappedArray(&pyramid, &format, make_cudaExtent(4, 4, 0), 3));
  for (unsigned i = 0; i < 3; ++i) {
    cudaArray_t level;
    SHOW(cudaGetMipmappedArrayLevel(&level, pyramid, i));
    cudaExtent extent;
    NEED(cudaArrayGetInfo(nullptr, &extent, nullptr, level));
    Print("width", extent.width);
    const std::vector<float> values(16, 10.0f * (i + 1));
    SHOW(cudaMemcpy2DToArray(level, 0, 0, values.data(), 4 * extent.width, 4 * extent.width, extent.height,
                             cudaMemcpyHostToDevice));
  }
  cudaArray_t none;
  SHOW(cudaGetMipmappedArrayLevel(&none, pyramid, 3));

  cudaResourceDesc resource = {};
  resource.resType = cudaResourceTypeMipmappedArray;
  resource.res.mipmap.mipmap = pyramid;
  cudaTextureDesc description = {};
  description.readMode = cudaReadModeElementType;
  description.normalizedCoords = 1;
  description.filterMode = cudaFilterModeLinear;
  description.mipmapFilterMode = cudaFilterModePoint;
  description.maxMipmapLevelClamp = 2;
  float* out = Device<float>(5);
  cudaTextureObject_t texture;
  SHOW(cudaCreateTextureObject(&texture, &resource, &description, nullptr));
  Read<<<1, 5>>>(texture, out);
  const auto point = Host(out, 5);
  Print("whole levels", std::vector<float>{point[0], point[2], point[4]});
  description.mipmapFilterMode = cudaFilterModeLinear;
  SHOW(cudaCreateTextureObject(&texture, &resource, &description, nullptr));
  Read<<<1, 5>>>(texture, out);
  Print("between levels", Host(out, 5));
  SHOW(cudaDestroyTextureObject(texture));
  SHOW(cudaFreeMipmappedArray(pyramid));
}
