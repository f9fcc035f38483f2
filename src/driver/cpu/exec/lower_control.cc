// Branches, calls, barriers, and operations between lanes.
#include <utility>

#include "driver/cpu/exec/lower.h"

namespace mignificient::cpu {
namespace {

Builtin BuiltinOf(std::string_view name) {
  if (name == "vprintf") return Builtin::kPrintf;
  if (name == "__assertfail") return Builtin::kAssert;
  if (name == "malloc") return Builtin::kMalloc;
  if (name == "free") return Builtin::kFree;
  return Builtin::kNone;
}

}  // namespace

using ptx::SizeOf;

Result<bool> FunctionLowering::Control(Spec& s) {
  const auto& operands = at_->operands;
  if (s.op == "bra") {
    if (operands.size() != 1 || operands[0].kind != Operand::Kind::kName) return Unsupported();
    jumps_.push_back({out_.code.size(), scope_, {operands[0].name}, false});
    const uint32_t predicate = std::exchange(guard_, kTrueWord), flip = std::exchange(guard_flip_, 0);
    Inst& inst = Emit(ops_.control({.op = predicate == kTrueWord ? "bra" : "bra.if"}));
    inst.a = predicate, inst.x = flip;
    return true;
  }
  if (s.op == "brx") {
    if (operands.size() != 2 || !s.Take(".idx")) return Unsupported();
    MIG_ASSIGN(const uint32_t a, Row(operands[0], Type::kU32));
    const Symbol* table = Find(operands[1].name);
    if (table == nullptr || table->kind != Symbol::Kind::kTargets)
      return Unsupported("its table is not declared before it");
    jumps_.push_back({out_.code.size(), scope_, table->names, true});
    Inst& inst = Emit(ops_.control({.op = "brx.idx"}));
    inst.a = a;
    NewExtra(inst);
    return true;
  }
  if (s.op == "call") return Call(s);
  if (s.op == "bar" || s.op == "barrier") return BarrierOf(s);
  if (s.op == "ret" || s.op == "exit") {
    Emit(ops_.control({.op = s.op}));
    return true;
  }
  if (s.op == "trap" || s.op == "brkpt") {
    Emit(ops_.control({.op = "trap"}));
    return true;
  }
  if (s.op == "nanosleep") {
    Emit(ops_.control({.op = s.op}));
    return true;
  }
  if (s.op == "pmevent" || s.op == "setmaxnreg" || s.op == "griddepcontrol") {
    Emit(ops_.move({.op = "nop"}));
    return true;
  }
  return false;
}

Result<bool> FunctionLowering::BarrierOf(Spec& s) {
  const auto& operands = at_->operands;
  s.Take(".cta");
  s.Take(".aligned");
  if (s.Take(".warp")) {
    if (!s.Take(".sync") || operands.size() != 1) return Unsupported();
    MIG_ASSIGN(const uint32_t e, Row(operands[0], Type::kB32));
    Emit(ops_.control({.op = "bar.warp"})).e = e;
    return true;
  }
  if (s.Take(".cluster")) {  // a cluster of one block: its threads only
    const bool arrive = s.Take(".arrive"), wait = s.Take(".wait");
    s.Take(".release"), s.Take(".acquire"), s.Take(".relaxed");
    if (arrive == wait || !s.rest.empty()) return Unsupported();
    if (arrive) {
      Emit(ops_.move({.op = "nop"}));
      return true;
    }
    const uint32_t a = ConstantRow(15, false);
    Emit(ops_.control({.op = "bar"})).a = a;
    return true;
  }
  const bool arrive = s.Take(".arrive"), red = s.Take(".red"), sync = s.Take(".sync");
  const uint32_t kind = arrive ? 1 : !red ? 0 : s.Take(".popc") ? 2 : s.Take(".and") ? 3 : s.Take(".or") ? 4 : 9;
  if (arrive + red + sync != 1 || !s.rest.empty() || kind == 9) return Unsupported();
  const size_t first = red ? 1 : 0, last = operands.size() - (red ? 1 : 0);
  if (operands.size() < 1 + 2 * first || last - first < 1 || last - first > 2) return Unsupported();
  MIG_ASSIGN(const uint32_t a, Row(operands[first], Type::kU32));
  uint32_t b = 0, e = kTrueWord, flip = 0, d = 0;
  if (last - first == 2) {
    MIG_ASSIGN(b, Row(operands[first + 1], Type::kU32));
  }
  if (red) {
    MIG_ASSIGN(e, Predicate(operands.back(), flip));
  }
  if (kind == 2) {
    MIG_ASSIGN(const Target target, Destination(operands[0], Type::kU32));
    d = target.row;
  } else if (red) {
    MIG_ASSIGN(d, PredicateTarget(operands[0]));
  }
  Inst& inst = Emit(ops_.control({.op = "bar"}));
  inst.a = a, inst.b = b, inst.e = e, inst.y = flip, inst.d = d, inst.x = kind;
  return true;
}

// The block of a .param variable, or a fresh one filled from a register or immediate.
Result<ParamBlock> FunctionLowering::CallParameter(const Operand& operand, const ptx::Variable* formal, bool result) {
  const Symbol* symbol = operand.kind == Operand::Kind::kName ? Find(operand.name) : nullptr;
  if (symbol != nullptr && symbol->kind == Symbol::Kind::kVariable && symbol->block.size != 0) return symbol->block;
  const bool is_register = symbol != nullptr && symbol->kind == Symbol::Kind::kRegister;
  Type type = formal != nullptr && formal->count == 1 ? formal->type : is_register ? symbol->type : Type::kNone;
  const uint32_t size = SizeOf(type);
  if (type == Type::kPred || size == 0 || size > 8) return Unsupported(fmt::format("argument [{}]", operand.name));
  ParamBlock block{.stride = 16, .size = size};
  block.offset = NewRow(block.stride * 32);
  if (result) {
    results_to_load_.emplace_back(operand, block);
    return block;
  }
  MIG_ASSIGN(const uint32_t row, Row(operand, type));
  Inst& inst = Emit(ops_.memory({.op = "st", .type = type, .rest = {"frame"}}));
  inst.c = block.offset, inst.e = block.stride, inst.b = row;
  return block;
}

// call{.uni} (results), target, (arguments), prototype-or-table;
Result<bool> FunctionLowering::Call(Spec& s) {
  const auto& operands = at_->operands;
  s.Take(".uni");
  size_t next = 0;
  const std::vector<Operand> none;
  const auto* results = &none;
  const auto* arguments = &none;
  if (next < operands.size() && operands[next].kind == Operand::Kind::kList) results = &operands[next++].elements;
  if (next >= operands.size() || operands[next].kind != Operand::Kind::kName || !s.rest.empty()) return Unsupported();
  const Operand& target = operands[next++];
  if (next < operands.size() && operands[next].kind == Operand::Kind::kList) arguments = &operands[next++].elements;

  const ptx::Function* formal = nullptr;
  Builtin builtin = Builtin::kNone;
  const Function* callee = nullptr;
  uint32_t address = 0;
  const Symbol* symbol = Find(target.name);
  if (symbol != nullptr && symbol->kind == Symbol::Kind::kRegister) {
    MIG_ASSIGN(address, Row(target, Type::kU64));
    build_.indirect = true;
    // Functions whose addresses variables hold: virtual functions.
    for (const ptx::Variable& variable : index_.module->variables) {
      for (const ptx::Initial& item : variable.initial) {
        const auto found = index_.functions.find(item.symbol);
        if (found != index_.functions.end() && !index_.module->functions[found->second].entry)
          build_.addressed.insert(found->second);
      }
    }
  } else if (const auto found = index_.functions.find(target.name); found != index_.functions.end()) {
    formal = &index_.module->functions[found->second];
    if (formal->entry) return Unsupported("it calls a kernel");
    build_.calls[self_].insert(found->second);
    const ptx::Instruction* here = at_;
    MIG_ASSIGN(callee, LowerFunction(build_, found->second));
    at_ = here;
  } else if (builtin = BuiltinOf(target.name); builtin != Builtin::kNone) {
    build_.uses_heap |= builtin == Builtin::kMalloc || builtin == Builtin::kFree;
  } else {
    return Unsupported(fmt::format("function [{}] has no body", target.name));
  }
  results_to_load_.clear();
  std::vector<ParamBlock> in, out;
  for (size_t i = 0; i < arguments->size(); ++i) {
    const auto* variable = formal != nullptr && i < formal->parameters.size() ? &formal->parameters[i] : nullptr;
    MIG_ASSIGN(const ParamBlock block, CallParameter((*arguments)[i], variable, false));
    in.push_back(block);
  }
  for (size_t i = 0; i < results->size(); ++i) {
    const auto* variable = formal != nullptr && i < formal->results.size() ? &formal->results[i] : nullptr;
    MIG_ASSIGN(const ParamBlock block, CallParameter((*results)[i], variable, true));
    out.push_back(block);
  }
  if (formal != nullptr && (in.size() != formal->parameters.size() || out.size() != formal->results.size())) {
    return Unsupported("its arguments do not match the function");
  }
  Inst& inst = Emit(ops_.control({.op = "call"}));
  inst.a = address;
  Extra& extra = NewExtra(inst);
  extra.callee = callee, extra.builtin = builtin;
  extra.arguments = std::move(in), extra.returns = std::move(out);
  for (const auto& [operand, block] : std::vector(std::move(results_to_load_))) {
    const Type type = block.size == 8   ? Type::kB64
                      : block.size == 4 ? Type::kB32
                      : block.size == 2 ? Type::kB16
                                        : Type::kB8;
    MIG_ASSIGN(const ::mignificient::cpu::Target row, Destination(operand, type));
    Inst& load = Emit(ops_.memory({.op = "ld", .type = type, .rest = {"frame"}}));
    load.d = row.row, load.c = block.offset, load.e = block.stride;
    Finish(row);
  }
  results_to_load_.clear();
  return true;
}

Result<bool> FunctionLowering::Lanes(Spec& s) {
  const auto& operands = at_->operands;
  if (s.op == "activemask") {
    if (operands.size() != 1) return Unsupported();
    MIG_ASSIGN(const Target d, Destination(operands[0], Type::kB32));
    Emit(ops_.lanes(s)).d = d.row;
    Finish(d);
    return true;
  }
  const bool shfl = s.op == "shfl", vote = s.op == "vote", match = s.op == "match", redux = s.op == "redux",
             elect = s.op == "elect";
  if (!shfl && !vote && !match && !redux && !elect) return false;
  const bool sync = s.Take(".sync");
  if (!sync && !shfl && !vote) return Unsupported();
  const size_t sources = elect ? 0 : shfl ? 3 : 1;
  if (operands.size() != 1 + sources + sync || s.rest.size() != (elect ? 0u : 1u)) return Unsupported();
  if (!elect) s.op += s.rest[0];
  if (s.type == Type::kNone) s.type = Type::kB32;
  if (shfl && s.type != Type::kB32) return Unsupported();
  const Handler handler = ops_.lanes(s);
  if (handler == nullptr) return Unsupported();
  uint32_t a = kTrueWord, b = 0, c = 0, e = 0, flip = 0, d = 0, d2 = kSinkWord;
  if (vote) {
    MIG_ASSIGN(a, Predicate(operands[1], flip));
  } else if (!elect) {
    MIG_ASSIGN(a, Row(operands[1], s.type));
  }
  if (shfl) {
    MIG_ASSIGN(b, Row(operands[2], Type::kB32));
    MIG_ASSIGN(c, Row(operands[3], Type::kB32));
  }
  if (sync) {
    MIG_ASSIGN(e, Row(operands.back(), Type::kB32));
  }
  const Operand* result = &operands[0];
  if (result->kind == Operand::Kind::kPair) {
    if (vote || redux) return Unsupported();
    MIG_ASSIGN(d2, PredicateTarget(result->elements[1]));
    result = &operands[0].elements[0];
  }
  Target target;
  if (vote && s.op != "vote.ballot") {
    MIG_ASSIGN(d, PredicateTarget(*result));
  } else {
    MIG_ASSIGN(target, Destination(*result, Type::kB32));
    d = target.row;
  }
  Inst& inst = Emit(handler);
  inst.d = d, inst.d2 = d2, inst.a = a, inst.b = b, inst.c = c, inst.e = e, inst.x = sync, inst.y = flip;
  Finish(target);
  return true;
}

}  // namespace mignificient::cpu
