// Copies between host and device. Small ones travel inside the command or the reply, larger pageable ones through
// staging chunks (staging.h); pinned memory is copied by DMA directly.

#include <cstring>

#include "remoting/client/call.h"
#include "remoting/client/capture.h"
#include "remoting/client/channel.h"
#include "remoting/client/graph_copy.h"
#include "remoting/client/managed_variables.h"
#include "remoting/client/memory.h"
#include "remoting/client/staging.h"
#include "remoting/wire/commands.h"

// Generated.
extern "C" CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream);

namespace mignificient::client {
namespace {

using wire::Command;

constexpr size_t kInlineBytes = 32 * 1024;

uint64_t Name(CUstream stream) {
  return StreamName(stream);
}

CUresult PostCopy(Command command, const wire::CopyBody& body) {
  return IssueBody(static_cast<uint16_t>(command), body);
}

CUresult Synchronize(CUstream stream) {
  const wire::HandleBody body{Name(stream)};
  return Call(static_cast<uint16_t>(Command::kStreamSynchronize), std::as_bytes(std::span(&body, 1)), {});
}

// --- Host to device -------------------------------------------------------------------------------------------------

// Pageable memory in a graph, as CUDA describes such a copy.
CUresult CaptureLinear(bool to_device, const void* host, CUdeviceptr device, size_t bytes, CUstream stream) {
  constexpr int kHost = static_cast<int>(CU_MEMORYTYPE_HOST), kDevice = static_cast<int>(CU_MEMORYTYPE_DEVICE);
  CUDA_MEMCPY3D copy{};
  copy.src_memory_type = to_device ? kHost : kDevice;
  copy.dst_memory_type = to_device ? kDevice : kHost;
  (to_device ? copy.dst_device : copy.src_device) = device;
  if (to_device)
    copy.src_host = host;
  else
    copy.dst_host = const_cast<void*>(host);
  copy.width_bytes = bytes;
  copy.height = copy.depth = 1;
  return CaptureCopy(copy, stream);
}

enum class Until { kIssued, kComplete };

// Whether the device has that much memory at all: the host's side is not read or written for a copy that cannot be.
bool Fits(size_t bytes) {
  return bytes <= Device().total_bytes;
}

CUresult ToDevice(CUdeviceptr dst, const void* src, size_t bytes, CUstream stream, Until until) {
  if (const CUresult ready = ReadyOn(stream); ready != CUDA_SUCCESS) return ready;
  if (bytes == 0) return CUDA_SUCCESS;
  if (src == nullptr || dst == 0 || !Fits(bytes)) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult outside = CheckRange(dst, bytes, stream); outside != CUDA_SUCCESS) return outside;
  if (const uint64_t pinned = ThePinnedMemory().OnDevice(src, bytes); pinned != 0) {
    const CUresult result = PostCopy(Command::kCopyFromHost, {dst, bytes, Name(stream), pinned, 0, 0});
    return result == CUDA_SUCCESS && until == Until::kComplete ? Synchronize(stream) : result;
  }
  if (IsCapturing(stream)) return CaptureLinear(true, src, dst, bytes, stream);
  const auto* source = static_cast<const std::byte*>(src);
  // As in CUDA, a copy from pageable memory returns when the source may be changed again.
  if (bytes > kInlineBytes) return StageToDevice(dst, source, bytes, Name(stream));
  const wire::CopyBody body{dst, bytes, Name(stream), 0, 0, 0};
  return Issue(static_cast<uint16_t>(Command::kCopyInline), std::as_bytes(std::span(&body, 1)), {source, bytes});
}

// --- Device to host -------------------------------------------------------------------------------------------------

CUresult ThroughReply(std::byte* dst, CUdeviceptr src, size_t bytes, CUstream stream) {
  const wire::CopyBody body{src, bytes, Name(stream), 0, 0, 0};
  return Call(static_cast<uint16_t>(Command::kCopyToReply), std::as_bytes(std::span(&body, 1)), {dst, bytes});
}

CUresult ToHost(void* dst, CUdeviceptr src, size_t bytes, CUstream stream, Until until) {
  if (const CUresult ready = ReadyOn(stream); ready != CUDA_SUCCESS) return ready;
  if (bytes == 0) return CUDA_SUCCESS;
  if (dst == nullptr || src == 0 || !Fits(bytes)) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult outside = CheckRange(src, bytes, stream); outside != CUDA_SUCCESS) return outside;
  if (const uint64_t pinned = ThePinnedMemory().OnDevice(dst, bytes); pinned != 0) {
    const CUresult result = PostCopy(Command::kCopyToHost, {src, bytes, Name(stream), pinned, 0, 0});
    return result == CUDA_SUCCESS && until == Until::kComplete ? Synchronize(stream) : result;
  }
  if (IsCapturing(stream)) return CaptureLinear(false, dst, src, bytes, stream);
  auto* target = static_cast<std::byte*>(dst);
  if (bytes <= wire::kReplyBytes) return ThroughReply(target, src, bytes, stream);
  return StageToHost(target, src, bytes, Name(stream));
}

