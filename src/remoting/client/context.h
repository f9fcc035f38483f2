// The program's contexts: handles to the one context of the GPU server. The primary one, and those the program creates.
// A thread has a stack of current contexts; CurrentContext() of call.h is its top.
#pragma once

#include <cstdint>

#include "abi/cuda.h"

namespace mignificient::client {

// CUDA_ERROR_INVALID_CONTEXT for what is no context of this process or is destroyed. Null means the current one.
CUresult ResolveContext(CUcontext& context);

// Unique in the process, never reused. `context` is not null.
CUresult ContextId(CUcontext context, uint64_t& id);

CUresult RetainPrimary(CUcontext* context, CUdevice device);

}  // namespace mignificient::client
