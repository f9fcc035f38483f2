#include "driver/cpu/exec/program.h"

#include <cstring>
#include <mutex>

#include "driver/cpu/exec/lower.h"
#include "driver/cpu/ptx/parser.h"

namespace mignificient::cpu {

Kernel::Kernel(KernelInfo info, std::unique_ptr<const KernelCode> code)
    : info_(std::move(info)), code_(std::move(code)) {}
Kernel::~Kernel() = default;

struct Program::State {
  ptx::Module module;
  ModuleIndex index;
  std::vector<Global> globals;
  std::vector<const ptx::Variable*> variables;  // of each global
  std::vector<uint64_t> addresses;              // bound; 0 is not
  std::mutex mutex;                             // guards kernels
  std::map<std::string, Result<std::unique_ptr<Kernel>>, std::less<>> kernels;
};

namespace {

constexpr uint64_t kMaxGlobalBytes = uint64_t{1} << 36;

}  // namespace

Program::Program(std::unique_ptr<State> state) : state_(std::move(state)) {}
Program::~Program() = default;

Result<std::unique_ptr<Program>> Program::Compile(std::string_view text) {
  auto state = std::make_unique<State>();
  MIG_ASSIGN(state->module, ptx::Parse(text));
  State& s = *state;
  s.index.module = &s.module;
  for (size_t i = 0; i < s.module.functions.size(); ++i) {
    if (s.module.functions[i].defined) s.index.functions.emplace(s.module.functions[i].name, i);
  }
  for (const auto& [name, aliasee] : s.module.aliases) {
    const auto found = s.index.functions.find(aliasee);
    if (found != s.index.functions.end()) s.index.functions.emplace(name, found->second);
  }
  // Module scope and the .global and .const variables functions declare inside.
  const auto add = [&s](const ptx::Variable& v) -> Result<void> {
    if (v.space == ptx::Space::kShared) s.index.shared.emplace(v.name, &v);
    if (v.space != ptx::Space::kGlobal && v.space != ptx::Space::kConst) return {};
    if (v.Bytes() > kMaxGlobalBytes)
      return Fail(Code::kInvalidArgument, "Line {}: variable [{}] has {} bytes (limit {}).", v.line, v.name, v.Bytes(),
                  kMaxGlobalBytes);
    const auto [place, fresh] = s.index.globals.emplace(v.name, s.globals.size());
    if (!fresh) {  // a declaration that is defined further down
      if (s.globals[place->second].external && !v.external) {
        s.globals[place->second].size = v.Bytes(), s.globals[place->second].external = false;
        s.variables[place->second] = &v;
      }
      return {};
    }
    s.globals.push_back({v.name, v.space == ptx::Space::kConst ? Global::Space::kConst : Global::Space::kGlobal,
                         v.Bytes(), v.Align(), v.external});
    s.variables.push_back(&v);
    return {};
  };
  for (const ptx::Variable& v : s.module.variables) MIG_TRY(add(v));
  for (const ptx::Function& function : s.module.functions) {
    for (const ptx::Statement& statement : function.body) {
      if (statement.kind == ptx::Statement::Kind::kVariable && statement.variable.space != ptx::Space::kShared)
        MIG_TRY(add(statement.variable));
    }
  }
  s.addresses.resize(s.globals.size());
  std::unique_ptr<Program> program(new Program(std::move(state)));
  program->state_->index.program = program.get();
  return program;
}

std::vector<std::string> Program::KernelNames() const {
  std::vector<std::string> names;
  for (const ptx::Function& function : state_->module.functions) {
    if (function.entry && function.defined) names.push_back(function.name);
  }
  return names;
}

Result<const Kernel*> Program::FindKernel(std::string_view name) const {
  const auto found = state_->index.functions.find(name);
  if (found == state_->index.functions.end() || !state_->module.functions[found->second].entry) {
    return Fail(Code::kNotFound, "Kernel [{}] is not in this module.", name);
  }
  const std::lock_guard lock(state_->mutex);
  auto known = state_->kernels.find(name);
  if (known == state_->kernels.end()) {
    auto kernel = LowerKernel(state_->index, state_->module.functions[found->second]);
    if (!kernel) kernel = std::unexpected(kernel.error().While(fmt::format("decoding kernel [{}]", name)));
    known = state_->kernels.emplace(std::string(name), std::move(kernel)).first;
  }
  if (!known->second) return std::unexpected(known->second.error());
  return known->second->get();
}

std::span<const Global> Program::globals() const {
  return state_->globals;
}

Result<void> Program::Bind(size_t index, uint64_t device_address) {
  if (index >= state_->globals.size())
    return Fail(Code::kNotFound, "Global {} does not exist ({} do).", index, state_->globals.size());
  state_->addresses[index] = device_address;
  return {};
}

Result<void> Program::Bind(std::string_view name, uint64_t device_address) {
  const auto found = state_->index.globals.find(name);
  if (found == state_->index.globals.end()) return Fail(Code::kNotFound, "Global [{}] is not in this module.", name);
  return Bind(found->second, device_address);
}

uint64_t Program::BoundAddress(size_t index) const {
  return index < state_->addresses.size() ? state_->addresses[index] : 0;
}

Result<std::vector<std::byte>> Program::InitialImage(size_t index) const {
  if (index >= state_->globals.size())
    return Fail(Code::kNotFound, "Global {} does not exist ({} do).", index, state_->globals.size());
  const ptx::Variable& v = *state_->variables[index];
  std::vector<std::byte> image(v.Bytes());
  const uint32_t size = ptx::SizeOf(v.type);
  for (const ptx::Initial& item : v.initial) {
    uint64_t value = item.bits;
    if (!item.symbol.empty()) {
      if (const auto global = state_->index.globals.find(item.symbol); global != state_->index.globals.end()) {
        if (state_->addresses[global->second] == 0)
          return Fail(Code::kInvalidArgument, "Variable [{}] holds the address of [{}], which is not bound.", v.name,
                      item.symbol);
        value += state_->addresses[global->second];
      } else if (const auto function = state_->index.functions.find(item.symbol);
                 function != state_->index.functions.end()) {
        value += FunctionAddress(function->second);
      } else {
        return Fail(Code::kInvalidArgument, "Variable [{}] holds the address of [{}], which is not declared.", v.name,
                    item.symbol);
      }
    }
    if (item.mask != 0) value = (value & item.mask) >> __builtin_ctzll(item.mask);
    const uint64_t at = item.element * size;
    if (size > 8 || at + size > image.size())
      return Fail(Code::kInvalidArgument, "The initialiser of [{}] does not fit it.", v.name);
    std::memcpy(image.data() + at, &value, size);
  }
  return image;
}

}  // namespace mignificient::cpu
