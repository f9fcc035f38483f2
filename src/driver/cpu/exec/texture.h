// Textures and surfaces as kernels read them. The arithmetic is that of the CUDA C++ Programming Guide, appendix
// "Texture Fetching": nearest-point sampling, and linear filtering whose weights have 8 bits of fraction.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <unordered_map>
#include <vector>

namespace mignificient::cpu {

// CUarray_format of the formats that kernels can read.
enum class TexelFormat : int {
  kUint8 = 1,
  kUint16 = 2,
  kUint32 = 3,
  kSint8 = 8,
  kSint16 = 9,
  kSint32 = 10,
  kHalf = 0x10,
  kFloat = 0x20,
};

// Bytes of one channel; nullopt for a format that is not offered.
std::optional<uint32_t> ChannelBytes(int format);

enum class AddressMode : int { kWrap = 0, kClamp = 1, kMirror = 2, kBorder = 3 };  // CUaddress_mode

struct TextureLevel {
  uint64_t address = 0;
  uint32_t width = 1, height = 1, depth = 1;  // texels; depth counts layers too
  uint64_t row_pitch = 0, slice_pitch = 0;    // bytes
};

// Immutable. Also a surface: then only format, channels and the first level count.
struct Texture {
  TexelFormat format = TexelFormat::kFloat;
  uint32_t channels = 1;
  std::vector<TextureLevel> levels;  // at least one
  uint64_t begin = 0, end = 0;       // the memory it reads
  std::array<AddressMode, 3> address_mode{AddressMode::kClamp, AddressMode::kClamp, AddressMode::kClamp};
  bool linear = false;
  bool linear_levels = false;
  bool normalized = false;
  bool integers = false;  // 8 and 16-bit integers are read as they are, not as fractions
  float level_bias = 0, least_level = 0, most_level = 0;
  std::array<float, 4> border{};

  uint32_t texel_bytes() const { return *ChannelBytes(static_cast<int>(format)) * channels; }
};

// Where a kernel samples.
struct TexturePoint {
  uint32_t dimensions = 1;
  std::array<float, 3> at{};
  std::array<int32_t, 3> index{};  // in place of `at`, where `by_index`
  bool by_index = false;
  std::optional<int32_t> layer;
  float level = 0;
};

// Four channels as a register holds them: floats, or integers of formats that are read as such.
using Sampled = std::array<uint32_t, 4>;

Sampled Sample(const Texture& texture, const TexturePoint& point);
// One channel of the four texels that bilinear filtering would take, in the order of tld4.
Sampled Gather(const Texture& texture, const TexturePoint& point, uint32_t channel);
// A direction in a cube map as a point of one of its faces, which are layers.
TexturePoint OnCube(float x, float y, float z, int32_t cube);

// By the handle that kernels are given. Thread-safe.
class TextureTable {
 public:
  void Add(uint64_t handle, std::shared_ptr<const Texture> texture);
  bool Remove(uint64_t handle);
  std::shared_ptr<const Texture> Find(uint64_t handle) const;

 private:
  mutable std::shared_mutex mutex_;
  std::unordered_map<uint64_t, std::shared_ptr<const Texture>> textures_;
};

}  // namespace mignificient::cpu
