// Functions of the program that run when a stream or graph reaches them. They run on one thread of this process, which
// starts with the first of them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "abi/cuda.h"

namespace mignificient::client {

struct StagedCopy;  // graph_copy.h

struct HostFunction {
  CUhostFn function = nullptr;
  CUstreamCallback callback = nullptr;  // instead of `function`
  CUstream stream = nullptr;            // what the callback is told
  void* user_data = nullptr;
  bool repeats = false;  // kept after it has run, since a graph may run it again, until the server tells that none can
  std::shared_ptr<StagedCopy> staged;  // of a copy of pageable memory in a graph; goes with the function
};

// Names the function for the server. CUDA_ERROR_OUT_OF_MEMORY when the thread cannot be started.
CUresult KeepHostFunction(const HostFunction& function, uint64_t& id);
// The function behind a name, while it is kept.
std::optional<HostFunction> FindHostFunction(uint64_t id);
void ForgetHostFunction(uint64_t id);
// Asks the server which of those that repeat no graph can run any longer. KeepHostFunction does so now and then.
void ForgetEndedHostFunctions();

}  // namespace mignificient::client
