// The binary interface of arrays, textures, surfaces and tensor maps, as the CUDA 13.0 driver API reference documents
// it. tests/abi compares it with cuda.h.
#pragma once

#include "abi/cuda.h"

using CUtexObject = unsigned long long;
using CUsurfObject = unsigned long long;

inline constexpr int CU_RESOURCE_TYPE_ARRAY = 0;
inline constexpr int CU_RESOURCE_TYPE_MIPMAPPED_ARRAY = 1;

struct CUDA_MEMCPY2D {
  size_t src_x_bytes, src_y;
  int src_memory_type;
  const void* src_host;
  CUdeviceptr src_device;
  CUarray src_array;
  size_t src_pitch;
  size_t dst_x_bytes, dst_y;
  int dst_memory_type;
  void* dst_host;
  CUdeviceptr dst_device;
  CUarray dst_array;
  size_t dst_pitch;
  size_t width_bytes, height;
};

struct CUDA_ARRAY_DESCRIPTOR {
  size_t width, height;
  int format;
  unsigned channels;
};

struct CUDA_ARRAY3D_DESCRIPTOR {
  size_t width, height, depth;
  int format;
  unsigned channels;
  unsigned flags;
};

struct CUDA_ARRAY_MEMORY_REQUIREMENTS {
  size_t bytes;
  size_t alignment;
  unsigned reserved[4];
};

struct CUDA_RESOURCE_DESC {
  int type;
  union {
    CUarray array;
    CUmipmappedArray mipmapped_array;
    int reserved[32];
    alignas(8) unsigned char linear[40];  // devPtr, format, numChannels and sizes: plain values
  } resource;
  unsigned flags;
};

struct CUDA_TEXTURE_DESC {
  int address_mode[3];
  int filter_mode;
  unsigned flags;
  unsigned max_anisotropy;
  int mipmap_filter_mode;
  float mipmap_level_bias, min_mipmap_level_clamp, max_mipmap_level_clamp;
  float border_color[4];
  int reserved[12];
};

struct CUDA_RESOURCE_VIEW_DESC {
  int format;
  size_t width, height, depth;
  unsigned first_mipmap_level, last_mipmap_level, first_layer, last_layer;
  unsigned reserved[16];
};

struct alignas(128) CUtensorMap {
  unsigned long long opaque[16];
};
