// Operands to rows and words of the frame.
#include <bit>

#include "driver/cpu/exec/lower.h"

namespace mignificient::cpu {

using ptx::Space;

Inst& FunctionLowering::Emit(Handler handler) {
  Inst inst;
  inst.run = handler;
  inst.guard = guard_;
  inst.guard_flip = guard_flip_;
  inst.d2 = kSinkWord;
  out_.code.push_back(inst);
  out_.lines.push_back(at_ ? at_->line : source_.line);
  return out_.code.back();
}

Extra& FunctionLowering::NewExtra(Inst& inst) {
  out_.extras.push_back(std::make_unique<Extra>());
  inst.extra = out_.extras.back().get();
  return *out_.extras.back();
}

uint32_t FunctionLowering::NewRow(uint32_t bytes) {
  const uint32_t row = (out_.frame_bytes + 63) & ~63u;
  out_.frame_bytes = row + bytes;
  return row;
}

uint32_t FunctionLowering::NewWord() {
  if (words_left_ == 0) word_line_ = NewRow(64), words_left_ = 16;
  return word_line_ + 4 * --words_left_;
}

uint32_t FunctionLowering::ConstantRow(uint64_t bits, bool wide, int global) {
  if (!wide) bits &= 0xffffffff;
  uint32_t& row = constants_[{bits, wide, global}];
  if (row == 0) {
    row = NewRow(wide ? 256 : 128);
    out_.constants.push_back({row, wide, bits, global});
    if (global >= 0) build_.globals.insert(global);
  }
  return row;
}

// The symbol of `name` in the innermost scope; a register gets its row or word with its first use.
Symbol* FunctionLowering::Find(std::string_view name) {
  for (int scope = scope_; scope >= 0; scope = scopes_[scope].parent) {
    Scope& s = scopes_[scope];
    auto found = s.symbols.find(name);
    if (found == s.symbols.end()) {
      const size_t digits = name.find_last_not_of("0123456789") + 1;
      if (digits == 0 || digits >= name.size() || name.size() - digits > 7) continue;
      const auto range = s.numbered.find(name.substr(0, digits));
      if (range == s.numbered.end() || std::stoul(std::string(name.substr(digits))) >= range->second->count) continue;
      found = s.symbols.emplace(std::string(name), Symbol{.kind = Symbol::Kind::kRegister, .type = range->second->type})
                  .first;
    }
    Symbol& symbol = found->second;
    if (symbol.kind == Symbol::Kind::kRegister && symbol.offset == 0) {
      const uint32_t size = ptx::SizeOf(symbol.type);
      symbol.offset = symbol.type == Type::kPred ? NewWord() : NewRow(size == 16 ? 512 : size == 8 ? 256 : 128);
    }
    return &symbol;
  }
  return nullptr;
}

Result<uint32_t> FunctionLowering::Predicate(const Operand& operand, uint32_t& flip) {
  flip = operand.negated ? ~0u : 0;
  if (operand.kind == Operand::Kind::kInteger) {
    flip = operand.value ? 0 : ~0u;
    return kTrueWord;
  }
  const Symbol* symbol = Find(operand.name);
  if (operand.kind != Operand::Kind::kName || symbol == nullptr || symbol->type != Type::kPred ||
      symbol->kind != Symbol::Kind::kRegister) {
    return Unsupported(fmt::format("[{}] is no predicate", operand.name));
  }
  return symbol->offset;
}

Result<uint32_t> FunctionLowering::PredicateTarget(const Operand& operand) {
  if (operand.kind == Operand::Kind::kSink) return kSinkWord;
  uint32_t flip = 0;
  if (operand.kind != Operand::Kind::kName || operand.negated) return Unsupported("a result must be a predicate");
  return Predicate(operand, flip);
}

// The address of a variable or function, or the value of a special register.
Result<uint32_t> FunctionLowering::SymbolRow(const Operand& operand, bool wide) {
  const auto offset = static_cast<uint64_t>(operand.offset);
  for (uint32_t i = 0; i < std::size(kSpecialNames); ++i) {
    if (operand.name != kSpecialNames[i] && !(operand.name.starts_with("%envreg") && i + 1 == std::size(kSpecialNames)))
      continue;
    const uint32_t row = NewRow(wide ? 256 : 128);
    Inst& inst = Emit(ops_.lanes({.op = "special"}));
    inst.d = row, inst.x = i, inst.y = wide;
    return row;
  }
  const Symbol* symbol = Find(operand.name);
  const ptx::Variable* shared = nullptr;
  if (symbol != nullptr && symbol->kind == Symbol::Kind::kVariable) {
    if (symbol->formal) return ConstantRow(symbol->offset + offset, wide);
    if (symbol->variable->space == Space::kLocal) {
      const uint32_t row = NewRow(256);
      Inst& inst = Emit(ops_.move({.op = "local.base"}));
      inst.d = row, inst.imm = static_cast<int64_t>(symbol->offset + offset);
      if (wide) return row;
      const uint32_t low = NewRow(128);
      Inst& narrow = Emit(ops_.move({.op = "narrow"}));
      narrow.d = low, narrow.a = row;
      return low;
    }
    if (symbol->variable->space == Space::kShared)
      shared = symbol->variable;
    else
      return Unsupported(fmt::format("the address of [{}] cannot be taken", operand.name));
  }
  if (const auto found = index_.shared.find(operand.name); shared == nullptr && found != index_.shared.end())
    shared = found->second;
  if (shared != nullptr && shared->Bytes() == 0) {
    const uint32_t row = NewRow(wide ? 256 : 128);
    build_.dynamic_shared.emplace_back(&out_, out_.constants.size());
    out_.constants.push_back({row, wide, offset, -1});
    return row;
  }
  if (shared != nullptr) {
    auto [place, fresh] = build_.shared.try_emplace(shared, 0);
    if (fresh) {
      if (shared->Bytes() > 1 << 20)
        return Unsupported(fmt::format("[{}] is too large for shared memory", shared->name));
      build_.shared_bytes = (build_.shared_bytes + shared->Align() - 1) & ~(shared->Align() - 1);
      place->second = build_.shared_bytes;
      build_.shared_bytes += static_cast<uint32_t>(shared->Bytes());
    }
    return ConstantRow(place->second + offset, wide);
  }
  if (const auto found = index_.globals.find(operand.name); found != index_.globals.end()) {
    return ConstantRow(offset, true, static_cast<int>(found->second));
  }
  if (const auto found = index_.functions.find(operand.name); found != index_.functions.end()) {
    build_.addressed.insert(found->second);
    return ConstantRow(FunctionAddress(found->second), true);
  }
  return Unsupported(fmt::format("[{}] is not declared", operand.name));
}

// A row that holds the operand as `type`.
Result<uint32_t> FunctionLowering::Row(const Operand& operand, Type type) {
  const bool wide = Wide(type);
  switch (operand.kind) {
    case Operand::Kind::kInteger:
      return ConstantRow(operand.value, wide);
    case Operand::Kind::kFloat:
      if (type != Type::kF64) return ConstantRow(operand.value, wide);
      return ConstantRow(std::bit_cast<uint64_t>(double{std::bit_cast<float>(static_cast<uint32_t>(operand.value))}),
                         true);
    case Operand::Kind::kDouble:
      if (wide) return ConstantRow(operand.value, true);
      return ConstantRow(std::bit_cast<uint32_t>(static_cast<float>(std::bit_cast<double>(operand.value))), false);
    case Operand::Kind::kName:
      break;
    default:
      return Unsupported("an operand of this kind");
  }
  if (operand.negated) return Unsupported("only predicates can be negated");
  const Symbol* symbol = Find(operand.name);
  if (symbol == nullptr || symbol->kind != Symbol::Kind::kRegister) return SymbolRow(operand, wide);
  const uint32_t have = ptx::SizeOf(symbol->type);
  if (operand.offset != 0 || symbol->type == Type::kPred || have == 0)
    return Unsupported(fmt::format("[{}] is no value here", operand.name));
  if (ptx::SizeOf(type) == 16 || have == 16) {
    if (have != ptx::SizeOf(type)) return Unsupported("128-bit operands must match");
    return symbol->offset;
  }
  if ((have == 8) == wide) return symbol->offset;
  const uint32_t source = symbol->offset;
  const uint32_t row = NewRow(wide ? 256 : 128);
  Inst& inst = Emit(ops_.move({.op = wide ? (ptx::IsSigned(type) ? "widen.s" : "widen.u") : "narrow"}));
  inst.d = row, inst.a = source;
  return row;
}

Result<Target> FunctionLowering::Destination(const Operand& operand, Type type) {
  const uint32_t bytes = ptx::SizeOf(type) == 16 ? 512 : Wide(type) ? 256 : 128;
  if (operand.kind == Operand::Kind::kSink) return Target{.row = NewRow(bytes)};
  const Symbol* symbol = operand.kind == Operand::Kind::kName ? Find(operand.name) : nullptr;
  if (symbol == nullptr || symbol->kind != Symbol::Kind::kRegister || symbol->type == Type::kPred)
    return Unsupported("the result must be a register");
  const uint32_t have = ptx::SizeOf(symbol->type);
  if (have == 0 || (have == 16) != (ptx::SizeOf(type) == 16)) return Unsupported("the register does not fit");
  if (Wide(type) && have < 8) return Unsupported("the register is too narrow");
  if (have == 8 && !Wide(type)) {
    const uint32_t real = symbol->offset;
    return Target{.row = NewRow(128), .widen_to = real, .is_signed = ptx::IsSigned(type)};
  }
  return Target{.row = symbol->offset};
}

void FunctionLowering::Finish(const Target& target) {
  if (target.widen_to == 0) return;
  Inst& inst = Emit(ops_.move({.op = target.is_signed ? "widen.s" : "widen.u"}));
  inst.d = target.widen_to, inst.a = target.row;
}

}  // namespace mignificient::cpu
