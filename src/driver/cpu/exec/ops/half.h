// 16-bit floats as bits: conversions that vectorise, exact in both directions.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace mignificient::cpu {

struct Half {  // IEEE binary16
  static float ToFloat(uint16_t h) {
    const uint32_t magnitude = (h & 0x7fffu) << 13;
    const uint32_t sign = (h & 0x8000u) << 16;
    // Normal: rebias by a multiplication, which also normalises subnormals. Inf and NaN: set all exponent bits.
    const float scaled = std::bit_cast<float>(magnitude) * 0x1p112f;
    const uint32_t bits = magnitude >= 0x0f800000u ? magnitude | 0x7f800000u : std::bit_cast<uint32_t>(scaled);
    return std::bit_cast<float>(bits | sign);
  }
  // Nearest even.
  static uint16_t FromFloat(float f) {
    const uint32_t bits = std::bit_cast<uint32_t>(f);
    const uint32_t sign = (bits >> 16) & 0x8000u;
    const uint32_t magnitude = bits & 0x7fffffffu;
    // Subnormal results: adding 0.5 puts the rounding at the right bit.
    const uint32_t small = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
    const uint32_t normal = (magnitude + 0xc8000fffu + ((magnitude >> 13) & 1)) >> 13;
    uint32_t r = magnitude < 0x38800000u ? small : normal;
    r = magnitude >= 0x47800000u ? 0x7c00u : r;
    r = magnitude > 0x7f800000u ? 0x7fffu : r;
    return static_cast<uint16_t>(magnitude > 0x7f800000u ? 0x7fffu : (r | sign));
  }
  static constexpr uint16_t kNan = 0x7fff, kSign = 0x8000, kInfinity = 0x7c00, kOne = 0x3c00, kMax = 0x7bff;
  static constexpr int kMantissa = 10;
};

struct Brain {  // bfloat16
  static float ToFloat(uint16_t h) { return std::bit_cast<float>(uint32_t{h} << 16); }
  static uint16_t FromFloat(float f) {
    const uint32_t bits = std::bit_cast<uint32_t>(f);
    const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1)) >> 16;
    return static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fffu : rounded);
  }
  static constexpr uint16_t kNan = 0x7fff, kSign = 0x8000, kInfinity = 0x7f80, kOne = 0x3f80, kMax = 0x7f7f;
  static constexpr int kMantissa = 7;
};

// a * b + c rounded to odd in double: rounding that again to a 16-bit float is rounding once.
inline double FusedToOdd(double a, double b, double c) {
  const double product = a * b;  // exact: both have at most 11 bits
  const double sum = product + c;
  const double back = sum - product;
  const double error = (product - (sum - back)) + (c - back);
  if (!(error != 0) || !std::isfinite(sum)) return sum;
  uint64_t bits = std::bit_cast<uint64_t>(sum);
  if (bits & 1) return sum;
  const bool away = (error > 0) == (sum > 0);
  bits = away ? bits + 1 : bits - 1;
  return std::bit_cast<double>(bits);
}

// To float, to odd, so that the next rounding is the only one.
inline float FloatToOdd(double value) {
  const float f = static_cast<float>(value);
  const double back = f;
  if (back == value || !(std::abs(value) < HUGE_VAL)) return f;
  uint32_t bits = std::bit_cast<uint32_t>(f);
  // Truncate, then set the last bit.
  if (std::abs(back) > std::abs(value)) --bits;
  return std::bit_cast<float>(bits | 1);
}

}  // namespace mignificient::cpu
