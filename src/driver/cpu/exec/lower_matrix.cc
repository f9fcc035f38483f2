// Matrix instructions of a warp.
#include <cstring>
#include <map>
#include <optional>

#include "driver/cpu/exec/lower.h"
#include "driver/cpu/exec/matrix.h"
#include "driver/cpu/exec/warp.h"

namespace mignificient::cpu {
namespace {

std::optional<MatrixType> MatrixTypeOf(std::string_view modifier) {
  static const std::map<std::string_view, MatrixType> kTypes = {
      {".f16", MatrixType::kF16}, {".bf16", MatrixType::kBf16}, {".tf32", MatrixType::kTf32},
      {".f32", MatrixType::kF32}, {".f64", MatrixType::kF64},   {".s8", MatrixType::kS8},
      {".u8", MatrixType::kU8},   {".s32", MatrixType::kS32}};
  const auto found = kTypes.find(modifier);
  return found == kTypes.end() ? std::nullopt : std::optional(found->second);
}

// ".m16n8k16"
bool ReadShape(std::string_view modifier, MatrixWords& words) {
  unsigned m = 0, n = 0, k = 0;
  int length = 0;
  const std::string text(modifier);
  if (std::sscanf(text.c_str(), ".m%un%uk%u%n", &m, &n, &k, &length) != 3 ||
      static_cast<size_t>(length) != text.size() || m > 32 || n > 32 || k > 64 || m == 0 || n == 0 || k == 0)
    return false;
  words.m = static_cast<uint8_t>(m), words.n = static_cast<uint8_t>(n), words.k = static_cast<uint8_t>(k);
  return true;
}

bool OfferedMma(const MatrixWords& w) {
  const auto is = [&](unsigned m, unsigned n, unsigned k) { return w.m == m && w.n == n && w.k == k; };
  switch (w.a) {
    case MatrixType::kF16:
    case MatrixType::kBf16:
      return w.b == w.a && (is(16, 8, 16) || is(16, 8, 8));
    case MatrixType::kTf32:
      return w.b == w.a && (is(16, 8, 8) || is(16, 8, 4));
    case MatrixType::kS8:
    case MatrixType::kU8:
      return is(16, 8, 32) || is(16, 8, 16);
    case MatrixType::kF64:
      return is(8, 8, 4);
    default:
      return false;
  }
}

bool OfferedWmma(const MatrixWords& w) {
  const auto is = [&](unsigned m, unsigned n, unsigned k) { return w.m == m && w.n == n && w.k == k; };
  return is(16, 16, 16) || is(32, 8, 16) || is(8, 32, 16) || is(16, 16, 8) || is(8, 8, 4);
}

}  // namespace

Result<bool> FunctionLowering::Matrices(Spec&) {
  if (at_->opcode == "mma") return Multiply(false);
  if (at_->opcode == "ldmatrix") return Matrices8x8();
  if (at_->opcode != "wmma" || at_->modifiers.empty()) return false;
  if (at_->modifiers[0] == ".mma") return Multiply(true);
  if (at_->modifiers[0] == ".load" || at_->modifiers[0] == ".store") return MatrixInMemory();
  return false;
}

// All lanes of the warp are there for the instruction that follows.
void FunctionLowering::Gather() {
  Emit(ops_.control({.op = "bar.warp"})).e = ConstantRow(kAllLanes, false);
}

// The rows of a fragment; of results, as targets too.
Result<void> FunctionLowering::Fragment(const Operand& operand, uint32_t least, bool f64, std::vector<uint32_t>& rows,
                                        std::vector<Target>* targets) {
  const std::vector<Operand> single{operand};
  const auto& elements = operand.kind == Operand::Kind::kVector ? operand.elements : single;
  if (elements.size() < least) return Unsupported("a fragment has too few registers");
  const Type type = f64 ? Type::kF64 : Type::kB32;
  for (const Operand& element : elements) {
    if (targets != nullptr) {
      MIG_ASSIGN(const Target target, Destination(element, type));
      targets->push_back(target);
      rows.push_back(target.row);
    } else {
      MIG_ASSIGN(const uint32_t row, Row(element, type));
      rows.push_back(row);
    }
  }
  return {};
}

Result<bool> FunctionLowering::Multiply(bool wmma) {
  MatrixWords words{.wmma = wmma};
  std::vector<MatrixType> types;
  bool shaped = false;
  std::string layouts;
  for (const std::string& m : at_->modifiers) {
    if (const auto type = MatrixTypeOf(m))
      types.push_back(*type);
    else if (ReadShape(m, words))
      shaped = true;
    else if (m == ".row" || m == ".col")
      layouts += m;
    else if (m != ".sync" && m != ".aligned" && m != ".mma" && m != ".rn")
      return Unsupported(m);
  }
  const auto& operands = at_->operands;
  if (!shaped || operands.size() != 4 || (!wmma && layouts != ".row.col")) return Unsupported();
  if (types.size() == 4)  // of d, a, b, c
    words.d = types[0], words.a = types[1], words.b = types[2], words.c = types[3];
  else if (types.size() == 2 && wmma)  // of d and c; a and b are f16
    words.d = types[0], words.c = types[1];
  else
    return Unsupported();
  if (wmma ? !OfferedWmma(words) : !OfferedMma(words)) return Unsupported();
  const auto registers = [&](MatrixOperand operand, MatrixType type) {
    return ShapeOf(words, operand).registers(type);
  };
  Gather();
  std::vector<uint32_t> rows;
  std::vector<Target> targets;
  const auto is_f64 = [](MatrixType type) { return type == MatrixType::kF64; };
  MIG_TRY(Fragment(operands[0], registers(MatrixOperand::kC, words.d), is_f64(words.d), rows, &targets));
  const size_t a = rows.size();
  MIG_TRY(Fragment(operands[1], registers(MatrixOperand::kA, words.a), is_f64(words.a), rows, nullptr));
  const size_t b = rows.size();
  MIG_TRY(Fragment(operands[2], registers(MatrixOperand::kB, words.b), is_f64(words.b), rows, nullptr));
  const size_t c = rows.size();
  MIG_TRY(Fragment(operands[3], registers(MatrixOperand::kC, words.c), is_f64(words.c), rows, nullptr));
  Inst& inst = Emit(MultiplyMatrices);
  inst.x = static_cast<uint32_t>(a), inst.y = static_cast<uint32_t>(b | c << 16);
  std::memcpy(&inst.imm, &words, sizeof words);
  NewExtra(inst).rows = std::move(rows);
  for (const Target& target : targets) Finish(target);
  return true;
}

Result<bool> FunctionLowering::MatrixInMemory() {
  MatrixWords words{.wmma = true};
  const bool load = at_->modifiers[0] == ".load";
  std::optional<MatrixType> type;
  std::optional<MatrixOperand> operand;
  bool shaped = false, by_column = false, shared = false;
  for (size_t i = 1; i < at_->modifiers.size(); ++i) {
    const std::string& m = at_->modifiers[i];
    if (const auto found = MatrixTypeOf(m))
      type = found;
    else if (ReadShape(m, words))
      shaped = true;
    else if (m == ".a")
      operand = MatrixOperand::kA;
    else if (m == ".b")
      operand = MatrixOperand::kB;
    else if (m == ".c" || m == ".d")
      operand = MatrixOperand::kC;
    else if (m == ".col")
      by_column = true;
    else if (m == ".shared" || m == ".shared::cta")
      shared = true;
    else if (m != ".sync" && m != ".aligned" && m != ".row" && m != ".global")
      return Unsupported(m);
  }
  const auto& operands = at_->operands;
  if (!type || !operand || !shaped || !OfferedWmma(words) || operands.size() < 2 || operands.size() > 3)
    return Unsupported();
  words.a = words.b = words.c = words.d = *type;
  const Operand& address = operands[load ? 1 : 0];
  if (address.kind != Operand::Kind::kAddress || address.offset != 0 || !address.elements.empty())
    return Unsupported("the address has an offset");
  Operand name = address;
  name.kind = Operand::Kind::kName;
  Gather();
  std::vector<uint32_t> rows;
  std::vector<Target> targets;
  const MatrixShape shape = ShapeOf(words, *operand);
  MIG_TRY(Fragment(operands[load ? 0 : 1], shape.registers(*type), *type == MatrixType::kF64, rows,
                   load ? &targets : nullptr));
  MIG_ASSIGN(const uint32_t at, Row(name, Type::kU64));
  uint32_t stride = ConstantRow(by_column ? shape.rows : shape.columns, false);
  if (operands.size() == 3) {
    MIG_ASSIGN(stride, Row(operands[2], Type::kB32));
  }
  Inst& inst = Emit(load ? LoadMatrix : StoreMatrix);
  inst.a = at, inst.b = stride;
  inst.y = static_cast<uint32_t>(*operand) | (by_column ? 0x100 : 0) | (shared ? 0x200 : 0);
  std::memcpy(&inst.imm, &words, sizeof words);
  NewExtra(inst).rows = std::move(rows);
  for (const Target& target : targets) Finish(target);
  return true;
}

Result<bool> FunctionLowering::Matrices8x8() {
  uint32_t count = 0;
  bool transposed = false, shape = false, type = false;
  for (const std::string& m : at_->modifiers) {
    if (m == ".x1" || m == ".x2" || m == ".x4")
      count = static_cast<uint32_t>(m[2] - '0');
    else if (m == ".trans")
      transposed = true;
    else if (m == ".m8n8")
      shape = true;
    else if (m == ".b16")
      type = true;
    else if (m != ".sync" && m != ".aligned" && m != ".shared" && m != ".shared::cta")
      return Unsupported(m);
  }
  const auto& operands = at_->operands;
  if (count == 0 || !shape || !type || operands.size() != 2) return Unsupported();
  Gather();
  std::vector<uint32_t> rows;
  std::vector<Target> targets;
  MIG_TRY(Fragment(operands[0], count, false, rows, &targets));
  Inst address;
  MIG_ASSIGN(const std::string where, Address(operands[1], "shared", 16, address));
  if (where != "shared") return Unsupported("it is not in shared memory");
  Inst& inst = Emit(LoadMatrices8x8);
  inst.a = address.a, inst.imm = address.imm;
  inst.x = count | (transposed ? 0x100 : 0);
  NewExtra(inst).rows = std::move(rows);
  for (const Target& target : targets) Finish(target);
  return true;
}

}  // namespace mignificient::cpu
