#include "driver/cpu/exec/lower.h"

#include <algorithm>
#include <functional>

namespace mignificient::cpu {

using ptx::Space;
using ptx::Statement;

FunctionLowering::FunctionLowering(KernelBuild& build, const ptx::Function& source, size_t index, Function& out)
    : build_(build), index_(*build.index), source_(source), self_(index), out_(out), ops_(BestOperations()) {
  out_.name = source.name;
}

std::unexpected<Error> FunctionLowering::Unsupported(std::string_view why) const {
  return Fail(Code::kUnsupported, "Instruction [{}] on line {} is not supported{}{}.", at_->text, at_->line,
              why.empty() ? "" : ": ", why);
}

// Parameters of a function, a block of bytes per lane in its frame.
Result<ParamBlock> FunctionLowering::Formal(const ptx::Variable& variable) {
  const uint64_t size = variable.Bytes() ? variable.Bytes() : 16;  // `.param .b8 x[]` of a variadic function
  if (size > 64 << 10)
    return Fail(Code::kUnsupported, "Parameter [{}] of {} bytes is too large for a function.", variable.name, size);
  ParamBlock block{.stride = (static_cast<uint32_t>(size) + 15) & ~15u, .size = static_cast<uint32_t>(size)};
  block.offset = NewRow(block.stride * 32);
  return block;
}

Result<void> FunctionLowering::Declare(const ptx::Variable& v) {
  Scope& scope = scopes_[scope_];
  Symbol symbol{.kind = Symbol::Kind::kVariable, .type = v.type, .variable = &v};
  switch (v.space) {
    case Space::kReg:
      if (v.numbered) {
        scope.numbered[v.name] = &v;
        return {};
      }
      if (v.vector != 1)
        return Fail(Code::kUnsupported, "Vector register [{}] on line {} is not supported.", v.name, v.line);
      symbol.kind = Symbol::Kind::kRegister;
      break;  // its row comes with its first use
    case Space::kParam: {
      MIG_ASSIGN(symbol.block, Formal(v));
      break;
    }
    case Space::kLocal: {
      if (v.Bytes() > 16 << 20)
        return Fail(Code::kUnsupported, "Local variable [{}] of {} bytes is too large.", v.name, v.Bytes());
      out_.local_bytes = (out_.local_bytes + v.Align() - 1) & ~(v.Align() - 1);
      symbol.offset = out_.local_bytes;
      out_.local_bytes += static_cast<uint32_t>(v.Bytes());
      break;
    }
    default:
      break;
  }
  scope.symbols[v.name] = std::move(symbol);
  return {};
}

Result<void> FunctionLowering::Run() {
  out_.frame_bytes = kFrameHeader;
  scopes_.emplace_back();
  for (const ptx::Variable& v : source_.results) {
    if (v.space == Space::kReg) return Fail(Code::kUnsupported, "Function [{}] returns in a register.", source_.name);
    MIG_ASSIGN(const ParamBlock block, Formal(v));
    out_.results.push_back(block);
    scopes_[0].symbols[v.name] = {.kind = Symbol::Kind::kVariable, .variable = &v, .block = block};
  }
  for (size_t i = 0; i < source_.parameters.size(); ++i) {
    const ptx::Variable& v = source_.parameters[i];
    if (v.space == Space::kReg)
      return Fail(Code::kUnsupported, "Function [{}] takes parameters in registers.", source_.name);
    Symbol symbol{.kind = Symbol::Kind::kVariable, .variable = &v, .formal = source_.entry};
    if (source_.entry) {
      symbol.offset = build_.parameter_offsets[i];
    } else {
      MIG_ASSIGN(symbol.block, Formal(v));
      out_.parameters.push_back(symbol.block);
    }
    scopes_[0].symbols[v.name] = symbol;
  }
  for (const Statement& s : source_.body) {
    switch (s.kind) {
      case Statement::Kind::kOpen:
        scopes_.push_back({.parent = scope_});
        scope_ = static_cast<int>(scopes_.size()) - 1;
        break;
      case Statement::Kind::kClose:
        scope_ = scopes_[scope_].parent;
        break;
      case Statement::Kind::kVariable:
        MIG_TRY(Declare(s.variable));
        break;
      case Statement::Kind::kLabel:
        scopes_[scope_].labels[s.name] = out_.code.size();
        guard_ = kTrueWord, guard_flip_ = 0;
        Emit(ops_.control({.op = "join"}));
        break;
      case Statement::Kind::kTargets:
        scopes_[scope_].symbols[s.name] = {.kind = Symbol::Kind::kTargets, .names = s.names};
        break;
      case Statement::Kind::kPrototype:
        scopes_[scope_].symbols[s.name] = {.kind = Symbol::Kind::kPrototype};
        break;
      case Statement::Kind::kInstruction:
        MIG_TRY(One(s.instruction));
        break;
    }
  }
  guard_ = kTrueWord, guard_flip_ = 0;
  Emit(ops_.control({.op = "ret"}));  // running off the end
  out_.frame_bytes = (out_.frame_bytes + 63) & ~63u;
  return Resolve();
}

Result<void> FunctionLowering::One(const ptx::Instruction& instruction) {
  at_ = &instruction;
  guard_ = kTrueWord, guard_flip_ = 0;
  if (!instruction.guard.empty()) {
    Operand guard;
    guard.name = instruction.guard;
    guard.negated = instruction.guard_negated;
    MIG_ASSIGN(guard_, Predicate(guard, guard_flip_));
  }
  Spec spec = MakeSpec(instruction);
  for (const auto family : {&FunctionLowering::Control, &FunctionLowering::Memory, &FunctionLowering::Lanes,
                            &FunctionLowering::Arithmetic, &FunctionLowering::Textures, &FunctionLowering::Matrices}) {
    MIG_ASSIGN(const bool done, (this->*family)(spec));
    if (done) return {};
  }
  return Unsupported();
}

// Branch targets, now that every label has its place.
Result<void> FunctionLowering::Resolve() {
  for (const Jump& jump : jumps_) {
    std::vector<const Inst*> targets;
    for (const std::string& name : jump.labels) {
      const size_t* place = nullptr;
      for (int scope = jump.scope; scope >= 0 && place == nullptr; scope = scopes_[scope].parent) {
        const auto found = scopes_[scope].labels.find(name);
        if (found != scopes_[scope].labels.end()) place = &found->second;
      }
      if (place == nullptr)
        return Fail(Code::kInvalidArgument, "Label [{}] of [{}] is not defined.", name, source_.name);
      const size_t target = *place + 1;  // behind the join: whoever jumps looks for others itself
      targets.push_back(out_.code.data() + target);
      if (!jump.table) out_.code[jump.inst].imm = static_cast<int64_t>(target) - static_cast<int64_t>(jump.inst);
    }
    if (jump.table) const_cast<Extra*>(out_.code[jump.inst].extra)->targets = std::move(targets);
  }
  return {};
}

Result<Function*> LowerFunction(KernelBuild& build, size_t index) {
  if (const auto found = build.functions.find(index); found != build.functions.end()) return found->second;
  if (build.functions.size() > 10'000) return Fail(Code::kExhausted, "The kernel reaches more than 10000 functions.");
  build.code->owned.push_back(std::make_unique<Function>());
  Function* out = build.code->owned.back().get();
  build.functions[index] = out;
  const ptx::Function& source = build.index->module->functions[index];
  auto done = FunctionLowering(build, source, index, *out).Run();
  if (!done) return std::unexpected(done.error().While(fmt::format("decoding function [{}]", source.name)));
  build.code->functions.push_back(out);
  return out;
}

namespace {

// Local bytes of the deepest path from `function`; a cycle counts once and sets `recursive`.
uint64_t Depth(const KernelBuild& build, size_t function, std::set<size_t>& path, std::map<size_t, uint64_t>& known,
               bool& recursive) {
  if (const auto found = known.find(function); found != known.end()) return found->second;
  if (!path.insert(function).second) {
    recursive = true;
    return 0;
  }
  uint64_t deepest = 0;
  if (const auto calls = build.calls.find(function); calls != build.calls.end()) {
    for (const size_t callee : calls->second) deepest = std::max(deepest, Depth(build, callee, path, known, recursive));
  }
  path.erase(function);
  return known[function] = deepest + ((build.functions.at(function)->local_bytes + 15) & ~15u);
}

constexpr uint32_t kRecursionBytes = 16 << 10;  // per lane, where depth is not known

}  // namespace

Result<std::unique_ptr<Kernel>> LowerKernel(const ModuleIndex& index, const ptx::Function& entry) {
  KernelBuild build{.index = &index};
  build.code->program = index.program;
  KernelInfo info{.name = entry.name};
  for (const ptx::Variable& v : entry.parameters) {
    const uint32_t offset = (info.parameter_bytes + v.Align() - 1) & ~(v.Align() - 1);
    info.parameters.push_back({offset, static_cast<uint32_t>(v.Bytes()), v.Align()});
    build.parameter_offsets.push_back(offset);
    if (v.Bytes() > 32764)
      return Fail(Code::kUnsupported, "Parameter [{}] of kernel [{}] is too large.", v.name, entry.name);
    info.parameter_bytes = offset + static_cast<uint32_t>(v.Bytes());
  }
  const size_t self = index.functions.at(entry.name);
  MIG_ASSIGN(build.code->entry, LowerFunction(build, self));
  std::set<size_t> tried;
  while (build.indirect && tried != build.addressed) {  // lowering one may take the address of another
    for (const size_t function : std::set<size_t>(build.addressed)) {
      if (tried.insert(function).second) MIG_TRY(LowerFunction(build, function));
    }
  }
  build.code->table.resize(index.module->functions.size() + 1);
  for (const size_t function : tried) build.code->table[function] = build.functions.at(function);

  build.shared_bytes = (build.shared_bytes + 15) & ~15u;
  for (auto& [function, constant] : build.dynamic_shared) function->constants[constant].bits += build.shared_bytes;
  if (build.shared_bytes > 227 * 1024)
    return Fail(Code::kUnsupported, "Kernel [{}] has {} bytes of shared variables (limit {}).", entry.name,
                build.shared_bytes, 227 * 1024);
  std::set<size_t> path;
  std::map<size_t, uint64_t> known;
  bool recursive = build.indirect;
  uint64_t depth = Depth(build, self, path, known, recursive);
  uint64_t total = 0;
  for (const auto& [function, lowered] : build.functions) total += lowered->local_bytes;
  if (recursive && total > 0) depth += kRecursionBytes;
  if (depth > 1 << 24)
    return Fail(Code::kUnsupported, "Kernel [{}] needs {} bytes of local memory per thread (limit {}).", entry.name,
                depth, 1 << 24);
  build.code->stack_bytes = static_cast<uint32_t>(depth);
  build.code->used_globals.assign(build.globals.begin(), build.globals.end());

  info.static_shared_bytes = build.shared_bytes;
  info.local_bytes = static_cast<uint32_t>(depth);
  info.uses_heap = build.uses_heap;
  for (const Statement& s : entry.body) {
    if (s.kind != Statement::Kind::kVariable || s.variable.space != Space::kReg) continue;
    info.register_count += static_cast<uint32_t>(s.variable.count * std::max(1u, s.variable.ElementBytes() / 4));
  }
  info.register_count = std::clamp(info.register_count, 1u, 255u);
  const auto& max = entry.max_threads;
  const auto& required = entry.required_threads;
  if (max[0] != 0) info.max_threads = max[0] * max[1] * max[2];
  if (required[0] != 0) {
    info.has_required_block = true;
    info.required_block = {required[0], required[1], required[2]};
    info.max_threads = required[0] * required[1] * required[2];
  }
  return std::make_unique<Kernel>(std::move(info), std::move(build.code));
}

}  // namespace mignificient::cpu
