#include "driver/cpu/exec/texture_ops.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "driver/cpu/exec/texture.h"
#include "driver/cpu/exec/warp.h"

namespace mignificient::cpu {
namespace {

TextureWords WordsOf(const Inst* inst) {
  TextureWords words;
  std::memcpy(static_cast<void*>(&words), &inst->imm, sizeof words);
  return words;
}

// Textures of lanes: mostly all lanes name the same.
class Lookup {
 public:
  explicit Lookup(const Warp& warp) : launch_(*warp.block->grid->launch) {}

  // Null where there is none, or its memory is gone.
  const Texture* Find(uint64_t handle) {
    if (known_ != nullptr && handle == handle_) return known_.get();
    handle_ = handle;
    known_ = launch_.textures == nullptr ? nullptr : launch_.textures->Find(handle);
    if (known_ == nullptr) return nullptr;
    const auto* extent = launch_.memory == nullptr ? nullptr : launch_.memory->Find(known_->begin);
    if (extent == nullptr || known_->end > extent->end) known_ = nullptr;
    return known_.get();
  }

 private:
  const Launch& launch_;
  uint64_t handle_ = 0;
  std::shared_ptr<const Texture> known_;
};

uint32_t Word(Warp& warp, const Inst* inst, size_t row, int lane) {
  return warp.Row<uint32_t>(inst->extra->rows[row])[lane];
}

TexturePoint PointOf(Warp& warp, const Inst* inst, const TextureWords& words, int lane) {
  size_t row = words.values;
  TexturePoint point{.by_index = words.by_index};
  const bool layered = words.shape == TextureShape::k1DLayered || words.shape == TextureShape::k2DLayered ||
                       words.shape == TextureShape::kCubeLayered;
  if (layered) point.layer = static_cast<int32_t>(Word(warp, inst, row++, lane));
  point.dimensions = CoordinatesOf(words.shape) - (layered ? 1 : 0);
  for (uint32_t d = 0; d < point.dimensions; ++d) {
    const uint32_t bits = Word(warp, inst, row++, lane);
    point.at[d] = std::bit_cast<float>(bits);
    point.index[d] = static_cast<int32_t>(bits);
  }
  if (words.shape == TextureShape::kCube || words.shape == TextureShape::kCubeLayered)
    point = OnCube(point.at[0], point.at[1], point.at[2], point.layer.value_or(0));
  if (words.has_level) point.level = std::bit_cast<float>(Word(warp, inst, row, lane));
  return point;
}

template <typename Take>
const Inst* Fetch(Warp& warp, const Inst* inst, uint32_t mask, Take take) {
  const TextureWords words = WordsOf(inst);
  Lookup lookup(warp);
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    const Texture* texture = lookup.Find(warp.Row<uint64_t>(inst->a)[lane]);
    if (texture == nullptr)
      return warp.Fault(inst, LaunchStatus::kIllegalAddress, static_cast<uint32_t>(lane),
                        "reads a texture that is not there");
    const Sampled sampled = take(*texture, PointOf(warp, inst, words, lane), words);
    for (uint32_t c = 0; c < words.values; ++c)
      if (inst->extra->rows[c] != 0) warp.Row<uint32_t>(inst->extra->rows[c])[lane] = sampled[c];
  }
  return inst + 1;
}

// Where a surface access goes: its first byte, null outside (then nothing is read or written), or a fault's text.
struct SurfacePlace {
  std::byte* at = nullptr;
  const char* fault = nullptr;
};

SurfacePlace PlaceOf(Warp& warp, const Inst* inst, const TextureWords& words, const Texture& surface, int lane) {
  const TextureLevel& level = surface.levels[0];
  const int64_t bytes = int64_t{words.bytes} * words.values;
  std::array<int64_t, 3> at{};  // x in bytes, y, z or layer
  size_t row = words.values;
  const bool layered = words.shape == TextureShape::k1DLayered || words.shape == TextureShape::k2DLayered;
  if (layered) at[2] = static_cast<int32_t>(Word(warp, inst, row++, lane));
  for (uint32_t d = 0; d < CoordinatesOf(words.shape) - (layered ? 1 : 0); ++d)
    at[d] = static_cast<int32_t>(Word(warp, inst, row++, lane));
  if (at[0] % bytes != 0) return {nullptr, "reaches a surface at a misaligned coordinate"};
  const std::array<int64_t, 3> most = {int64_t{level.width} * surface.texel_bytes() - bytes, int64_t{level.height} - 1,
                                       int64_t{level.depth} - 1};
  for (size_t d = 0; d < 3; ++d) {
    if (at[d] >= 0 && at[d] <= most[d]) continue;
    if (words.outside == TextureWords::Outside::kTrap) return {nullptr, "reaches outside a surface"};
    if (words.outside == TextureWords::Outside::kZero) return {};
    at[d] = std::clamp<int64_t>(at[d], 0, std::max<int64_t>(most[d], 0));
  }
  return {reinterpret_cast<std::byte*>(level.address + static_cast<uint64_t>(at[2]) * level.slice_pitch +
                                       static_cast<uint64_t>(at[1]) * level.row_pitch + static_cast<uint64_t>(at[0])),
          nullptr};
}

// Calls `body(place, lane)` for each lane, with a null address for what lies outside.
template <typename Body>
const Inst* OnSurface(Warp& warp, const Inst* inst, uint32_t mask, Body body) {
  const TextureWords words = WordsOf(inst);
  Lookup lookup(warp);
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    const Texture* surface = lookup.Find(warp.Row<uint64_t>(inst->a)[lane]);
    const auto place = surface == nullptr ? SurfacePlace{nullptr, "reaches a surface that is not there"}
                                          : PlaceOf(warp, inst, words, *surface, lane);
    if (place.fault != nullptr)
      return warp.Fault(inst, LaunchStatus::kIllegalAddress, static_cast<uint32_t>(lane), place.fault);
    for (uint32_t c = 0; c < words.values; ++c)
      body(place.at == nullptr ? nullptr : place.at + c * words.bytes, inst->extra->rows[c], words.bytes, lane);
  }
  return inst + 1;
}

}  // namespace

