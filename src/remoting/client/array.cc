// Arrays, texture and surface objects, tensor maps. They are the driver's; the server names arrays, while a texture's
// value is what kernels are given and so the driver's own.

#include "abi/array.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>

#include "remoting/client/call.h"
#include "remoting/client/memory_pool.h"
#include "remoting/wire/array.h"
#include "remoting/wire/commands.h"

namespace mignificient::client {
namespace {

using wire::Command;
using wire::TextureKind;

template <typename Body>
CUresult CallForName(Command command, const Body& body, uint64_t& name) {
  wire::HandleBody reply{};
  const CUresult result = CallBody(static_cast<uint16_t>(command), body, reply);
  if (result == CUDA_SUCCESS) name = reply.handle;
  return result;
}

template <typename T, typename Body>
CUresult Create(Command command, const Body& body, T* out) {
  uint64_t name = 0;
  const CUresult result = WithMemoryReleased([&] { return CallForName(command, body, name); });
  if (result == CUDA_SUCCESS) *out = reinterpret_cast<T>(name);
  return result;
}

template <typename T>
CUresult DestroyArray(T array) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  const wire::HandleBody body{reinterpret_cast<uint64_t>(array)};
  return Call(static_cast<uint16_t>(Command::kArrayDestroy), std::as_bytes(std::span(&body, 1)), {});
}

// --- Texture and surface objects: what they were made from is answered here ------------------------------------------

struct Texture {
  CUDA_RESOURCE_DESC resource;
  CUDA_TEXTURE_DESC texture;
  std::optional<CUDA_RESOURCE_VIEW_DESC> view;
};

struct Textures {
  std::mutex lock;
  std::map<std::pair<TextureKind, unsigned long long>, Texture> all;
};

Textures& TheTextures() {
  static Textures& textures = *new Textures;
  return textures;
}

CUresult CreateTexture(TextureKind kind, unsigned long long* value, const CUDA_RESOURCE_DESC* resource,
                       const CUDA_TEXTURE_DESC* texture, const CUDA_RESOURCE_VIEW_DESC* view) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  if (value == nullptr || resource == nullptr || (kind == TextureKind::kTexture && texture == nullptr))
    return CUDA_ERROR_INVALID_VALUE;
  wire::TextureCreateBody body{};
  body.resource = *resource;
  if (texture != nullptr) body.texture = *texture;
  if (view != nullptr) body.view = *view;
  body.kind = kind;
  body.has_view = view != nullptr;
  uint64_t made = 0;
  if (const CUresult result = CallForName(Command::kTextureCreate, body, made); result != CUDA_SUCCESS) return result;
  *value = made;
  const std::lock_guard lock(TheTextures().lock);
  TheTextures().all[{kind, made}] = {body.resource, body.texture,
                                     view != nullptr ? std::optional(*view) : std::nullopt};
  return CUDA_SUCCESS;
}

CUresult DestroyTexture(TextureKind kind, unsigned long long value) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  {
    const std::lock_guard lock(TheTextures().lock);
    if (TheTextures().all.erase({kind, value}) == 0) return CUDA_SUCCESS;  // as CUDA answers for what is no object
  }
  const wire::TextureDestroyBody body{value, kind, 0};
  return Call(static_cast<uint16_t>(Command::kTextureDestroy), std::as_bytes(std::span(&body, 1)), {});
}

template <typename T, typename Get>
CUresult Describe(TextureKind kind, unsigned long long value, T* out, Get get) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const std::lock_guard lock(TheTextures().lock);
  const auto found = TheTextures().all.find({kind, value});
  if (found == TheTextures().all.end()) return CUDA_ERROR_INVALID_VALUE;
  return get(found->second, *out);
}

// --- Tensor maps ----------------------------------------------------------------------------------------------------

wire::TensorMapBody TensorMap(wire::TensorMapKind kind, int type, unsigned rank, const void* address) {
  wire::TensorMapBody body{};
  body.kind = kind;
  body.data_type = type;
  body.rank = rank;
  body.address = reinterpret_cast<uint64_t>(address);
  return body;
}

CUresult Encode(CUtensorMap* map, const wire::TensorMapBody& body) {
  alignas(128) CUtensorMap reply;
  const CUresult result = CallBody(static_cast<uint16_t>(Command::kTensorMap), body, reply);
  if (result == CUDA_SUCCESS) std::memcpy(map, &reply, sizeof reply);
  return result;
}

