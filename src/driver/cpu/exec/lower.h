// Syntax tree to decoded instructions, one kernel and what it reaches at a time. Private to exec/.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "driver/cpu/exec/memory_map.h"
#include "driver/cpu/exec/spec.h"
#include "driver/cpu/exec/texture_ops.h"
#include "driver/cpu/ptx/ast.h"

namespace mignificient::cpu {

// What all kernels of a module share.
struct ModuleIndex {
  const ptx::Module* module = nullptr;
  std::map<std::string, size_t, std::less<>> functions;             // name -> defined function in module->functions
  std::map<std::string, size_t, std::less<>> globals;               // name -> Program::globals()
  std::map<std::string, const ptx::Variable*, std::less<>> shared;  // module-scope .shared
  const Program* program = nullptr;
};

inline uint64_t FunctionAddress(size_t index) {
  return kFunctionWindow + 16 * index;
}

// One kernel on its way: its functions and its layout of shared memory.
struct KernelBuild {
  const ModuleIndex* index = nullptr;
  std::unique_ptr<KernelCode> code = std::make_unique<KernelCode>();
  std::map<size_t, Function*> functions;            // by index in the module; being lowered or done
  std::map<size_t, std::set<size_t>> calls;         // direct callees
  std::set<size_t> addressed;                       // functions whose address is taken
  std::map<const ptx::Variable*, uint32_t> shared;  // offsets
  uint32_t shared_bytes = 0;
  std::vector<std::pair<Function*, size_t>> dynamic_shared;  // constants that begin after the static bytes
  std::set<int> globals;
  std::vector<uint32_t> parameter_offsets;
  bool indirect = false;
  bool uses_heap = false;
};

Result<std::unique_ptr<Kernel>> LowerKernel(const ModuleIndex& index, const ptx::Function& entry);
// Lowers a function once; its callees follow. kUnsupported names the instruction.
Result<Function*> LowerFunction(KernelBuild& build, size_t function);

struct Symbol {
  enum class Kind : uint8_t { kRegister, kVariable, kTargets, kPrototype };
  Kind kind = Kind::kRegister;
  ptx::Type type = ptx::Type::kNone;
  uint32_t offset = 0;  // row, word, param block, local
  uint32_t vector = 1;
  const ptx::Variable* variable = nullptr;
  ParamBlock block;
  bool formal = false;  // a parameter of the entry function
  std::vector<std::string> names;
};

struct Scope {
  int parent = -1;
  std::map<std::string, Symbol, std::less<>> symbols;
  std::map<std::string, const ptx::Variable*, std::less<>> numbered;  // prefix of %r<n>
  std::map<std::string, size_t, std::less<>> labels;                  // name -> instruction
};

// A place to write: `row`, and what has to follow when the register is wider than the result.
struct Target {
  uint32_t row = 0;
  uint32_t widen_to = 0;  // row of the real register, 0 for none
  bool is_signed = false;
};

class FunctionLowering {
 public:
  FunctionLowering(KernelBuild& build, const ptx::Function& source, size_t index, Function& out);
  Result<void> Run();

 private:
  using Operand = ptx::Operand;
  using Type = ptx::Type;

  // Statements: lower.cc.
  Result<void> Declare(const ptx::Variable& variable);
  Result<void> One(const ptx::Instruction& instruction);
  Result<void> Resolve();
  Result<ParamBlock> Formal(const ptx::Variable& variable);
  std::unexpected<Error> Unsupported(std::string_view why = "") const;

  // Operands: lower_operand.cc.
  Symbol* Find(std::string_view name);
  uint32_t NewRow(uint32_t bytes);
  uint32_t NewWord();
  uint32_t ConstantRow(uint64_t bits, bool wide, int global = -1);
  Result<uint32_t> Row(const Operand& operand, Type type);
  Result<uint32_t> SymbolRow(const Operand& operand, bool wide);
  Result<uint32_t> Predicate(const Operand& operand, uint32_t& flip);
  Result<uint32_t> PredicateTarget(const Operand& operand);
  Result<Target> Destination(const Operand& operand, Type type);
  void Finish(const Target& target);
  Inst& Emit(Handler handler);
  Extra& NewExtra(Inst& inst);
  static bool Wide(Type type) { return ptx::SizeOf(type) == 8; }

  // Instructions: lower_arithmetic.cc, lower_memory.cc, lower_control.cc.
  Spec MakeSpec(const ptx::Instruction& instruction);
  Result<bool> Arithmetic(Spec& spec);
  Result<bool> Shaped(Spec& spec, std::string_view shape);
  Result<bool> Compare(Spec& spec);
  Result<bool> PackedCompare(Spec& spec, bool set);
  Result<bool> Convert(Spec& spec);
  Result<bool> Move(Spec& spec);
  Result<bool> Lop3(Spec& spec);
  Result<bool> Memory(Spec& spec);
  Result<bool> LoadStore(Spec& spec);
  Result<bool> Atomic(Spec& spec);
  Result<bool> Cvta(Spec& spec);
  Result<bool> CopyAsync(Spec& spec);
  // `narrow`: addresses of shared memory may be rows of 32 bits; then it is "shared32".
  Result<std::string> Address(const Operand& operand, std::string where, uint32_t bytes, Inst& out,
                              bool narrow = false);
  Result<bool> Textures(Spec& spec);  // lower_texture.cc
  Result<bool> Sampling();
  Result<bool> Surface();
  Result<void> Coordinates(const Operand& address, TextureShape shape, bool floats, std::vector<uint32_t>& rows);
  Result<void> EmitTexture(Handler handler, const Operand& address, const TextureWords& words,
                           std::vector<uint32_t> rows);
  Result<bool> Matrices(Spec& spec);  // lower_matrix.cc
  Result<bool> Multiply(bool wmma);
  Result<bool> MatrixInMemory();
  Result<bool> Matrices8x8();
  void Gather();
  Result<void> Fragment(const Operand& operand, uint32_t least, bool f64, std::vector<uint32_t>& rows,
                        std::vector<Target>* targets);
  Result<bool> Lanes(Spec& spec);
  Result<bool> Control(Spec& spec);
  Result<bool> BarrierOf(Spec& spec);
  Result<bool> Call(Spec& spec);
  Result<ParamBlock> CallParameter(const Operand& operand, const ptx::Variable* formal, bool result);

  KernelBuild& build_;
  const ModuleIndex& index_;
  const ptx::Function& source_;
  size_t self_;
  Function& out_;
  const Operations& ops_;
  std::vector<Scope> scopes_;
  int scope_ = 0;
  int next_scope_ = 1;
  uint32_t word_line_ = 0, words_left_ = 0;
  std::map<std::tuple<uint64_t, bool, int>, uint32_t> constants_;
  const ptx::Instruction* at_ = nullptr;
  uint32_t guard_ = kTrueWord, guard_flip_ = 0;
  size_t types_ = 0;  // types the current instruction names

  struct Jump {
    size_t inst;
    int scope;
    std::vector<std::string> labels;  // one: a branch; else a table
    bool table;
  };
  std::vector<Jump> jumps_;
  std::vector<std::pair<Operand, ParamBlock>> results_to_load_;  // registers that receive call results
};

}  // namespace mignificient::cpu
