// Texture and surface instructions.
#include <algorithm>
#include <cstring>
#include <map>
#include <optional>

#include "driver/cpu/exec/lower.h"
#include "driver/cpu/exec/texture_ops.h"

namespace mignificient::cpu {
namespace {

std::optional<TextureShape> ShapeOf(std::string_view modifier) {
  static const std::map<std::string_view, TextureShape> kShapes = {{".1d", TextureShape::k1D},
                                                                   {".2d", TextureShape::k2D},
                                                                   {".3d", TextureShape::k3D},
                                                                   {".a1d", TextureShape::k1DLayered},
                                                                   {".a2d", TextureShape::k2DLayered},
                                                                   {".cube", TextureShape::kCube},
                                                                   {".acube", TextureShape::kCubeLayered}};
  const auto found = kShapes.find(modifier);
  return found == kShapes.end() ? std::nullopt : std::optional(found->second);
}

std::optional<TextureWords::Outside> OutsideOf(std::string_view modifier) {
  using enum TextureWords::Outside;
  if (modifier == ".trap") return kTrap;
  if (modifier == ".clamp") return kClamp;
  if (modifier == ".zero") return kZero;
  return std::nullopt;
}

}  // namespace

Result<bool> FunctionLowering::Textures(Spec& s) {
  if (s.op.starts_with("tex") || s.op.starts_with("tld4")) return Sampling();
  if (s.op.starts_with("suld") || s.op.starts_with("sust")) return Surface();
  return false;
}

// The rows of coordinates, which may be padded to four.
Result<void> FunctionLowering::Coordinates(const Operand& address, TextureShape shape, bool floats,
                                           std::vector<uint32_t>& rows) {
  if (address.kind != Operand::Kind::kAddress || address.offset != 0 || address.elements.size() != 1)
    return Unsupported("only texture objects are");
  const Operand& given = address.elements[0];
  const std::vector<Operand> single{given};
  const auto& coordinates = given.kind == Operand::Kind::kVector ? given.elements : single;
  const uint32_t count = CoordinatesOf(shape);
  if (coordinates.size() < count) return Unsupported("coordinates are missing");
  const bool layered =
      shape == TextureShape::k1DLayered || shape == TextureShape::k2DLayered || shape == TextureShape::kCubeLayered;
  for (uint32_t i = 0; i < count; ++i) {
    const Type type = floats && !(layered && i == 0) ? Type::kF32 : Type::kB32;
    MIG_ASSIGN(const uint32_t row, Row(coordinates[i], type));
    rows.push_back(row);
  }
  return {};
}

Result<bool> FunctionLowering::Sampling() {
  TextureWords words;
  std::vector<Type> types;
  std::optional<TextureShape> shape;
  const bool gather = at_->opcode == "tld4";
  for (const std::string& m : at_->modifiers) {
    if (const auto found = ShapeOf(m))
      shape = found;
    else if (m == ".level" && !gather)
      words.has_level = true;
    else if (gather && m.size() == 2 && std::string_view("rgba").contains(m[1]))
      words.channel = static_cast<uint8_t>(std::string_view("rgba").find(m[1]));
    else if (const auto type = ptx::ParseType(m))
      types.push_back(*type);
    else if (m != ".v4" && m != ".base")
      return Unsupported();
  }
  const auto& operands = at_->operands;
  if (!shape || types.size() != 2 || ptx::SizeOf(types[0]) != 4 || ptx::SizeOf(types[1]) != 4 ||
      operands.size() != (words.has_level ? 3u : 2u) || operands[0].kind != Operand::Kind::kVector ||
      operands[0].elements.size() != 4 || (gather && *shape != TextureShape::k2D && *shape != TextureShape::k2DLayered))
    return Unsupported();
  const bool floats = types[1] == Type::kF32;
  words.shape = *shape;
  words.by_index = !floats;
  std::vector<uint32_t> rows;
  std::vector<Target> targets;
  for (const Operand& element : operands[0].elements) {
    MIG_ASSIGN(const Target target, Destination(element, types[0]));
    targets.push_back(target);
    rows.push_back(target.row);
  }
  MIG_TRY(Coordinates(operands[1], *shape, floats, rows));
  if (words.has_level) {
    MIG_ASSIGN(const uint32_t level, Row(operands[2], Type::kF32));
    rows.push_back(level);
  }
  MIG_TRY(EmitTexture(gather ? GatherTexture : SampleTexture, operands[1], words, std::move(rows)));
  for (const Target& target : targets) Finish(target);
  return true;
}

Result<bool> FunctionLowering::Surface() {
  const bool load = at_->opcode == "suld";
  TextureWords words{.by_index = true, .values = 1};
  std::optional<TextureShape> shape;
  Type type = Type::kNone;
  bool bytes = false;
  for (const std::string& m : at_->modifiers) {
    if (const auto found = ShapeOf(m))
      shape = found;
    else if (const auto outside = OutsideOf(m))
      words.outside = *outside;
    else if (m == ".v2" || m == ".v4")
      words.values = static_cast<uint8_t>(m[2] - '0');
    else if (m == ".b" && !bytes)
      bytes = true;
    else if (const auto value = ptx::ParseType(m))
      type = *value;
    else
      return Unsupported();
  }
  const auto& operands = at_->operands;
  if (!bytes || !shape || *shape == TextureShape::kCube || *shape == TextureShape::kCubeLayered ||
      ptx::SizeOf(type) == 0 || ptx::SizeOf(type) > 8 || operands.size() != 2)
    return Unsupported();
  words.shape = *shape;
  words.bytes = static_cast<uint8_t>(ptx::SizeOf(type));
  const Operand& data = operands[load ? 0 : 1];
  const std::vector<Operand> single{data};
  const auto& elements = data.kind == Operand::Kind::kVector ? data.elements : single;
  if (elements.size() != words.values) return Unsupported("operands do not match");
  std::vector<uint32_t> rows;
  std::vector<Target> targets;
  for (const Operand& element : elements) {
    if (load) {
      MIG_ASSIGN(const Target target, Destination(element, type));
      targets.push_back(target);
      rows.push_back(target.row);
    } else {
      MIG_ASSIGN(const uint32_t row, Row(element, type));
      rows.push_back(row);
    }
  }
  MIG_TRY(Coordinates(operands[load ? 1 : 0], *shape, false, rows));
  MIG_TRY(EmitTexture(load ? LoadSurface : StoreSurface, operands[load ? 1 : 0], words, std::move(rows)));
  for (const Target& target : targets) Finish(target);
  return true;
}

Result<void> FunctionLowering::EmitTexture(Handler handler, const Operand& address, const TextureWords& words,
                                           std::vector<uint32_t> rows) {
  Operand name = address;
  name.kind = Operand::Kind::kName;
  name.elements.clear();
  const Symbol* symbol = Find(name.name);
  if (symbol == nullptr || symbol->kind != Symbol::Kind::kRegister || ptx::SizeOf(symbol->type) != 8)
    return Unsupported("only texture objects are");
  Inst& inst = Emit(handler);
  inst.a = symbol->offset;
  std::memcpy(&inst.imm, &words, sizeof words);
  NewExtra(inst).rows = std::move(rows);
  return {};
}

}  // namespace mignificient::cpu
