// Texture and surface objects.
#include <algorithm>
#include <cstring>
#include <tuple>

#include "driver/cpu/array.h"
#include "driver/cpu/entries.h"

namespace mignificient::cpu {
namespace {

// CUresourcetype and what describes memory in its place, as CUDA_RESOURCE_DESC lays them out.
constexpr int kLinear = 2, kPitch2D = 3;
struct LinearResource {
  CUdeviceptr address;
  int format;
  unsigned channels;
  size_t bytes;
};
struct Pitch2DResource {
  CUdeviceptr address;
  int format;
  unsigned channels;
  size_t width, height, pitch;
};

// Flags of CUDA_TEXTURE_DESC.
constexpr unsigned kReadAsInteger = 1, kNormalized = 2, kSrgb = 0x10;
constexpr size_t kPitchAlignment = 32, kAddressAlignment = 512;  // as an H100's attributes say

TextureLevel LevelOf(const Array& array) {
  return {array.address,
          static_cast<uint32_t>(array.description.width),
          static_cast<uint32_t>(array.rows),
          static_cast<uint32_t>(array.slices),
          array.row_bytes(),
          array.slice_bytes()};
}

void ReadLevels(const std::vector<std::shared_ptr<Array>>& levels, Texture* texture) {
  texture->format = static_cast<TexelFormat>(levels[0]->description.format);
  texture->channels = levels[0]->description.channels;
  for (const auto& level : levels) texture->levels.push_back(LevelOf(*level));
  texture->begin = levels.front()->address;
  texture->end = levels.back()->address + levels.back()->bytes();
}

bool GoodTexel(int format, unsigned channels) {
  return ChannelBytes(format) && (channels == 1 || channels == 2 || channels == 4);
}

CUresult ReadMemory(Context& context, const TextureLevel& level, int format, unsigned channels, Texture* texture) {
  texture->format = static_cast<TexelFormat>(format);
  texture->channels = channels;
  texture->levels = {level};
  texture->begin = level.address;
  texture->end = level.address + (level.height - 1) * level.row_pitch + uint64_t{level.width} * texture->texel_bytes();
  return context.device().memory().Reaches(texture->begin, texture->end - texture->begin) ? CUDA_SUCCESS
                                                                                          : CUDA_ERROR_INVALID_VALUE;
}

CUresult ReadLinear(Context& context, const CUDA_RESOURCE_DESC& resource, Texture* texture) {
  LinearResource linear;
  std::memcpy(&linear, &resource.resource, sizeof linear);
  if (!GoodTexel(linear.format, linear.channels) || linear.address % kAddressAlignment != 0)
    return CUDA_ERROR_INVALID_VALUE;
  const size_t texels = linear.bytes / (*ChannelBytes(linear.format) * linear.channels);
  constexpr size_t kMostTexels = size_t{1} << 28;
  if (texels == 0 || texels > kMostTexels) return CUDA_ERROR_INVALID_VALUE;
  return ReadMemory(context, {.address = linear.address, .width = static_cast<uint32_t>(texels)}, linear.format,
                    linear.channels, texture);
}

CUresult ReadPitch2D(Context& context, const CUDA_RESOURCE_DESC& resource, Texture* texture) {
  Pitch2DResource plane;
  std::memcpy(&plane, &resource.resource, sizeof plane);
  constexpr size_t kMostTexels = 131072;
  if (!GoodTexel(plane.format, plane.channels) || plane.address % kAddressAlignment != 0 ||
      plane.pitch % kPitchAlignment != 0 || plane.width == 0 || plane.width > kMostTexels || plane.height == 0 ||
      plane.height > kMostTexels || plane.pitch > kMostTexels * 16 ||
      plane.pitch < plane.width * *ChannelBytes(plane.format) * plane.channels)
    return CUDA_ERROR_INVALID_VALUE;
  return ReadMemory(context,
                    {.address = plane.address,
                     .width = static_cast<uint32_t>(plane.width),
                     .height = static_cast<uint32_t>(plane.height),
                     .row_pitch = plane.pitch},
                    plane.format, plane.channels, texture);
}

CUresult ReadResource(Context& context, const CUDA_RESOURCE_DESC& resource, Texture* texture) {
  switch (resource.type) {
    case CU_RESOURCE_TYPE_ARRAY: {
      const auto array = context.arrays.Find(resource.resource.array);
      if (array == nullptr) return CUDA_ERROR_INVALID_HANDLE;
      ReadLevels({array}, texture);
      return CUDA_SUCCESS;
    }
    case CU_RESOURCE_TYPE_MIPMAPPED_ARRAY: {
      const auto array = context.array_memory.Find(resource.resource.mipmapped_array);
      if (array == nullptr || !array->mipmapped) return CUDA_ERROR_INVALID_HANDLE;
      ReadLevels(array->levels(), texture);
      return CUDA_SUCCESS;
    }
    case kLinear:
      return ReadLinear(context, resource, texture);
    case kPitch2D:
      return ReadPitch2D(context, resource, texture);
  }
  return CUDA_ERROR_INVALID_VALUE;
}

// CUresourceViewFormat: for 1, 2 and 4 channels each of these, in this order, from 1 on. Block formats are not offered.
std::optional<std::pair<TexelFormat, uint32_t>> ViewFormat(int format) {
  constexpr TexelFormat kFormats[] = {TexelFormat::kUint8,  TexelFormat::kSint8,  TexelFormat::kUint16,
                                      TexelFormat::kSint16, TexelFormat::kUint32, TexelFormat::kSint32,
                                      TexelFormat::kHalf,   TexelFormat::kFloat};
  constexpr uint32_t kChannels[] = {1, 2, 4};
  const int index = format - 1;
  if (index < 0 || index >= static_cast<int>(std::size(kFormats) * 3)) return std::nullopt;
  return std::pair(kFormats[index / 3], kChannels[index % 3]);
}

// Another format of the same size, and a part of the levels and layers.
CUresult Apply(const CUDA_RESOURCE_VIEW_DESC& view, Texture* texture) {
  if (view.format != 0) {
    const auto format = ViewFormat(view.format);
    if (!format) return CUDA_ERROR_INVALID_VALUE;
    const uint32_t bytes = texture->texel_bytes();
    std::tie(texture->format, texture->channels) = *format;
    if (texture->texel_bytes() != bytes) return CUDA_ERROR_INVALID_VALUE;
  }
  const TextureLevel& whole = texture->levels[0];
  if (view.width != whole.width || (view.height != 0 && view.height != whole.height)) return CUDA_ERROR_INVALID_VALUE;
  if (view.last_mipmap_level < view.first_mipmap_level || view.last_mipmap_level >= texture->levels.size() ||
      view.last_layer < view.first_layer || view.last_layer >= whole.depth)
    return CUDA_ERROR_INVALID_VALUE;
  texture->levels.assign(texture->levels.begin() + view.first_mipmap_level,
                         texture->levels.begin() + view.last_mipmap_level + 1);
  if (view.last_layer == 0) return CUDA_SUCCESS;
  for (TextureLevel& level : texture->levels) {
    level.address += view.first_layer * level.slice_pitch;
    level.depth = view.last_layer - view.first_layer + 1;
  }
  return CUDA_SUCCESS;
}

CUresult Apply(const CUDA_TEXTURE_DESC& description, Texture* texture) {
  for (size_t d = 0; d < 3; ++d) {
    const int mode = description.address_mode[d];
    if (mode < 0 || mode > static_cast<int>(AddressMode::kBorder)) return CUDA_ERROR_INVALID_VALUE;
    texture->address_mode[d] = static_cast<AddressMode>(mode);
    texture->border[d] = description.border_color[d];
  }
  texture->border[3] = description.border_color[3];
  if (description.filter_mode < 0 || description.filter_mode > 1 || description.mipmap_filter_mode < 0 ||
      description.mipmap_filter_mode > 1)
    return CUDA_ERROR_INVALID_VALUE;
  if ((description.flags & kSrgb) != 0) return CUDA_ERROR_NOT_SUPPORTED;
  texture->linear = description.filter_mode == 1;
  texture->linear_levels = description.mipmap_filter_mode == 1;
  texture->integers = (description.flags & kReadAsInteger) != 0;
  texture->normalized = (description.flags & kNormalized) != 0;
  texture->level_bias = description.mipmap_level_bias;
  texture->least_level = description.min_mipmap_level_clamp;
  texture->most_level = description.max_mipmap_level_clamp;
  const bool floats = texture->format == TexelFormat::kFloat || texture->format == TexelFormat::kHalf;
  const bool words = texture->format == TexelFormat::kUint32 || texture->format == TexelFormat::kSint32;
  if (texture->linear && !floats && (texture->integers || words)) return CUDA_ERROR_INVALID_VALUE;
  return CUDA_SUCCESS;
}

CUresult TexObjectCreate(CUtexObject* handle, const CUDA_RESOURCE_DESC* resource, const CUDA_TEXTURE_DESC* description,
                         const CUDA_RESOURCE_VIEW_DESC* view) {
  return InContext([&](Context& context) {
    if (handle == nullptr || resource == nullptr || description == nullptr || resource->flags != 0)
      return CUDA_ERROR_INVALID_VALUE;
    const bool in_memory = resource->type == kLinear || resource->type == kPitch2D;
    if (in_memory && view != nullptr) return CUDA_ERROR_INVALID_VALUE;
    auto texture = std::make_shared<Texture>();
    CUresult result = ReadResource(context, *resource, texture.get());
    if (result == CUDA_SUCCESS && view != nullptr) result = Apply(*view, texture.get());
    if (result == CUDA_SUCCESS) result = Apply(*description, texture.get());
    if (result != CUDA_SUCCESS) return result;
    // Memory that is read by index has nothing outside but zeros.
    if (resource->type == kLinear) texture->address_mode[0] = AddressMode::kBorder;
    *handle = context.device().handles().Next();
    context.textures.Add(*handle, std::move(texture));
    return CUDA_SUCCESS;
  });
}

CUresult SurfObjectCreate(CUsurfObject* handle, const CUDA_RESOURCE_DESC* resource) {
  return InContext([&](Context& context) {
    if (handle == nullptr || resource == nullptr || resource->type != CU_RESOURCE_TYPE_ARRAY || resource->flags != 0)
      return CUDA_ERROR_INVALID_VALUE;
    const auto array = context.arrays.Find(resource->resource.array);
    if (array == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if ((array->description.flags & kArraySurface) == 0) return CUDA_ERROR_INVALID_VALUE;
    auto surface = std::make_shared<Texture>();
    ReadLevels({array}, surface.get());
    *handle = context.device().handles().Next();
    context.textures.Add(*handle, std::move(surface));
    return CUDA_SUCCESS;
  });
}

// Kernels that run have looked it up already or fail: as on a GPU, the program must wait for them first.
CUresult Destroy(unsigned long long handle) {
  return InContext(
      [&](Context& context) { return context.textures.Remove(handle) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE; });
}

}  // namespace

void FillTextureEntries(DriverTable& table) {
  table.cuTexObjectCreate = TexObjectCreate;
  table.cuTexObjectDestroy = Destroy;
  table.cuSurfObjectCreate = SurfObjectCreate;
  table.cuSurfObjectDestroy = Destroy;
}

}  // namespace mignificient::cpu