template <typename From, typename To>
void Take(const From* from, size_t count, To (&to)[wire::kMaxTensorRank]) {
  std::copy_n(from, std::min<size_t>(count, wire::kMaxTensorRank), to);
}

// What every encoding has: the rank, and arrays of that length.
CUresult CheckTensor(const void* map, unsigned rank, const void* dims, const void* strides, const void* elements) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  const bool complete = map != nullptr && dims != nullptr && strides != nullptr && elements != nullptr;
  return complete && rank >= 1 && rank <= wire::kMaxTensorRank ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

}  // namespace

MIG_EXPORT CUresult cuArray3DCreate_v2(CUarray* array, const CUDA_ARRAY3D_DESCRIPTOR* description) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  if (array == nullptr || description == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return Create(Command::kArrayCreate, wire::ArrayCreateBody{*description, 0, 0}, array);
}
MIG_EXPORT CUresult cuArrayCreate_v2(CUarray* array, const CUDA_ARRAY_DESCRIPTOR* flat) {
  if (flat == nullptr) return cuArray3DCreate_v2(array, nullptr);
  const CUDA_ARRAY3D_DESCRIPTOR description{flat->width, flat->height, 0, flat->format, flat->channels, 0};
  return cuArray3DCreate_v2(array, &description);
}
MIG_EXPORT CUresult cuArrayDestroy(CUarray array) {
  return DestroyArray(array);
}
MIG_EXPORT CUresult cuArrayGetPlane(CUarray* plane, CUarray array, unsigned index) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (plane == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return Create(Command::kArrayPart, wire::ArrayPartBody{reinterpret_cast<uint64_t>(array), index}, plane);
}
MIG_EXPORT CUresult cuMipmappedArrayCreate(CUmipmappedArray* array, const CUDA_ARRAY3D_DESCRIPTOR* description,
                                           unsigned levels) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  if (array == nullptr || description == nullptr || levels == 0) return CUDA_ERROR_INVALID_VALUE;
  return Create(Command::kArrayCreate, wire::ArrayCreateBody{*description, levels, 0}, array);
}
MIG_EXPORT CUresult cuMipmappedArrayGetLevel(CUarray* level, CUmipmappedArray array, unsigned index) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (level == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return Create(Command::kArrayPart, wire::ArrayPartBody{reinterpret_cast<uint64_t>(array), index}, level);
}
MIG_EXPORT CUresult cuMipmappedArrayDestroy(CUmipmappedArray array) {
  return DestroyArray(array);
}

MIG_EXPORT CUresult cuTexObjectCreate(CUtexObject* object, const CUDA_RESOURCE_DESC* resource,
                                      const CUDA_TEXTURE_DESC* texture, const CUDA_RESOURCE_VIEW_DESC* view) {
  return CreateTexture(TextureKind::kTexture, object, resource, texture, view);
}
MIG_EXPORT CUresult cuTexObjectDestroy(CUtexObject object) {
  return DestroyTexture(TextureKind::kTexture, object);
}
MIG_EXPORT CUresult cuTexObjectGetResourceDesc(CUDA_RESOURCE_DESC* resource, CUtexObject object) {
  return Describe(TextureKind::kTexture, object, resource,
                  [](const Texture& texture, auto& out) { return out = texture.resource, CUDA_SUCCESS; });
}
MIG_EXPORT CUresult cuTexObjectGetTextureDesc(CUDA_TEXTURE_DESC* description, CUtexObject object) {
  return Describe(TextureKind::kTexture, object, description,
                  [](const Texture& texture, auto& out) { return out = texture.texture, CUDA_SUCCESS; });
}
MIG_EXPORT CUresult cuTexObjectGetResourceViewDesc(CUDA_RESOURCE_VIEW_DESC* view, CUtexObject object) {
  return Describe(TextureKind::kTexture, object, view, [](const Texture& texture, auto& out) {
    if (!texture.view) return CUDA_ERROR_INVALID_VALUE;
    return out = *texture.view, CUDA_SUCCESS;
  });
}
MIG_EXPORT CUresult cuSurfObjectCreate(CUsurfObject* object, const CUDA_RESOURCE_DESC* resource) {
  return CreateTexture(TextureKind::kSurface, object, resource, nullptr, nullptr);
}
MIG_EXPORT CUresult cuSurfObjectDestroy(CUsurfObject object) {
  return DestroyTexture(TextureKind::kSurface, object);
}
MIG_EXPORT CUresult cuSurfObjectGetResourceDesc(CUDA_RESOURCE_DESC* resource, CUsurfObject object) {
  return Describe(TextureKind::kSurface, object, resource,
                  [](const Texture& texture, auto& out) { return out = texture.resource, CUDA_SUCCESS; });
}

