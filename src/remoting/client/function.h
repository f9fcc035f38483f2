// Kernels and functions as the client knows them: name, parameter layout, limits. A CUkernel and the CUfunction of the
// same kernel are two names of one entry. Entries are found by slot without a lock. One lives on when its module is
// unloaded, since another thread may be about to launch it (the server refuses names that are gone), until its slot
// names another kernel and many more have been replaced.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "abi/cuda.h"
#include "remoting/wire/commands.h"

namespace mignificient::client {

struct Function {
  uint64_t handle = 0;  // of kind kFunction or kKernel
  uint64_t owner = 0;   // module or library handle
  std::string name;
  // Whether what follows is known. Of a library's kernel it is only once somebody needs it, see Described; until then
  // every launch may be refused, because it has more than max_threads.
  bool described = false;
  uint32_t max_threads = 0;
  uint32_t static_shared_bytes = 0;
  uint32_t param_bytes = 0;
  std::vector<wire::FunctionReply::Param> params;
  // The same as they are copied: parameters of one size side by side.
  struct Run {
    uint32_t offset;
    uint32_t size;
    uint32_t count;
  };
  std::vector<Run> runs;
  bool has_gaps = false;  // between parameters, which are zeros in a launch
  // The most shared memory (static and dynamic) that the server has accepted for a launch.
  mutable std::atomic<uint32_t> proven_shared_bytes{0};
  // The last launch of clusters, or cooperative one, that it has accepted (launch.cc).
  mutable std::atomic<uint64_t> proven_togetherness{0};
};

// Entries by their slots, in pages that are made as they are needed and never go.
inline constexpr uint32_t kFunctionPageEntries = 4096;
inline constexpr uint32_t kFunctionPages = 256;
using FunctionPage = std::array<std::atomic<const Function*>, kFunctionPageEntries>;
extern constinit std::array<std::atomic<FunctionPage*>, kFunctionPages> function_pages;

// The entry behind a CUfunction or CUkernel; null for anything else, including handles that are not ours.
inline const Function* FindFunction(const void* handle) {
  const wire::Handle parts = wire::UnpackHandle(reinterpret_cast<uint64_t>(handle));
  if (parts.kind != wire::HandleKind::kFunction && parts.kind != wire::HandleKind::kKernel) return nullptr;
  if (parts.slot >= kFunctionPages * kFunctionPageEntries) return nullptr;
  const FunctionPage* page = function_pages[parts.slot / kFunctionPageEntries].load(std::memory_order_acquire);
  if (page == nullptr) return nullptr;
  const Function* function = (*page)[parts.slot % kFunctionPageEntries].load(std::memory_order_acquire);
  if (function == nullptr || wire::UnpackHandle(function->handle).generation != parts.generation) return nullptr;
  return function;
}

// Looks a kernel up at the server, or answers from what is known. `owner` is a module (kGetFunction) or library.
CUresult GetFunction(wire::Command command, uint64_t owner, const char* name, const Function*& function);

// Replaces `function` by the entry of the same name that is described.
CUresult Described(const Function*& function);

// Forgets the names of a module or library whose unloading the server has been told of.
void ForgetFunctionsOf(uint64_t owner);

// Where the program has a launch's parameters: one pointer each, or all in one buffer.
struct ParamSource {
  void** params = nullptr;
  const void* packed = nullptr;
};
// Of a buffer that `extra` of cuLaunchKernel tells of.
CUresult FindPackedParams(const Function& function, void** params, void** extra, ParamSource& source);
// From `params` and `extra` of cuLaunchKernel. CUDA_ERROR_INVALID_VALUE when they are not complete.
inline CUresult FindParams(const Function& function, void** params, void** extra, ParamSource& source) {
  if (extra != nullptr) [[unlikely]]
    return FindPackedParams(function, params, extra, source);
  source = {params, nullptr};
  return params == nullptr && !function.params.empty() ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}
// Writes the parameters as the kernel lays them out into `space`, which has room for function.param_bytes.
void PackParams(const Function& function, const ParamSource& source, std::byte* space);

constexpr uint64_t WithKind(uint64_t handle, wire::HandleKind kind) {
  wire::Handle parts = wire::UnpackHandle(handle);
  parts.kind = kind;
  return wire::PackHandle(parts);
}

}  // namespace mignificient::client
