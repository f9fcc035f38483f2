// Filling device memory with a repeated value.
#pragma once

#include "abi/graph.h"
#include "driver/cpu/device.h"

namespace mignificient::cpu {

// `value` is that of one element of 1, 2 or 4 bytes; `width` counts elements. CUDA's answer to what cannot be filled.
CUresult Check(Context& context, const CUDA_MEMSET_NODE_PARAMS& memset);

// Runs it now. Memory that is gone is the device's fault: CUDA_ERROR_ILLEGAL_ADDRESS.
void Execute(Context& context, const CUDA_MEMSET_NODE_PARAMS& memset);

}  // namespace mignificient::cpu