uint32_t CoordinatesOf(TextureShape shape) {
  switch (shape) {
    case TextureShape::k1D:
      return 1;
    case TextureShape::k2D:
    case TextureShape::k1DLayered:
      return 2;
    case TextureShape::k3D:
    case TextureShape::k2DLayered:
    case TextureShape::kCube:
      return 3;
    case TextureShape::kCubeLayered:
      return 4;
  }
  return 0;
}

const Inst* SampleTexture(Warp& warp, const Inst* inst, uint32_t mask) {
  return Fetch(warp, inst, mask, [](const Texture& texture, const TexturePoint& point, const TextureWords&) {
    return Sample(texture, point);
  });
}

const Inst* GatherTexture(Warp& warp, const Inst* inst, uint32_t mask) {
  return Fetch(warp, inst, mask, [](const Texture& texture, const TexturePoint& point, const TextureWords& words) {
    return Gather(texture, point, words.channel);
  });
}

const Inst* LoadSurface(Warp& warp, const Inst* inst, uint32_t mask) {
  return OnSurface(warp, inst, mask, [&](const std::byte* at, uint32_t row, uint32_t bytes, int lane) {
    uint64_t value = 0;
    if (at != nullptr) std::memcpy(&value, at, bytes);
    if (row == 0) return;
    if (bytes == 8)
      warp.Row<uint64_t>(row)[lane] = value;
    else
      warp.Row<uint32_t>(row)[lane] = static_cast<uint32_t>(value);
  });
}

const Inst* StoreSurface(Warp& warp, const Inst* inst, uint32_t mask) {
  return OnSurface(warp, inst, mask, [&](std::byte* at, uint32_t row, uint32_t bytes, int lane) {
    if (at == nullptr) return;
    const uint64_t value = bytes == 8 ? warp.Row<uint64_t>(row)[lane] : warp.Row<uint32_t>(row)[lane];
    std::memcpy(at, &value, bytes);
  });
}

}  // namespace mignificient::cpu