// --- Unified addresses ----------------------------------------------------------------------------------------------

CUresult Unified(CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream, Until until) {
  if (const CUresult ready = ReadyOn(stream); ready != CUDA_SUCCESS) return ready;
  if (IsDeviceMemory(dst) && IsDeviceMemory(src)) return cuMemcpyDtoDAsync_v2(dst, src, bytes, stream);
  dst = ThePinnedMemory().InProgram(dst);
  src = ThePinnedMemory().InProgram(src);
  if (IsDeviceMemory(dst)) return ToDevice(dst, reinterpret_cast<const void*>(src), bytes, stream, until);
  if (IsDeviceMemory(src)) return ToHost(reinterpret_cast<void*>(dst), src, bytes, stream, until);
  if (bytes == 0) return CUDA_SUCCESS;
  if (dst == 0 || src == 0 || dst + bytes < dst || src + bytes < src) return CUDA_ERROR_INVALID_VALUE;
  const uint64_t pinned_dst = ThePinnedMemory().OnDevice(reinterpret_cast<void*>(dst), bytes);
  const uint64_t pinned_src = ThePinnedMemory().OnDevice(reinterpret_cast<const void*>(src), bytes);
  if (pinned_dst != 0 && pinned_src != 0) {
    const CUresult result = cuMemcpyDtoDAsync_v2(pinned_dst, pinned_src, bytes, stream);
    return result == CUDA_SUCCESS && until == Until::kComplete ? Synchronize(stream) : result;
  }
  // Host to host, in stream order.
  if (const CUresult result = Synchronize(stream); result != CUDA_SUCCESS) return result;
  std::memmove(reinterpret_cast<void*>(dst), reinterpret_cast<const void*>(src), bytes);
  return CUDA_SUCCESS;
}

}  // namespace

MIG_EXPORT CUresult cuMemcpyHtoD_v2(CUdeviceptr dst, const void* src, size_t bytes) {
  return ToDevice(dst, src, bytes, nullptr, Until::kComplete);
}
MIG_EXPORT CUresult cuMemcpyHtoD_v2_ptds(CUdeviceptr dst, const void* src, size_t bytes) {
  return ToDevice(dst, src, bytes, CuStreamPerThread(), Until::kComplete);
}
MIG_EXPORT CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr dst, const void* src, size_t bytes, CUstream stream) {
  return ToDevice(dst, src, bytes, stream, Until::kIssued);
}
MIG_EXPORT CUresult cuMemcpyHtoDAsync_v2_ptsz(CUdeviceptr dst, const void* src, size_t bytes, CUstream stream) {
  return ToDevice(dst, src, bytes, PerThread(stream), Until::kIssued);
}
MIG_EXPORT CUresult cuMemcpyDtoH_v2(void* dst, CUdeviceptr src, size_t bytes) {
  return AfterWait(ToHost(dst, src, bytes, nullptr, Until::kComplete));
}
MIG_EXPORT CUresult cuMemcpyDtoH_v2_ptds(void* dst, CUdeviceptr src, size_t bytes) {
  return AfterWait(ToHost(dst, src, bytes, CuStreamPerThread(), Until::kComplete));
}
MIG_EXPORT CUresult cuMemcpyDtoHAsync_v2(void* dst, CUdeviceptr src, size_t bytes, CUstream stream) {
  return ToHost(dst, src, bytes, stream, Until::kIssued);
}
MIG_EXPORT CUresult cuMemcpyDtoHAsync_v2_ptsz(void* dst, CUdeviceptr src, size_t bytes, CUstream stream) {
  return ToHost(dst, src, bytes, PerThread(stream), Until::kIssued);
}
MIG_EXPORT CUresult cuMemcpy(CUdeviceptr dst, CUdeviceptr src, size_t bytes) {
  return Unified(dst, src, bytes, nullptr, Until::kComplete);
}
MIG_EXPORT CUresult cuMemcpy_ptds(CUdeviceptr dst, CUdeviceptr src, size_t bytes) {
  return Unified(dst, src, bytes, CuStreamPerThread(), Until::kComplete);
}
MIG_EXPORT CUresult cuMemcpyAsync(CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream) {
  return Unified(dst, src, bytes, stream, Until::kIssued);
}
MIG_EXPORT CUresult cuMemcpyAsync_ptsz(CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream) {
  return Unified(dst, src, bytes, PerThread(stream), Until::kIssued);
}

}  // namespace mignificient::client
