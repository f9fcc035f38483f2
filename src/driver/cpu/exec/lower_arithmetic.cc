// Instructions whose operands are rows: names, modifiers and shapes.
#include <algorithm>
#include <iterator>

#include "driver/cpu/exec/lower.h"

namespace mignificient::cpu {

using ptx::SizeOf;

namespace {

struct Rounding {
  std::string_view name;
  Round round;
};
constexpr Rounding kRoundings[] = {{".rn", Round::kNearest},  {".rz", Round::kZero},        {".rm", Round::kDown},
                                   {".rp", Round::kUp},       {".rni", Round::kIntNearest}, {".rzi", Round::kIntZero},
                                   {".rmi", Round::kIntDown}, {".rpi", Round::kIntUp}};

// What each instruction takes, result first: T the instruction's type, W twice as wide, U 32 bits,
// S a signed 32-bit number, Q the second type.
struct Shape {
  std::string_view op, shape;
};
constexpr Shape kShapes[] = {
    {"add", "TTT"},         {"sub", "TTT"},          {"mul", "TTT"},         {"min", "TTT"},
    {"max", "TTT"},         {"div", "TTT"},          {"rem", "TTT"},         {"addc", "TTT"},
    {"subc", "TTT"},        {"mul.lo", "TTT"},       {"mul.hi", "TTT"},      {"mul.wide", "WTT"},
    {"mad.lo", "TTTT"},     {"mad.hi", "TTTT"},      {"mad.wide", "WTTW"},   {"madc.lo", "TTTT"},
    {"madc.hi", "TTTT"},    {"mul24.lo", "TTT"},     {"mul24.hi", "TTT"},    {"mad24.lo", "TTTT"},
    {"mad24.hi", "TTTT"},   {"sad", "TTTT"},         {"neg", "TT"},          {"abs", "TT"},
    {"popc", "UT"},         {"clz", "UT"},           {"bfind", "UT"},        {"bfind.shiftamt", "UT"},
    {"brev", "TT"},         {"bfe", "TTUU"},         {"bfi", "TTTUU"},       {"fns", "UUUS"},
    {"prmt", "TTTT"},       {"prmt.f4e", "TTTT"},    {"prmt.b4e", "TTTT"},   {"prmt.rc8", "TTTT"},
    {"prmt.ecl", "TTTT"},   {"prmt.ecr", "TTTT"},    {"prmt.rc16", "TTTT"},  {"shf.l.clamp", "TTTU"},
    {"shf.l.wrap", "TTTU"}, {"shf.r.clamp", "TTTU"}, {"shf.r.wrap", "TTTU"}, {"bmsk.clamp", "TTT"},
    {"bmsk.wrap", "TTT"},   {"szext.clamp", "TTU"},  {"szext.wrap", "TTU"},  {"and", "TTT"},
    {"or", "TTT"},          {"xor", "TTT"},          {"not", "TT"},          {"cnot", "TT"},
    {"shl", "TTU"},         {"shr", "TTU"},          {"fma", "TTTT"},        {"mad", "TTTT"},
    {"rcp", "TT"},          {"sqrt", "TT"},          {"rsqrt", "TT"},        {"sin", "TT"},
    {"cos", "TT"},          {"lg2", "TT"},           {"ex2", "TT"},          {"tanh", "TT"},
    {"copysign", "TTT"},
};
// Modifiers that belong to the operation's name.
constexpr std::string_view kVariants[] = {
    ".lo", ".hi", ".wide",  ".shiftamt", ".f4e",    ".b4e",      ".rc8",    ".ecl",        ".ecr",    ".rc16",
    ".l",  ".r",  ".clamp", ".wrap",     ".finite", ".infinite", ".number", ".notanumber", ".normal", ".subnormal"};
constexpr std::string_view kJoined[] = {"mul",  "mad", "madc", "mul24", "mad24", "bfind",
                                        "prmt", "shf", "bmsk", "szext", "testp", "dp2a"};

}  // namespace

Spec FunctionLowering::MakeSpec(const ptx::Instruction& instruction) {
  Spec s{.op = instruction.opcode};
  types_ = 0;
  const bool joined = std::ranges::find(kJoined, s.op) != std::end(kJoined);
  for (const std::string& modifier : instruction.modifiers) {
    const auto rounding = std::ranges::find(kRoundings, modifier, &Rounding::name);
    const auto type = ptx::ParseType(modifier);
    if (rounding != std::end(kRoundings))
      s.round = rounding->round;
    else if (type) {
      if (types_ == 0) s.type = *type;
      if (types_ <= 1) s.source = *type;
      ++types_;
    } else if (modifier == ".ftz")
      s.ftz = true;
    else if (modifier == ".sat")
      s.sat = true;
    else if (modifier == ".approx")
      s.approx = true;
    else if (modifier == ".full")
      s.full = true;
    else if (modifier == ".cc")
      s.cc = true;
    else if (modifier == ".NaN")
      s.nan = true;
    else if (modifier == ".relu")
      s.relu = true;
    else if (joined && std::ranges::find(kVariants, modifier) != std::end(kVariants))
      s.op += modifier;
    else
      s.rest.push_back(modifier);
  }
  return s;
}

Result<bool> FunctionLowering::Shaped(Spec& s, std::string_view shape) {
  const auto& operands = at_->operands;
  if (operands.size() != shape.size()) return Unsupported("operands do not match");
  if (!s.rest.empty()) return Unsupported(fmt::format("modifier [{}]", s.rest.front()));
  const auto type_of = [&](char c) {
    if (c == 'U') return Type::kB32;
    if (c == 'S') return Type::kS32;
    if (c == 'Q') return s.source;
    if (c == 'W')
      return SizeOf(s.type) == 2     ? (ptx::IsSigned(s.type) ? Type::kS32 : Type::kU32)
             : ptx::IsSigned(s.type) ? Type::kS64
                                     : Type::kU64;
    return s.type;
  };
  Handler handler = nullptr;
  if (s.type == Type::kF32 || s.type == Type::kF64)
    handler = s.op.starts_with("slct") ? ops_.integer(s) : ops_.floating(s);
  else if (ptx::IsFloat(s.type))
    handler = ops_.half(s);
  else if (s.type == Type::kPred)
    handler = ops_.compare(s);
  else
    handler = ops_.integer(s);
  if (handler == nullptr) return Unsupported();
  uint32_t rows[4] = {};
  for (size_t i = 1; i < operands.size(); ++i) {
    MIG_ASSIGN(rows[i - 1], Row(operands[i], type_of(shape[i])));
  }
  MIG_ASSIGN(const Target target, Destination(operands[0], type_of(shape[0])));
  Inst& inst = Emit(handler);
  inst.d = target.row;
  inst.a = rows[0], inst.b = rows[1], inst.c = rows[2], inst.e = rows[3];
  Finish(target);
  return true;
}

Result<bool> FunctionLowering::Arithmetic(Spec& s) {
  if (s.Take(".xorsign")) {
    if (!s.Take(".abs")) return Unsupported();
    s.xorsign = true;
  }
  if (s.op == "min" || s.op == "max") {
    if (at_->operands.size() != 3 || s.relu) return Unsupported();
  }
  if (s.type == Type::kPred && s.op != "setp") {
    const Handler handler = ops_.compare(s);
    const bool one = s.op == "not" || s.op == "mov";
    if (handler == nullptr || at_->operands.size() != (one ? 2u : 3u)) return Unsupported();
    uint32_t flips[2] = {}, words[2] = {kTrueWord, kTrueWord};
    for (size_t i = 1; i < at_->operands.size(); ++i) {
      MIG_ASSIGN(words[i - 1], Predicate(at_->operands[i], flips[i - 1]));
    }
    MIG_ASSIGN(const uint32_t d, PredicateTarget(at_->operands[0]));
    Inst& inst = Emit(handler);
    inst.d = d, inst.a = words[0], inst.b = words[1], inst.x = flips[0], inst.y = flips[1];
    return true;
  }
  if (s.op == "mov") return Move(s);
  if (s.op == "cvt") return Convert(s);
  if (s.op == "setp" || s.op == "set" || s.op == "selp" || s.op.starts_with("testp")) return Compare(s);
  if (s.op == "lop3") return Lop3(s);
  if (s.op == "slct") {
    if (types_ != 2 || (s.source != Type::kS32 && s.source != Type::kF32)) return Unsupported();
    s.op = s.source == Type::kF32 ? "slct.f32" : "slct.s32";
    s.ftz = false;
    return Shaped(s, "TTTQ");
  }
  if (s.op == "dp4a" || s.op.starts_with("dp2a.")) {
    const bool known = types_ == 2 && SizeOf(s.type) == 4 && SizeOf(s.source) == 4 && ptx::IsInteger(s.type) &&
                       ptx::IsInteger(s.source);
    if (!known) return Unsupported();
    return Shaped(s, "SUUS");
  }
  if (s.op == "fns") {
    s.type = Type::kB32;
    return Shaped(s, "UUUS");
  }
  const auto* shape = std::ranges::find(kShapes, s.op, &Shape::op);
  if (shape == std::end(kShapes)) return false;
  if (types_ != 1 || (!ptx::IsFloat(s.type) && !ptx::IsInteger(s.type))) return Unsupported();
  const bool integer = ptx::IsInteger(s.type);
  if (integer && (s.ftz || s.approx || s.full || s.nan || s.relu || s.xorsign || s.round != Round::kNone))
    return Unsupported();
  if (!integer && s.cc) return Unsupported();
  return Shaped(s, shape->shape);
}

Result<bool> FunctionLowering::Compare(Spec& s) {
  const auto& operands = at_->operands;
  if (s.op.starts_with("testp")) {
    const Handler handler = ops_.compare(s);
    if (handler == nullptr || operands.size() != 2 || !s.rest.empty()) return Unsupported();
    MIG_ASSIGN(const uint32_t a, Row(operands[1], s.type));
    MIG_ASSIGN(const uint32_t d, PredicateTarget(operands[0]));
    Inst& inst = Emit(handler);
    inst.d = d, inst.a = a;
    return true;
  }
  if (s.op == "selp") {
    const Handler handler = ops_.compare(s);
    if (handler == nullptr || operands.size() != 4 || !s.rest.empty()) return Unsupported();
    MIG_ASSIGN(const uint32_t a, Row(operands[1], s.type));
    MIG_ASSIGN(const uint32_t b, Row(operands[2], s.type));
    uint32_t flip = 0;
    MIG_ASSIGN(const uint32_t p, Predicate(operands[3], flip));
    MIG_ASSIGN(const Target target, Destination(operands[0], s.type));
    Inst& inst = Emit(handler);
    inst.d = target.row, inst.a = a, inst.b = b, inst.e = p, inst.y = flip;
    Finish(target);
    return true;
  }
  const bool set = s.op == "set";
  if (s.rest.empty() || s.rest.size() > 2 || types_ != (set ? 2u : 1u)) return Unsupported();
  s.op += s.rest[0];
  uint32_t combine = 0;
  if (s.rest.size() == 2) {
    combine = s.rest[1] == ".and" ? 1 : s.rest[1] == ".or" ? 2 : s.rest[1] == ".xor" ? 3 : 0;
    if (combine == 0) return Unsupported();
  }
  if (operands.size() != (combine ? 4u : 3u)) return Unsupported("operands do not match");
  if (s.source == Type::kF16x2 || s.source == Type::kBf16x2) return PackedCompare(s, set);
  const Handler handler = ops_.compare(s);
  if (handler == nullptr) return Unsupported();
  MIG_ASSIGN(const uint32_t a, Row(operands[1], s.source));
  MIG_ASSIGN(const uint32_t b, Row(operands[2], s.source));
  uint32_t c = kTrueWord, flip = 0;
  if (combine) {
    MIG_ASSIGN(c, Predicate(operands[3], flip));
  }
  if (set) {
    const uint64_t yes = s.type == Type::kF32    ? 0x3f800000
                         : s.type == Type::kF16  ? 0x3c00
                         : s.type == Type::kBf16 ? 0x3f80
                         : SizeOf(s.type) == 2   ? 0xffff
                                                 : 0xffffffff;
    if (SizeOf(s.type) != 4 && SizeOf(s.type) != 2) return Unsupported();
    MIG_ASSIGN(const Target target, Destination(operands[0], s.type));
    Inst& inst = Emit(handler);
    inst.d = target.row, inst.a = a, inst.b = b, inst.e = c, inst.y = flip, inst.x = combine,
    inst.imm = static_cast<int64_t>(yes);
    Finish(target);
    return true;
  }
  uint32_t p = 0, q = kSinkWord;
  if (operands[0].kind == Operand::Kind::kPair) {
    MIG_ASSIGN(p, PredicateTarget(operands[0].elements[0]));
    MIG_ASSIGN(q, PredicateTarget(operands[0].elements[1]));
  } else {
    MIG_ASSIGN(p, PredicateTarget(operands[0]));
  }
  Inst& inst = Emit(handler);
  inst.d = p, inst.d2 = q, inst.a = a, inst.b = b, inst.e = c, inst.y = flip, inst.x = combine;
  return true;
}

// Both halves, one after the other: unpacked into rows, compared, for set packed again.
Result<bool> FunctionLowering::PackedCompare(Spec& s, bool set) {
  const auto& operands = at_->operands;
  if (s.rest.size() != 1) return Unsupported();
  Spec half = s;
  half.source = s.source == Type::kF16x2 ? Type::kF16 : Type::kBf16;
  const Handler handler = ops_.compare(half);
  if (handler == nullptr || (set && SizeOf(s.type) != 4)) return Unsupported();
  uint32_t parts[2][2];
  for (int k = 0; k < 2; ++k) {
    MIG_ASSIGN(const uint32_t row, Row(operands[1 + k], Type::kB32));
    parts[k][0] = NewRow(128), parts[k][1] = NewRow(128);
    Inst& inst = Emit(ops_.move({.op = "unpack"}));
    inst.a = row, inst.x = 16;
    Extra& extra = NewExtra(inst);
    extra.rows = {parts[k][0], parts[k][1]};
    extra.wide = {0, 0};
  }
  if (!set) {
    if (operands[0].kind != Operand::Kind::kPair) return Unsupported();
    for (int k = 0; k < 2; ++k) {
      MIG_ASSIGN(const uint32_t p, PredicateTarget(operands[0].elements[k]));
      Inst& inst = Emit(handler);
      inst.d = p, inst.a = parts[0][k], inst.b = parts[1][k], inst.e = kTrueWord;
    }
    return true;
  }
  const int64_t yes = s.type == Type::kF16x2 ? 0x3c00 : s.type == Type::kBf16x2 ? 0x3f80 : 0xffff;
  uint32_t results[2] = {NewRow(128), NewRow(128)};
  for (int k = 0; k < 2; ++k) {
    Inst& inst = Emit(handler);
    inst.d = results[k], inst.a = parts[0][k], inst.b = parts[1][k], inst.e = kTrueWord, inst.imm = yes;
  }
  MIG_ASSIGN(const Target target, Destination(operands[0], Type::kB32));
  Inst& inst = Emit(ops_.move({.op = "pack"}));
  inst.d = target.row, inst.x = 16;
  Extra& extra = NewExtra(inst);
  extra.rows = {results[0], results[1]};
  extra.wide = {0, 0};
  Finish(target);
  return true;
}

Result<bool> FunctionLowering::Convert(Spec& s) {
  const auto& operands = at_->operands;
  const bool pack = s.Take(".pack");
  if (!s.rest.empty() || operands.size() < 2 || types_ < 2) return Unsupported();
  const auto describe = [&](Type to, Type from) {
    return static_cast<uint32_t>(to) | static_cast<uint32_t>(from) << 8 | static_cast<uint32_t>(s.round) << 16 |
           s.sat << 24 | s.ftz << 25 | s.relu << 26;
  };
  const bool pair = s.type == Type::kF16x2 || s.type == Type::kBf16x2;
  if (pack || pair) {
    const size_t count = pack && types_ == 3 ? 4 : 3;
    const bool known = pack ? s.source == Type::kS32 && s.sat && ptx::IsInteger(s.type) && SizeOf(s.type) <= 2 &&
                                  (types_ == 3) == (SizeOf(s.type) == 1)
                            : s.source == Type::kF32 && types_ == 2 && !s.sat;
    if (!known || operands.size() != count) return Unsupported();
    MIG_ASSIGN(const uint32_t a, Row(operands[1], Type::kB32));
    MIG_ASSIGN(const uint32_t b, Row(operands[2], Type::kB32));
    uint32_t c = 0;
    if (count == 4) {
      MIG_ASSIGN(c, Row(operands[3], Type::kB32));
    }
    MIG_ASSIGN(const Target target, Destination(operands[0], Type::kB32));
    Inst& inst = Emit(ops_.convert({.op = pack ? "cvt.pack" : "cvt.pair"}));
    inst.d = target.row, inst.a = a, inst.b = b, inst.c = c, inst.y = SizeOf(s.type) * 8;
    inst.x = describe(pack ? s.type : s.type == Type::kF16x2 ? Type::kF16 : Type::kBf16, s.source);
    Finish(target);
    return true;
  }
  if (types_ != 2 || operands.size() != 2) return Unsupported();
  const Handler handler = ops_.convert(s);
  if (handler == nullptr) return Unsupported();
  MIG_ASSIGN(const uint32_t a, Row(operands[1], s.source));
  MIG_ASSIGN(const Target target, Destination(operands[0], s.type));
  Inst& inst = Emit(handler);
  inst.d = target.row, inst.a = a, inst.x = describe(s.type, s.source);
  Finish(target);
  return true;
}

Result<bool> FunctionLowering::Move(Spec& s) {
  const auto& operands = at_->operands;
  if (operands.size() != 2 || types_ != 1 || !s.rest.empty() || SizeOf(s.type) == 0) return Unsupported();
  const uint32_t size = SizeOf(s.type);
  const bool to_vector = operands[0].kind == Operand::Kind::kVector,
             from_vector = operands[1].kind == Operand::Kind::kVector;
  if (to_vector && from_vector) return Unsupported();
  if (to_vector || from_vector) {
    const auto& elements = operands[to_vector ? 0 : 1].elements;
    const uint32_t part = elements.empty() ? 0 : size / static_cast<uint32_t>(elements.size());
    if (part == 0 || part * elements.size() != size) return Unsupported();
    const Type type = part == 8 ? Type::kB64 : Type::kB32;
    std::vector<uint32_t> rows;
    std::vector<Target> targets;
    for (const Operand& element : elements) {
      if (from_vector) {
        MIG_ASSIGN(const uint32_t row, Row(element, type));
        rows.push_back(row);
      } else if (element.kind == Operand::Kind::kSink) {
        rows.push_back(0);
      } else {
        MIG_ASSIGN(const Target target, Destination(element, type));
        targets.push_back(target);
        rows.push_back(target.row);
      }
    }
    uint32_t a = 0;
    Target target;
    if (to_vector) {
      MIG_ASSIGN(a, Row(operands[1], s.type));
    } else {
      MIG_ASSIGN(target, Destination(operands[0], s.type));
    }
    const bool pair = size == 8 && part == 4 && std::ranges::find(rows, 0u) == rows.end();
    if (pair) {
      Inst& inst = Emit(ops_.move({.op = to_vector ? "unpack.pair" : "pack.pair"}));
      inst.a = a;
      if (to_vector)
        inst.d = rows[0], inst.d2 = rows[1];
      else
        inst.d = target.row, inst.b = rows[0], inst.c = rows[1];
    } else {
      Inst& inst = Emit(ops_.move({.op = to_vector ? "unpack" : "pack"}));
      inst.d = target.row, inst.a = a, inst.x = part * 8, inst.y = size == 16 ? 2 : size == 8;
      Extra& extra = NewExtra(inst);
      extra.wide.assign(rows.size(), part == 8);
      extra.rows = std::move(rows);
    }
    for (const Target& one : targets) Finish(one);
    Finish(target);
    return true;
  }
  if (size < 2) return Unsupported();
  MIG_ASSIGN(const uint32_t a, Row(operands[1], s.type));
  MIG_ASSIGN(const Target target, Destination(operands[0], s.type));
  for (uint32_t half = 0; half < (size == 16 ? 2 : 1); ++half) {
    Inst& inst = Emit(ops_.move({.op = "mov", .type = size == 16 ? Type::kB64 : s.type}));
    inst.d = target.row + 256 * half, inst.a = a + 256 * half;
  }
  Finish(target);
  return true;
}

Result<bool> FunctionLowering::Lop3(Spec& s) {
  const auto& operands = at_->operands;
  const uint32_t combine = s.Take(".and") ? 1 : s.Take(".or") ? 2 : s.Take(".xor") ? 3 : 0;
  if (s.type != Type::kB32 || !s.rest.empty() || operands.size() != (combine ? 6u : 5u) ||
      operands[4].kind != Operand::Kind::kInteger)
    return Unsupported();
  uint32_t rows[3];
  for (int k = 0; k < 3; ++k) {
    MIG_ASSIGN(rows[k], Row(operands[k + 1], s.type));
  }
  uint32_t p = kSinkWord, q = kTrueWord, flip = 0;
  const Operand* result = &operands[0];
  if (combine) {
    if (result->kind != Operand::Kind::kPair) return Unsupported();
    MIG_ASSIGN(p, PredicateTarget(result->elements[1]));
    MIG_ASSIGN(q, Predicate(operands[5], flip));
    result = &operands[0].elements[0];
  }
  MIG_ASSIGN(const Target target, Destination(*result, s.type));
  Inst& inst = Emit(ops_.integer(s));
  inst.d = target.row, inst.d2 = p, inst.a = rows[0], inst.b = rows[1], inst.c = rows[2], inst.e = q, inst.x = combine,
  inst.y = flip;
  inst.imm = static_cast<int64_t>(operands[4].value & 0xff);
  Finish(target);
  return true;
}

}  // namespace mignificient::cpu
