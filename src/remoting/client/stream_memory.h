// Memory operations of streams and graph nodes: waits for a value, writes of one, barriers.
#pragma once

#include "abi/graph.h"

namespace mignificient::client {

// What CUDA refuses at the call, before any stream comes to the operations.
CUresult CheckMemoryOps(unsigned count, const CUstreamBatchMemOpParams* operations, unsigned flags);

}  // namespace mignificient::client
