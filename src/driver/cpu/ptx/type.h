// The scalar types and state spaces of PTX.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace mignificient::cpu::ptx {

enum class Type : uint8_t {
  kNone,
  kPred,
  kB8,
  kB16,
  kB32,
  kB64,
  kB128,
  kU8,
  kU16,
  kU32,
  kU64,
  kS8,
  kS16,
  kS32,
  kS64,
  kF16,
  kF16x2,
  kBf16,
  kBf16x2,
  kF32,
  kF64,
  kOther,  // known to PTX, without arithmetic here: .tf32, .e4m3x2, .texref ...
};

// The type of ".u32"; nothing for a modifier that names no type.
std::optional<Type> ParseType(std::string_view directive);

// Bytes in memory; 1 for .pred, 0 for kNone and kOther.
uint32_t SizeOf(Type type);
bool IsSigned(Type type);
bool IsFloat(Type type);    // of any width, packed too
bool IsInteger(Type type);  // .uN, .sN, .bN

enum class Space : uint8_t { kReg, kGlobal, kConst, kShared, kLocal, kParam, kOther };

// The space of ".shared", ".shared::cta", ".param::entry" ...; nothing for anything else.
std::optional<Space> ParseSpace(std::string_view directive);

}  // namespace mignificient::cpu::ptx
