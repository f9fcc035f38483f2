// What the texture programs share: a texture over a resource, with one addressing mode in every dimension.
#pragma once

#include "check.h"

inline cudaTextureObject_t Texture(const cudaResourceDesc& resource,
                                   cudaTextureAddressMode address = cudaAddressModeClamp,
                                   cudaTextureFilterMode filter = cudaFilterModePoint, bool normalized = false,
                                   cudaTextureReadMode read = cudaReadModeElementType) {
  cudaTextureDesc description = {};
  for (auto& mode : description.addressMode) mode = address;
  description.filterMode = filter;
  description.readMode = read;
  description.normalizedCoords = normalized;
  cudaTextureObject_t texture = 0;
  SHOW(cudaCreateTextureObject(&texture, &resource, &description, nullptr));
  return texture;
}

inline cudaResourceDesc OfArray(cudaArray_t array) {
  cudaResourceDesc resource = {};
  resource.resType = cudaResourceTypeArray;
  resource.res.array.array = array;
  return resource;
}

// An array that holds `values`; height or depth 0 for fewer dimensions.
template <typename T>
cudaArray_t ArrayOf(const std::vector<T>& values, size_t width, size_t height = 0, size_t depth = 0,
                    unsigned flags = 0) {
  const cudaChannelFormatDesc format = cudaCreateChannelDesc<T>();
  cudaArray_t array = nullptr;
  NEED(cudaMalloc3DArray(&array, &format, make_cudaExtent(width, height, depth), flags));
  cudaMemcpy3DParms copy = {};
  copy.srcPtr = make_cudaPitchedPtr(const_cast<T*>(values.data()), width * sizeof(T), width, height == 0 ? 1 : height);
  copy.dstArray = array;
  copy.extent = make_cudaExtent(width, height == 0 ? 1 : height, depth == 0 ? 1 : depth);
  copy.kind = cudaMemcpyHostToDevice;
  NEED(cudaMemcpy3D(&copy));
  return array;
}
