#include "driver/cpu/exec/texture.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <mutex>

namespace mignificient::cpu {
namespace {

template <typename T>
T Read(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

// [0, 1] or [-1, 1]; the least negative number and its successor are both -1.
template <typename T>
float Fraction(T value) {
  constexpr auto kMost = static_cast<float>(std::numeric_limits<T>::max());
  return std::max(static_cast<float>(value) / kMost, -1.0f);
}

bool ReadsFloats(const Texture& texture) {
  switch (texture.format) {
    case TexelFormat::kHalf:
    case TexelFormat::kFloat:
      return true;
    case TexelFormat::kUint32:
    case TexelFormat::kSint32:
      return false;
    default:
      return !texture.integers;
  }
}

// One channel as a register holds it.
uint32_t Channel(const Texture& texture, const std::byte* at) {
  const auto small = [&]<typename T>(T value) {
    if (!texture.integers) return std::bit_cast<uint32_t>(Fraction(value));
    return static_cast<uint32_t>(static_cast<int32_t>(value));
  };
  switch (texture.format) {
    case TexelFormat::kUint8:
      return small(Read<uint8_t>(at));
    case TexelFormat::kUint16:
      return small(Read<uint16_t>(at));
    case TexelFormat::kSint8:
      return small(Read<int8_t>(at));
    case TexelFormat::kSint16:
      return small(Read<int16_t>(at));
    case TexelFormat::kHalf:
      return std::bit_cast<uint32_t>(static_cast<float>(Read<_Float16>(at)));
    default:
      return Read<uint32_t>(at);
  }
}

// The texel's place in a dimension of `size`; nullopt: the border. Coordinates that are not normalised know neither
// wrapping nor mirroring: CUDA clamps them.
std::optional<uint32_t> Place(int64_t i, uint32_t size, AddressMode mode, bool normalized) {
  const int64_t n = size;
  if (i >= 0 && i < n) return static_cast<uint32_t>(i);
  if (mode == AddressMode::kBorder) return std::nullopt;
  if (normalized && mode == AddressMode::kWrap) return static_cast<uint32_t>(((i % n) + n) % n);
  if (normalized && mode == AddressMode::kMirror) {
    const int64_t m = ((i % (2 * n)) + 2 * n) % (2 * n);
    return static_cast<uint32_t>(m < n ? m : 2 * n - 1 - m);
  }
  return static_cast<uint32_t>(std::clamp<int64_t>(i, 0, n - 1));
}

struct Sampler {
  const Texture& texture;
  const TextureLevel& level;
  const TexturePoint& point;

  uint32_t Size(uint32_t dimension) const {
    return dimension == 0 ? level.width : dimension == 1 ? level.height : level.depth;
  }
  // The coordinate in texels. What is no number is 0; what is far away is as far as makes a difference.
  float At(uint32_t dimension) const {
    constexpr float kFar = 1 << 24;
    const float given = point.at[dimension];
    const float texels = texture.normalized ? given * static_cast<float>(Size(dimension)) : given;
    return std::isnan(texels) ? 0 : std::clamp(texels, -kFar, kFar);
  }

  Sampled Texel(const std::array<int64_t, 3>& index) const {
    std::array<uint32_t, 3> place{};
    for (uint32_t d = 0; d < point.dimensions; ++d) {
      const auto found = Place(index[d], Size(d), texture.address_mode[d], texture.normalized);
      if (!found) return Border();
      place[d] = *found;
    }
    if (point.layer) place[2] = static_cast<uint32_t>(std::clamp<int64_t>(*point.layer, 0, level.depth - 1));
    const auto* at =
        reinterpret_cast<const std::byte*>(level.address + place[2] * level.slice_pitch + place[1] * level.row_pitch +
                                           uint64_t{place[0]} * texture.texel_bytes());
    Sampled texel = Missing();
    const uint32_t bytes = texture.texel_bytes() / texture.channels;
    for (uint32_t c = 0; c < texture.channels; ++c) texel[c] = Channel(texture, at + c * bytes);
    return texel;
  }

  // What channels hold that the format lacks.
  Sampled Missing() const { return {0, 0, 0, ReadsFloats(texture) ? std::bit_cast<uint32_t>(1.0f) : 1}; }

  Sampled Border() const {
    Sampled border{};
    for (uint32_t c = 0; c < 4; ++c)
      border[c] = ReadsFloats(texture) ? std::bit_cast<uint32_t>(texture.border[c])
                                       : static_cast<uint32_t>(static_cast<int32_t>(texture.border[c]));
    return border;
  }

  Sampled Nearest() const {
    std::array<int64_t, 3> index{};
    for (uint32_t d = 0; d < point.dimensions; ++d)
      index[d] = point.by_index ? point.index[d] : static_cast<int64_t>(std::floor(At(d)));
    return Texel(index);
  }

  Sampled Linear() const {
    std::array<int64_t, 3> low{};
    std::array<float, 3> weight{};
    for (uint32_t d = 0; d < point.dimensions; ++d) {
      const float at = At(d) - 0.5f;
      const float floor = std::floor(at);
      low[d] = static_cast<int64_t>(floor);
      weight[d] = Weight(at - floor);
    }
    std::array<float, 4> sum{};
    for (uint32_t corner = 0; corner < 1u << point.dimensions; ++corner) {
      std::array<int64_t, 3> index{};
      float part = 1;
      for (uint32_t d = 0; d < point.dimensions; ++d) {
        const bool high = (corner >> d & 1) != 0;
        index[d] = low[d] + high;
        part *= high ? weight[d] : 1 - weight[d];
      }
      const Sampled texel = Texel(index);
      for (uint32_t c = 0; c < 4; ++c) sum[c] += part * std::bit_cast<float>(texel[c]);
    }
    Sampled bits{};
    for (uint32_t c = 0; c < 4; ++c) bits[c] = std::bit_cast<uint32_t>(sum[c]);
    return bits;
  }

  // Nine bits of fixed point, eight of them fraction: 1.0 is one of its values.
  static float Weight(float fraction) { return std::floor(fraction * 256 + 0.5f) / 256; }
};

Sampled AtLevel(const Texture& texture, const TexturePoint& point, size_t level) {
  const Sampler sampler{texture, texture.levels[level], point};
  const bool linear = texture.linear && !point.by_index && ReadsFloats(texture);
  return linear ? sampler.Linear() : sampler.Nearest();
}

}  // namespace

std::optional<uint32_t> ChannelBytes(int format) {
  switch (static_cast<TexelFormat>(format)) {
    case TexelFormat::kUint8:
    case TexelFormat::kSint8:
      return 1;
    case TexelFormat::kUint16:
    case TexelFormat::kSint16:
    case TexelFormat::kHalf:
      return 2;
    case TexelFormat::kUint32:
    case TexelFormat::kSint32:
    case TexelFormat::kFloat:
      return 4;
  }
  return std::nullopt;
}

Sampled Sample(const Texture& texture, const TexturePoint& point) {
  if (texture.levels.size() == 1) return AtLevel(texture, point, 0);
  const auto last = static_cast<float>(texture.levels.size() - 1);
  float level = std::isnan(point.level) ? 0 : point.level + texture.level_bias;
  level = std::clamp(std::min(std::max(level, texture.least_level), texture.most_level), 0.0f, last);
  if (!texture.linear_levels) return AtLevel(texture, point, static_cast<size_t>(std::floor(level + 0.5f)));
  const float low = std::floor(level), weight = Sampler::Weight(level - low);
  const Sampled near = AtLevel(texture, point, static_cast<size_t>(low));
  if (weight == 0 || !ReadsFloats(texture)) return near;
  const Sampled far = AtLevel(texture, point, static_cast<size_t>(std::min(low + 1, last)));
  Sampled blended{};
  for (uint32_t c = 0; c < 4; ++c)
    blended[c] =
        std::bit_cast<uint32_t>((1 - weight) * std::bit_cast<float>(near[c]) + weight * std::bit_cast<float>(far[c]));
  return blended;
}

Sampled Gather(const Texture& texture, const TexturePoint& point, uint32_t channel) {
  const Sampler sampler{texture, texture.levels[0], point};
  const auto x = static_cast<int64_t>(std::floor(sampler.At(0) - 0.5f));
  const auto y = static_cast<int64_t>(std::floor(sampler.At(1) - 0.5f));
  return {sampler.Texel({x, y + 1})[channel], sampler.Texel({x + 1, y + 1})[channel],
          sampler.Texel({x + 1, y})[channel], sampler.Texel({x, y})[channel]};
}

// The guide's table of faces, with the coordinates on them.
TexturePoint OnCube(float x, float y, float z, int32_t cube) {
  const float ax = std::abs(x), ay = std::abs(y), az = std::abs(z);
  int32_t face = 0;
  float m = 0, s = 0, t = 0;
  if (ax >= ay && ax >= az) {
    face = x >= 0 ? 0 : 1;
    m = ax, s = x >= 0 ? -z : z, t = -y;
  } else if (ay >= az) {
    face = y >= 0 ? 2 : 3;
    m = ay, s = x, t = y >= 0 ? z : -z;
  } else {
    face = z >= 0 ? 4 : 5;
    m = az, s = z >= 0 ? x : -x, t = -y;
  }
  return {.dimensions = 2, .at = {(s / m + 1) / 2, (t / m + 1) / 2, 0}, .layer = cube * 6 + face};
}

void TextureTable::Add(uint64_t handle, std::shared_ptr<const Texture> texture) {
  const std::unique_lock lock(mutex_);
  textures_.emplace(handle, std::move(texture));
}

bool TextureTable::Remove(uint64_t handle) {
  const std::unique_lock lock(mutex_);
  return textures_.erase(handle) > 0;
}

std::shared_ptr<const Texture> TextureTable::Find(uint64_t handle) const {
  const std::shared_lock lock(mutex_);
  const auto found = textures_.find(handle);
  return found == textures_.end() ? nullptr : found->second;
}

}  // namespace mignificient::cpu
