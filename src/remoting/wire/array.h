// Copies of two and three dimensions, arrays, textures and tensor maps on the wire.
#pragma once

#include <cstdint>

#include "abi/array.h"
#include "remoting/wire/attach.h"

namespace mignificient::wire {

inline constexpr uint32_t kNoChunk = ~uint32_t{0};

// kCopy3D. Arrays by name. A host side lies in pinned memory; or, when a chunk is given, in that staging chunk, and its
// address is an offset there; then the chunk's completion ends the command.
struct Copy3DBody {
  CUDA_MEMCPY3D copy;
  uint64_t stream;
  uint32_t chunk;
  uint32_t reserved;
};

// kArrayCreate -> HandleBody
struct ArrayCreateBody {
  CUDA_ARRAY3D_DESCRIPTOR description;
  uint32_t levels;  // 0: an array, else a mipmapped array
  uint32_t reserved;
};
// kArrayPart -> HandleBody: a level of a mipmapped array, or a plane of an array
struct ArrayPartBody {
  uint64_t whole;
  uint64_t index;
};

enum class TextureKind : uint32_t { kTexture, kSurface };

// kTextureCreate -> HandleBody with the driver's own value, which kernels are given
struct TextureCreateBody {
  CUDA_RESOURCE_DESC resource;  // arrays by name
  CUDA_TEXTURE_DESC texture;
  CUDA_RESOURCE_VIEW_DESC view;
  TextureKind kind;
  uint32_t has_view;
};
// kTextureDestroy
struct TextureDestroyBody {
  uint64_t value;
  TextureKind kind;
  uint32_t reserved;
};

enum class TensorMapKind : uint32_t { kTiled, kIm2col, kIm2colWide, kReplaceAddress };
inline constexpr uint32_t kMaxTensorRank = 5;

// kTensorMap -> CUtensorMap
struct TensorMapBody {
  CUtensorMap map;  // kReplaceAddress: what to change
  uint64_t address;
  uint64_t dims[kMaxTensorRank];
  uint64_t strides[kMaxTensorRank];
  uint32_t box[kMaxTensorRank];
  uint32_t element_strides[kMaxTensorRank];
  int32_t lower[kMaxTensorRank];
  int32_t upper[kMaxTensorRank];
  uint32_t channels_per_pixel;
  uint32_t pixels_per_column;
  TensorMapKind kind;
  int32_t data_type;
  uint32_t rank;
  int32_t interleave;
  int32_t mode;
  int32_t swizzle;
  int32_t l2_promotion;
  int32_t fill;
};

}  // namespace mignificient::wire
