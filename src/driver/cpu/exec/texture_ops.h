// The instructions on textures and surfaces. Built once: what they do per lane dwarfs what a lane loop could save.
//
// Rows of the operands are in extra: results or data first, then coordinates as the instruction lists them (layer,
// x, y, z), then the level. a: the row of the handle.
#pragma once

#include <cstdint>

#include "driver/cpu/exec/code.h"

namespace mignificient::cpu {

enum class TextureShape : uint8_t { k1D, k2D, k3D, k1DLayered, k2DLayered, kCube, kCubeLayered };

// Words of an Inst, as the handlers read them.
struct TextureWords {
  TextureShape shape = TextureShape::k1D;
  bool by_index = false;  // integer coordinates
  bool has_level = false;
  uint8_t values = 4;   // rows of results or data
  uint8_t channel = 0;  // tld4
  uint8_t bytes = 0;    // surfaces: of one value
  enum class Outside : uint8_t { kTrap, kClamp, kZero } outside = Outside::kTrap;
};
static_assert(sizeof(TextureWords) <= 8);

uint32_t CoordinatesOf(TextureShape shape);  // without padding

const Inst* SampleTexture(Warp& warp, const Inst* inst, uint32_t mask);
const Inst* GatherTexture(Warp& warp, const Inst* inst, uint32_t mask);
const Inst* LoadSurface(Warp& warp, const Inst* inst, uint32_t mask);
const Inst* StoreSurface(Warp& warp, const Inst* inst, uint32_t mask);

}  // namespace mignificient::cpu
