#include "remoting/client/stream_memory.h"

#include "remoting/client/call.h"
#include "remoting/wire/commands.h"

extern "C" CUresult cuStreamGetFlags(CUstream stream, unsigned* flags);

namespace mignificient::client {
namespace {

bool Has(CUdeviceAttribute attribute) {
  return Device().attributes[attribute] != 0;
}

CUresult CheckValue(const CUstreamBatchMemOpParams& each, unsigned bytes, unsigned known_flags) {
  const auto& value = each.value;
  if (value.address == 0 || value.address % bytes != 0 || (value.flags & ~known_flags) != 0)
    return CUDA_ERROR_INVALID_VALUE;
  return bytes == 8 && !Has(CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS) ? CUDA_ERROR_NOT_SUPPORTED
                                                                               : CUDA_SUCCESS;
}

CUresult CheckWait(const CUstreamBatchMemOpParams& each, unsigned bytes) {
  constexpr unsigned kCondition = 3;
  const unsigned flags = each.value.flags;
  const CUresult checked = CheckValue(each, bytes, kCondition | CU_STREAM_WAIT_VALUE_FLUSH);
  if (checked != CUDA_SUCCESS) return checked;
  if ((flags & kCondition) == CU_STREAM_WAIT_VALUE_NOR && !Has(CU_DEVICE_ATTRIBUTE_CAN_USE_STREAM_WAIT_VALUE_NOR))
    return CUDA_ERROR_NOT_SUPPORTED;
  // There are no remote writes to flush.
  return (flags & CU_STREAM_WAIT_VALUE_FLUSH) != 0 ? CUDA_ERROR_NOT_SUPPORTED : CUDA_SUCCESS;
}

CUresult Check(const CUstreamBatchMemOpParams& each) {
  switch (each.operation) {
    case CU_STREAM_MEM_OP_WAIT_VALUE_32:
      return CheckWait(each, 4);
    case CU_STREAM_MEM_OP_WAIT_VALUE_64:
      return CheckWait(each, 8);
    case CU_STREAM_MEM_OP_WRITE_VALUE_32:
      return CheckValue(each, 4, CU_STREAM_WRITE_VALUE_NO_MEMORY_BARRIER);
    case CU_STREAM_MEM_OP_WRITE_VALUE_64:
      return CheckValue(each, 8, CU_STREAM_WRITE_VALUE_NO_MEMORY_BARRIER);
    case CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES:
      return CUDA_ERROR_NOT_SUPPORTED;  // CU_DEVICE_ATTRIBUTE_CAN_FLUSH_REMOTE_WRITES is 0
    case CU_STREAM_MEM_OP_BARRIER:
      return each.barrier.flags <= 1 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

CUresult Run(CUstream stream, unsigned count, const CUstreamBatchMemOpParams* operations, unsigned flags) {
  unsigned stream_flags;
  if (const CUresult checked = cuStreamGetFlags(stream, &stream_flags); checked != CUDA_SUCCESS) return checked;
  if (const CUresult checked = CheckMemoryOps(count, operations, flags); checked != CUDA_SUCCESS) return checked;
  if (count == 0) return CUDA_SUCCESS;
  const wire::MemoryOpsBody body{StreamName(stream), count, 0};
  return Post(static_cast<uint16_t>(wire::Command::kStreamMemoryOps), std::as_bytes(std::span(&body, 1)),
              std::as_bytes(std::span(operations, count)));
}

CUresult RunOne(CUstream stream, int operation, CUdeviceptr address, unsigned long long value, unsigned flags) {
  CUstreamBatchMemOpParams each{};
  each.value = {.operation = operation, .address = address, .value64 = value, .flags = flags, .alias = 0};
  return Run(stream, 1, &each, 0);
}

// The first forms have to be switched on in the driver, and have not been since CUDA 12.
CUresult FirstForms(CUstream stream) {
  unsigned stream_flags;
  if (const CUresult checked = cuStreamGetFlags(stream, &stream_flags); checked != CUDA_SUCCESS) return checked;
  return Has(CU_DEVICE_ATTRIBUTE_CAN_USE_STREAM_MEM_OPS_V1) ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
}

}  // namespace

CUresult CheckMemoryOps(unsigned count, const CUstreamBatchMemOpParams* operations, unsigned flags) {
  if (count > wire::kMaxMemoryOps || (count > 0 && operations == nullptr) || flags != 0)
    return CUDA_ERROR_INVALID_VALUE;
  for (unsigned i = 0; i < count; ++i)
    if (const CUresult checked = Check(operations[i]); checked != CUDA_SUCCESS) return checked;
  return CUDA_SUCCESS;
}

#define MIG_VALUE(Name, Type, operation)                                                                           \
  MIG_EXPORT CUresult cuStream##Name##_v2(CUstream stream, CUdeviceptr address, Type value, unsigned flags) {      \
    return RunOne(stream, operation, address, value, flags);                                                       \
  }                                                                                                                \
  MIG_EXPORT CUresult cuStream##Name##_v2_ptsz(CUstream stream, CUdeviceptr address, Type value, unsigned flags) { \
    return RunOne(PerThread(stream), operation, address, value, flags);                                            \
  }                                                                                                                \
  MIG_EXPORT CUresult cuStream##Name(CUstream stream, CUdeviceptr address, Type value, unsigned flags) {           \
    const CUresult offered = FirstForms(stream);                                                                   \
    return offered == CUDA_SUCCESS ? RunOne(stream, operation, address, value, flags) : offered;                   \
  }                                                                                                                \
  MIG_EXPORT CUresult cuStream##Name##_ptsz(CUstream stream, CUdeviceptr address, Type value, unsigned flags) {    \
    return cuStream##Name(PerThread(stream), address, value, flags);                                               \
  }
MIG_VALUE(WaitValue32, unsigned, CU_STREAM_MEM_OP_WAIT_VALUE_32)
MIG_VALUE(WaitValue64, unsigned long long, CU_STREAM_MEM_OP_WAIT_VALUE_64)
MIG_VALUE(WriteValue32, unsigned, CU_STREAM_MEM_OP_WRITE_VALUE_32)
MIG_VALUE(WriteValue64, unsigned long long, CU_STREAM_MEM_OP_WRITE_VALUE_64)
#undef MIG_VALUE

MIG_EXPORT CUresult cuStreamBatchMemOp_v2(CUstream stream, unsigned count, CUstreamBatchMemOpParams* operations,
                                          unsigned flags) {
  return Run(stream, count, operations, flags);
}
MIG_EXPORT CUresult cuStreamBatchMemOp_v2_ptsz(CUstream stream, unsigned count, CUstreamBatchMemOpParams* operations,
                                               unsigned flags) {
  return Run(PerThread(stream), count, operations, flags);
}
MIG_EXPORT CUresult cuStreamBatchMemOp(CUstream stream, unsigned count, CUstreamBatchMemOpParams* operations,
                                       unsigned flags) {
  const CUresult offered = FirstForms(stream);
  return offered == CUDA_SUCCESS ? Run(stream, count, operations, flags) : offered;
}
MIG_EXPORT CUresult cuStreamBatchMemOp_ptsz(CUstream stream, unsigned count, CUstreamBatchMemOpParams* operations,
                                            unsigned flags) {
  return cuStreamBatchMemOp(PerThread(stream), count, operations, flags);
}

}  // namespace mignificient::client
