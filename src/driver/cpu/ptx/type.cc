#include "driver/cpu/ptx/type.h"

#include <algorithm>
#include <array>
#include <utility>

namespace mignificient::cpu::ptx {
namespace {

constexpr std::pair<std::string_view, Type> kTypes[] = {
    {".pred", Type::kPred},        {".b8", Type::kB8},         {".b16", Type::kB16},       {".b32", Type::kB32},
    {".b64", Type::kB64},          {".b128", Type::kB128},     {".u8", Type::kU8},         {".u16", Type::kU16},
    {".u32", Type::kU32},          {".u64", Type::kU64},       {".s8", Type::kS8},         {".s16", Type::kS16},
    {".s32", Type::kS32},          {".s64", Type::kS64},       {".f16", Type::kF16},       {".f16x2", Type::kF16x2},
    {".bf16", Type::kBf16},        {".f32", Type::kF32},       {".bf16x2", Type::kBf16x2}, {".f64", Type::kF64},
    {".tf32", Type::kOther},       {".e4m3x2", Type::kOther},  {".e5m2x2", Type::kOther},  {".texref", Type::kOther},
    {".samplerref", Type::kOther}, {".surfref", Type::kOther}, {".e2m1x2", Type::kOther},  {".e2m3x2", Type::kOther},
    {".e3m2x2", Type::kOther},     {".ue8m0x2", Type::kOther}, {".u16x2", Type::kOther},   {".s16x2", Type::kOther},
    {".f32x2", Type::kOther},
};

}  // namespace

std::optional<Type> ParseType(std::string_view directive) {
  const auto* found = std::ranges::find(kTypes, directive, &std::pair<std::string_view, Type>::first);
  if (found == std::end(kTypes)) return std::nullopt;
  return found->second;
}

uint32_t SizeOf(Type type) {
  switch (type) {
    case Type::kPred:
    case Type::kB8:
    case Type::kU8:
    case Type::kS8:
      return 1;
    case Type::kB16:
    case Type::kU16:
    case Type::kS16:
    case Type::kF16:
    case Type::kBf16:
      return 2;
    case Type::kB32:
    case Type::kU32:
    case Type::kS32:
    case Type::kF32:
    case Type::kF16x2:
    case Type::kBf16x2:
      return 4;
    case Type::kB64:
    case Type::kU64:
    case Type::kS64:
    case Type::kF64:
      return 8;
    case Type::kB128:
      return 16;
    case Type::kNone:
    case Type::kOther:
      return 0;
  }
  return 0;
}

bool IsSigned(Type type) {
  return type == Type::kS8 || type == Type::kS16 || type == Type::kS32 || type == Type::kS64;
}

bool IsFloat(Type type) {
  return type >= Type::kF16 && type <= Type::kF64;
}

bool IsInteger(Type type) {
  return type >= Type::kB8 && type <= Type::kS64;
}

std::optional<Space> ParseSpace(std::string_view directive) {
  const std::string_view base = directive.substr(0, directive.find("::"));
  if (base == ".reg") return Space::kReg;
  if (base == ".global") return Space::kGlobal;
  if (base == ".const") return Space::kConst;
  if (base == ".shared") return directive == ".shared::cluster" ? Space::kOther : Space::kShared;
  if (base == ".local") return Space::kLocal;
  if (base == ".param") return Space::kParam;
  if (base == ".sreg" || base == ".tex") return Space::kOther;
  return std::nullopt;
}

}  // namespace mignificient::cpu::ptx
