// Loaded code: a compiled program and its variables in device memory.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "abi/cuda.h"
#include "driver/cpu/exec/program.h"
#include "driver/cpu/memory.h"

namespace mignificient::cpu {

// Shared memory a kernel may use without asking for more, static and dynamic together.
inline constexpr int kDefaultSharedBytes = 48 * 1024;

struct LoadFailure {
  CUresult code;
  std::string message;  // for the program's JIT error log
};

class Module {
 public:
  struct Variable {
    CUdeviceptr address = 0;
    uint64_t bytes = 0;
  };

  // `image`: what cuModuleLoadDataEx receives; not used after the call. Variables are placed and initialised.
  static std::expected<std::shared_ptr<Module>, LoadFailure> Load(const void* image, uint32_t sm, DeviceMemory& memory);

  const Program& program() const { return *program_; }
  // Null where there is none of this name.
  const Variable* FindVariable(std::string_view name) const;

  // Once, before the module is dropped; no kernel of it may be launched any more.
  void FreeGlobals(DeviceMemory& memory, const DeviceMemory::Drain& drain);

  std::mutex functions_mutex;
  std::map<std::string, CUfunction> functions;  // handles given out, by kernel name
  bool of_library = false;                      // unloaded with its library only
  CUmodule module_handle = nullptr;             // of a library: its CUmodule

 private:
  explicit Module(std::unique_ptr<Program> program) : program_(std::move(program)) {}
  Result<void> PlaceGlobals(DeviceMemory& memory);

  const std::unique_ptr<Program> program_;
  CUdeviceptr globals_ = 0;
  std::map<std::string, Variable, std::less<>> variables_;
};

}  // namespace mignificient::cpu
