// Loads, stores, atomics and addresses.
#include <algorithm>
#include <iterator>

#include "driver/cpu/exec/lower.h"

namespace mignificient::cpu {

using ptx::SizeOf;
using ptx::Space;

namespace {

// Hints and scopes that change nothing here: caches do not exist, every access is coherent.
bool IsHint(std::string_view m) {
  static constexpr std::string_view kHints[] = {".volatile", ".relaxed", ".weak",    ".cta",     ".cluster", ".gpu",
                                                ".sys",      ".ca",      ".cg",      ".cs",      ".lu",      ".cv",
                                                ".wb",       ".wt",      ".nc",      ".mmio",    ".noftz",   ".unified",
                                                ".acquire",  ".release", ".acq_rel", ".seq_cst", ".sc"};
  return std::ranges::find(kHints, m) != std::end(kHints) || m.starts_with(".L1::") || m.starts_with(".L2::");
}

std::string_view WhereOf(Space space) {
  switch (space) {
    case Space::kGlobal:
    case Space::kConst:
      return "global";
    case Space::kShared:
      return "shared";
    case Space::kLocal:
      return "local";
    case Space::kParam:
      return "param";
    default:
      return "";
  }
}

uint64_t WindowOf(Space space) {
  switch (space) {
    case Space::kShared:
      return kSharedWindow;
    case Space::kLocal:
      return kLocalWindow;
    case Space::kParam:
      return kParamWindow;
    default:
      return 0;
  }
}

}  // namespace

// Fills the address of `out`; gives where it leads: a parameter of a device function is in its frame.
Result<std::string> FunctionLowering::Address(const Operand& operand, std::string where, uint32_t bytes, Inst& out,
                                              bool narrow) {
  if (operand.kind != Operand::Kind::kAddress || !operand.elements.empty()) return Unsupported("an address is missing");
  out.imm = operand.offset;
  if (operand.name.empty()) {
    out.a = ConstantRow(0, true);
    return where;
  }
  Operand name = operand;
  name.kind = Operand::Kind::kName;
  name.offset = 0;
  const Symbol* symbol = Find(operand.name);
  if (symbol != nullptr && symbol->kind == Symbol::Kind::kVariable && symbol->block.size != 0) {
    const ParamBlock& block = symbol->block;
    if (where != "param" || operand.offset < 0 || operand.offset + bytes > block.stride)
      return Unsupported("it is outside the parameter");
    if (operand.offset % std::max(1u, SizeOf(at_->modifiers.empty() ? Type::kB8 : MakeSpec(*at_).type)) != 0)
      return Unsupported("it is misaligned");
    out.c = block.offset, out.e = block.stride;
    return "frame";
  }
  if (where == "param" && !source_.entry) return Unsupported("parameters of a function are read by name");
  if (where == "generic" && symbol != nullptr && symbol->kind == Symbol::Kind::kVariable)
    where = WhereOf(symbol->variable->space);
  if (where == "generic" && index_.shared.contains(operand.name)) where = "shared";
  const bool wide = symbol != nullptr && symbol->kind == Symbol::Kind::kRegister && Wide(symbol->type);
  if (narrow && where == "shared" && !wide) {
    MIG_ASSIGN(out.a, Row(name, Type::kU32));
    return "shared32";
  }
  MIG_ASSIGN(out.a, Row(name, Type::kU64));
  return where;
}

Result<bool> FunctionLowering::Memory(Spec& s) {
  if (s.op == "ld" || s.op == "st" || s.op == "ldu") return LoadStore(s);
  if (s.op == "atom" || s.op == "red") return Atomic(s);
  if (s.op == "cvta") return Cvta(s);
  if (s.op == "cp") return CopyAsync(s);
  if (s.op == "prefetch" || s.op == "prefetchu" || s.op == "applypriority" || s.op == "discard") {
    if (s.op == "discard" || s.Has(".tensor")) return Unsupported();
    Emit(ops_.move({.op = "nop"}));
    return true;
  }
  if (s.op == "membar" || s.op == "fence") {
    for (const std::string& m : s.rest) {
      if (!IsHint(m) && m != ".gl" && m != ".mbarrier_init") return Unsupported();
    }
    Emit(ops_.control({.op = "fence"}));
    return true;
  }
  if (s.op == "isspacep") {
    if (s.rest.size() != 1 || at_->operands.size() != 2) return Unsupported();
    const auto space = ptx::ParseSpace(s.rest[0]);
    if (!space || *space == Space::kReg || *space == Space::kOther || *space == Space::kConst) return Unsupported();
    MIG_ASSIGN(const uint32_t a, Row(at_->operands[1], Type::kU64));
    MIG_ASSIGN(const uint32_t d, PredicateTarget(at_->operands[0]));
    Inst& inst = Emit(ops_.lanes(s));
    inst.d = d, inst.a = a, inst.imm = static_cast<int64_t>(WindowOf(*space));
    return true;
  }
  return false;
}

Result<bool> FunctionLowering::LoadStore(Spec& s) {
  std::string where = "generic";
  uint32_t count = 1;
  bool ordered = false, hint = false;
  for (const std::string& m : s.rest) {
    if (const auto space = ptx::ParseSpace(m)) {
      where = WhereOf(*space);
      if (where.empty()) return Unsupported();
    } else if (m == ".v2" || m == ".v4" || m == ".v8") {
      count = static_cast<uint32_t>(m[2] - '0');
    } else if (!IsHint(m)) {
      return Unsupported(fmt::format("modifier [{}]", m));
    }
    ordered |= m == ".acquire" || m == ".release" || m == ".volatile";
    hint |= m == ".L2::cache_hint";
  }
  const bool load = s.op != "st";
  const auto& operands = at_->operands;
  if (types_ != 1 || SizeOf(s.type) == 0 || s.type == Type::kPred || operands.size() != (hint ? 3u : 2u))
    return Unsupported();
  const Operand& data = operands[load ? 0 : 1];
  Type type = s.type;
  Inst address;
  MIG_ASSIGN(where, Address(operands[load ? 1 : 0], where, SizeOf(type) * count, address, true));
  if (where == "param" && !load) return Unsupported("kernel parameters are constant");

  std::vector<uint32_t> rows;
  std::vector<uint8_t> wide;
  std::vector<Target> targets;
  const bool big = SizeOf(type) == 16;
  if ((data.kind == Operand::Kind::kVector) != (count > 1)) return Unsupported("operands do not match");
  const std::vector<Operand> single{data};
  const auto& elements = count > 1 ? data.elements : single;
  if (elements.size() != count) return Unsupported("operands do not match");
  for (const Operand& element : elements) {
    // A narrow value goes into a register of any width; only then is the register itself the target.
    const Symbol* symbol = element.kind == Operand::Kind::kName ? Find(element.name) : nullptr;
    const bool into_wide = symbol != nullptr && symbol->kind == Symbol::Kind::kRegister && SizeOf(symbol->type) == 8;
    if (load && element.kind == Operand::Kind::kSink && count > 1) {
      rows.push_back(0), wide.push_back(0);
    } else if (load && into_wide && SizeOf(type) < (count == 1 ? 8u : 4u)) {
      rows.push_back(symbol->offset), wide.push_back(1);
    } else if (load) {
      MIG_ASSIGN(const Target target, Destination(element, type));
      targets.push_back(target);
      rows.push_back(target.row), wide.push_back(Wide(type) || big);
    } else {
      MIG_ASSIGN(const uint32_t row, Row(element, type));
      rows.push_back(row), wide.push_back(Wide(type) || big);
    }
    if (big) rows.push_back(rows.back() + 256), wide.push_back(1);
  }
  if (big) type = Type::kB64, count *= 2;
  Spec found{.op = load ? "ld" : "st", .type = type, .rest = {where}};
  if (count > 1) found.op += "v";
  const Handler handler = ops_.memory(found);
  if (handler == nullptr) return Unsupported();
  Inst& inst = Emit(handler);
  inst.a = address.a, inst.c = address.c, inst.e = address.e, inst.imm = address.imm;
  inst.x = static_cast<uint32_t>(ptx::IsSigned(type)) | static_cast<uint32_t>(wide[0]) << 1 |
           static_cast<uint32_t>(ordered) << 2 | count << 8;
  inst.d = rows[0], inst.b = rows[0];
  if (count > 1) {
    Extra& extra = NewExtra(inst);
    extra.rows = std::move(rows);
    extra.wide = std::move(wide);
  }
  for (const Target& target : targets) Finish(target);
  return true;
}

Result<bool> FunctionLowering::Atomic(Spec& s) {
  static constexpr std::string_view kOps[] = {".add", ".and", ".or",  ".xor",  ".min",
                                              ".max", ".inc", ".dec", ".exch", ".cas"};
  std::string where = "generic", op;
  bool hint = false;
  for (const std::string& m : s.rest) {
    if (const auto space = ptx::ParseSpace(m))
      where = WhereOf(*space);
    else if (std::ranges::find(kOps, m) != std::end(kOps))
      op = m.substr(1);
    else if (!IsHint(m))
      return Unsupported(fmt::format("modifier [{}]", m));
    hint |= m == ".L2::cache_hint";
  }
  const bool result = s.op == "atom";
  const auto& operands = at_->operands;
  const size_t expected = 2u + result + (op == "cas") + hint;
  if (types_ != 1 || op.empty() || operands.size() != expected) return Unsupported();
  if ((op == "inc" || op == "dec") && s.type != Type::kU32) return Unsupported();
  Inst address;
  MIG_ASSIGN(where, Address(operands[result], where, SizeOf(s.type), address, true));
  const Handler handler = ops_.atomic({.op = op, .type = s.type, .rest = {where}});
  if (handler == nullptr) return Unsupported();
  MIG_ASSIGN(const uint32_t b, Row(operands[1 + result], s.type));
  uint32_t c = b;
  if (op == "cas") {
    MIG_ASSIGN(c, Row(operands[2 + result], s.type));
  }
  Target target;
  if (result && operands[0].kind != Operand::Kind::kSink) {
    MIG_ASSIGN(target, Destination(operands[0], s.type));
  }
  Inst& inst = Emit(handler);
  inst.d = target.row, inst.a = address.a, inst.imm = address.imm, inst.b = b, inst.c = c;
  Finish(target);
  return true;
}

Result<bool> FunctionLowering::Cvta(Spec& s) {
  const bool to = s.Take(".to");
  if (s.rest.size() != 1 || at_->operands.size() != 2 || !Wide(s.type)) return Unsupported();
  const auto space = ptx::ParseSpace(s.rest[0]);
  if (!space || *space == Space::kReg || *space == Space::kOther) return Unsupported();
  MIG_ASSIGN(const uint32_t a, Row(at_->operands[1], Type::kU64));
  MIG_ASSIGN(const Target target, Destination(at_->operands[0], Type::kU64));
  const uint64_t window = WindowOf(*space);
  const uint32_t b = ConstantRow(to ? 0 - window : window, true);
  Inst& inst = Emit(ops_.move({.op = "add.base"}));
  inst.d = target.row, inst.a = a, inst.b = b;
  return true;
}

// cp.async.ca.shared.global [dst], [src], n{, src_size}; groups complete at once.
Result<bool> FunctionLowering::CopyAsync(Spec& s) {
  if (!s.Take(".async") || s.Has(".bulk") || s.Has(".mbarrier")) return Unsupported();
  if (s.Has(".commit_group") || s.Has(".wait_group") || s.Has(".wait_all")) {
    Emit(ops_.move({.op = "nop"}));
    return true;
  }
  for (const std::string& m : s.rest) {
    if (!IsHint(m) && m != ".global" && m != ".shared" && m != ".shared::cta")
      return Unsupported(fmt::format("modifier [{}]", m));
  }
  const auto& operands = at_->operands;
  const size_t count = operands.size() - (s.Has(".L2::cache_hint") ? 1 : 0);
  if (count < 3 || count > 4 || operands[2].kind != Operand::Kind::kInteger) return Unsupported();
  const uint64_t bytes = operands[2].value;
  if (bytes != 4 && bytes != 8 && bytes != 16) return Unsupported();
  Inst to, from;
  MIG_ASSIGN(const std::string shared, Address(operands[0], "shared", static_cast<uint32_t>(bytes), to));
  MIG_ASSIGN(const std::string global, Address(operands[1], "global", static_cast<uint32_t>(bytes), from));
  uint32_t fill = 0, ignore = 0, flip = 0;
  if (count == 4) {
    const Symbol* symbol = operands[3].kind == Operand::Kind::kName ? Find(operands[3].name) : nullptr;
    if (symbol != nullptr && symbol->type == Type::kPred) {
      MIG_ASSIGN(ignore, Predicate(operands[3], flip));
    } else {
      MIG_ASSIGN(fill, Row(operands[3], Type::kU32));
    }
  }
  if (ignore != 0) return Unsupported("ignore-src");
  if (from.imm < 0 || from.imm > 0x7fffffff) return Unsupported("offset");
  Inst& inst = Emit(ops_.memory({.op = "cp.async"}));
  inst.a = to.a, inst.imm = to.imm, inst.b = from.a, inst.d2 = static_cast<uint32_t>(from.imm);
  inst.x = static_cast<uint32_t>(bytes), inst.y = count == 4 ? ~0u : static_cast<uint32_t>(bytes), inst.c = fill;
  return true;
}

}  // namespace mignificient::cpu
