// Memory operations of streams and graph nodes, as a client wrote them: checked, and copied to where the driver may
// write to them.
#pragma once

#include <cstring>
#include <span>
#include <vector>

#include "remoting/wire/commands.h"

namespace mignificient::server {

// False: not one to kMaxMemoryOps operations that are known. What an operation addresses is for the driver to check:
// these are device addresses, which the program's kernels may use, too.
inline bool TakeMemoryOps(std::span<const std::byte> bytes, uint32_t count,
                          std::vector<CUstreamBatchMemOpParams>& operations) {
  constexpr size_t kBytes = sizeof(CUstreamBatchMemOpParams);
  if (count == 0 || count > wire::kMaxMemoryOps || bytes.size() < count * kBytes) return false;
  operations.resize(count);
  std::memcpy(operations.data(), bytes.data(), count * kBytes);
  for (CUstreamBatchMemOpParams& each : operations) {
    switch (each.operation) {
      case CU_STREAM_MEM_OP_WAIT_VALUE_32:
      case CU_STREAM_MEM_OP_WRITE_VALUE_32:
      case CU_STREAM_MEM_OP_WAIT_VALUE_64:
      case CU_STREAM_MEM_OP_WRITE_VALUE_64:
        each.value.alias = 0;  // the driver's own
        break;
      case CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES:
      case CU_STREAM_MEM_OP_BARRIER:
        break;
      default:
        return false;
    }
  }
  return true;
}

}  // namespace mignificient::server
