// A PTX module, parsed once and decoded per kernel on first lookup.
//
//   MIG_ASSIGN(auto program, Program::Compile(ptx));
//   for (size_t i = 0; i < program->globals().size(); ++i) MIG_TRY(program->Bind(i, Allocate(...)));
//   for (...) copy *program->InitialImage(i) to the address bound;
//   MIG_ASSIGN(const Kernel* kernel, program->FindKernel("saxpy"));
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mignificient::cpu {

struct Dim3 {
  uint32_t x = 1, y = 1, z = 1;
  uint64_t count() const { return uint64_t{x} * y * z; }
};

struct KernelParameter {
  uint32_t offset = 0;  // bytes from the start of the parameter buffer
  uint32_t size = 0;
  uint32_t align = 1;
};

// What a launch needs to know about an entry function. Immutable; owned by its Program.
struct KernelInfo {
  std::string name;
  std::vector<KernelParameter> parameters;
  uint32_t parameter_bytes = 0;
  uint32_t static_shared_bytes = 0;
  uint32_t local_bytes = 0;      // per thread
  uint32_t register_count = 0;   // 32-bit registers declared, capped at 255 as a compiler would
  uint32_t max_threads = 1024;   // product of .maxntid or .reqntid, 1024 where absent
  Dim3 required_block{0, 0, 0};  // .reqntid; zeros where absent
  bool has_required_block = false;
  bool uses_heap = false;  // calls malloc or free
};

class KernelCode;  // decoded instructions, exec/code.h

class Kernel {
 public:
  Kernel(KernelInfo info, std::unique_ptr<const KernelCode> code);
  ~Kernel();

  const KernelInfo& info() const { return info_; }
  const std::string& name() const { return info_.name; }
  const std::vector<KernelParameter>& parameters() const { return info_.parameters; }
  uint32_t parameter_bytes() const { return info_.parameter_bytes; }
  uint32_t static_shared_bytes() const { return info_.static_shared_bytes; }
  uint32_t local_bytes() const { return info_.local_bytes; }
  uint32_t register_count() const { return info_.register_count; }
  uint32_t max_threads() const { return info_.max_threads; }

  const KernelCode& code() const { return *code_; }

 private:
  KernelInfo info_;
  std::unique_ptr<const KernelCode> code_;
};

// A module-scope .global or .const variable.
struct Global {
  enum class Space { kGlobal, kConst };
  std::string name;
  Space space = Space::kGlobal;
  uint64_t size = 0;  // bytes; 0 for `.extern x[]`
  uint32_t align = 1;
  bool external = false;  // declared .extern: another module defines it
};

// Thread-safe but for Bind, which must not run together with anything else.
class Program {
 public:
  // kInvalidArgument, with line and text, for malformed PTX. Instructions this engine does not know
  // are no error here: they fail the lookup of the kernels that reach them.
  static Result<std::unique_ptr<Program>> Compile(std::string_view ptx);
  ~Program();

  std::vector<std::string> KernelNames() const;  // in the order of the text

  // kNotFound; or kUnsupported with the instruction as written, its line and the kernel.
  // The kernel lives as long as the program.
  Result<const Kernel*> FindKernel(std::string_view name) const;

  std::span<const Global> globals() const;

  // Tells where a global lives. A device address must be set for every global a kernel uses before
  // it is launched. kNotFound for an unknown name or index.
  Result<void> Bind(size_t index, uint64_t device_address);
  Result<void> Bind(std::string_view name, uint64_t device_address);

  // The bytes to place at a bound global: its initialiser, zeros where none was written. Addresses of
  // other globals in it are resolved; kInvalidArgument while one of those is not bound.
  Result<std::vector<std::byte>> InitialImage(size_t index) const;

  uint64_t BoundAddress(size_t index) const;  // 0: not bound

 private:
  struct State;
  explicit Program(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace mignificient::cpu
