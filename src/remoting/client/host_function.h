// Functions of the program that run when a stream or graph reaches them. They run on one thread of this process, which
// starts with the first of them.
#pragma once

#include <cstdint>
#include <optional>

#include "abi/cuda.h"

namespace mignificient::client {

struct HostFunction {
  CUhostFn function = nullptr;
  CUstreamCallback callback = nullptr;  // instead of `function`
  CUstream stream = nullptr;            // what the callback is told
  void* user_data = nullptr;
  bool repeats = false;  // stays known after it has run, since a graph may run it again
};

// Names the function for the server. CUDA_ERROR_OUT_OF_MEMORY when the thread cannot be started.
CUresult KeepHostFunction(const HostFunction& function, uint64_t& id);
// The function behind a name, while it is kept.
std::optional<HostFunction> FindHostFunction(uint64_t id);
void ForgetHostFunction(uint64_t id);

}  // namespace mignificient::client