MIG_EXPORT CUresult cuTensorMapEncodeTiled(CUtensorMap* map, int type, unsigned rank, void* address,
                                           const uint64_t* dims, const uint64_t* strides, const uint32_t* box,
                                           const uint32_t* element_strides, int interleave, int swizzle,
                                           int l2_promotion, int fill) {
  if (const CUresult checked = CheckTensor(map, rank, dims, strides, element_strides); checked != CUDA_SUCCESS)
    return checked;
  if (box == nullptr) return CUDA_ERROR_INVALID_VALUE;
  wire::TensorMapBody body = TensorMap(wire::TensorMapKind::kTiled, type, rank, address);
  Take(dims, rank, body.dims);
  Take(strides, rank - 1, body.strides);
  Take(box, rank, body.box);
  Take(element_strides, rank, body.element_strides);
  body.interleave = interleave, body.swizzle = swizzle, body.l2_promotion = l2_promotion, body.fill = fill;
  return Encode(map, body);
}
MIG_EXPORT CUresult cuTensorMapEncodeIm2col(CUtensorMap* map, int type, unsigned rank, void* address,
                                            const uint64_t* dims, const uint64_t* strides, const int* lower,
                                            const int* upper, uint32_t channels, uint32_t pixels,
                                            const uint32_t* element_strides, int interleave, int swizzle,
                                            int l2_promotion, int fill) {
  if (const CUresult checked = CheckTensor(map, rank, dims, strides, element_strides); checked != CUDA_SUCCESS)
    return checked;
  if (lower == nullptr || upper == nullptr || rank < 3) return CUDA_ERROR_INVALID_VALUE;
  wire::TensorMapBody body = TensorMap(wire::TensorMapKind::kIm2col, type, rank, address);
  Take(dims, rank, body.dims);
  Take(strides, rank - 1, body.strides);
  Take(lower, rank - 2, body.lower);
  Take(upper, rank - 2, body.upper);
  Take(element_strides, rank, body.element_strides);
  body.channels_per_pixel = channels, body.pixels_per_column = pixels;
  body.interleave = interleave, body.swizzle = swizzle, body.l2_promotion = l2_promotion, body.fill = fill;
  return Encode(map, body);
}
MIG_EXPORT CUresult cuTensorMapEncodeIm2colWide(CUtensorMap* map, int type, unsigned rank, void* address,
                                                const uint64_t* dims, const uint64_t* strides, int lower, int upper,
                                                uint32_t channels, uint32_t pixels, const uint32_t* element_strides,
                                                int interleave, int mode, int swizzle, int l2_promotion, int fill) {
  if (const CUresult checked = CheckTensor(map, rank, dims, strides, element_strides); checked != CUDA_SUCCESS)
    return checked;
  wire::TensorMapBody body = TensorMap(wire::TensorMapKind::kIm2colWide, type, rank, address);
  Take(dims, rank, body.dims);
  Take(strides, rank - 1, body.strides);
  Take(element_strides, rank, body.element_strides);
  body.lower[0] = lower, body.upper[0] = upper;
  body.channels_per_pixel = channels, body.pixels_per_column = pixels, body.mode = mode;
  body.interleave = interleave, body.swizzle = swizzle, body.l2_promotion = l2_promotion, body.fill = fill;
  return Encode(map, body);
}
MIG_EXPORT CUresult cuTensorMapReplaceAddress(CUtensorMap* map, void* address) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  if (map == nullptr) return CUDA_ERROR_INVALID_VALUE;
  wire::TensorMapBody body = TensorMap(wire::TensorMapKind::kReplaceAddress, 0, 0, address);
  std::memcpy(&body.map, map, sizeof body.map);
  return Encode(map, body);
}

}  // namespace mignificient::client
