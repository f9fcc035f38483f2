// Copies and memsets. Each is validated when it is called, as CUDA does, and again when it runs: memory may have been
// unmapped in between, and this process must not touch what is gone.
#include <cstring>
#include <vector>

#include "driver/cpu/capture.h"
#include "driver/cpu/copy_3d.h"
#include "driver/cpu/copy_bytes.h"
#include "driver/cpu/entries.h"
#include "driver/cpu/memset.h"

namespace mignificient::cpu {
namespace {

constexpr size_t kStagedBytes = 64 * 1024;  // pageable copies up to this are staged, larger ones are waited for
constexpr int kHost = static_cast<int>(CU_MEMORYTYPE_HOST);
constexpr int kDevice = static_cast<int>(CU_MEMORYTYPE_DEVICE);

CUresult WaitFor(Context& context, const Ticket& ticket) {
  context.scheduler().Wait(ticket);
  return context.Settled();
}

// A short copy from host memory that may change as soon as the call returns.
CUresult CopyStaged(Context& context, Stream& stream, const Copy3D& copy) {
  const auto* const begin = reinterpret_cast<const std::byte*>(copy.src.begin);
  std::vector<std::byte> staged(begin, begin + copy.width_bytes);
  context.scheduler().Enqueue(stream, [&context, copy, staged = std::move(staged)] {
    Copy3D from_staged = copy;
    from_staged.src.begin = reinterpret_cast<uint64_t>(staged.data());
    Execute(context, from_staged);
  });
  return CUDA_SUCCESS;
}

CUresult Memcpy3DAsync(const CUDA_MEMCPY3D* asked, CUstream handle) {
  if (asked == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return OnStream(handle, [&](Context& context, Stream& stream) {
    Copy3D copy;
    if (const CUresult resolved = Resolve(context, *asked, &copy); resolved != CUDA_SUCCESS) return resolved;
    if (const auto captured = context.captures().Take(stream, [&] { return CopyNode{*asked}; })) return *captured;
    if (copy.empty()) return CUDA_SUCCESS;
    const bool one_row = copy.height == 1 && copy.depth == 1;
    if (copy.src.on_host && !copy.dst.on_host && one_row && copy.width_bytes <= kStagedBytes)
      return CopyStaged(context, stream, copy);
    const Ticket done = context.scheduler().Enqueue(stream, [&context, copy] { Execute(context, copy); });
    // Host memory that is not registered may be changed or freed by the program as soon as the call returns.
    return copy.src.on_host || copy.dst.on_host ? WaitFor(context, done) : CUDA_SUCCESS;
  });
}

CUresult MemcpyLinear(int dst_type, uint64_t dst, int src_type, uint64_t src, size_t bytes, CUstream stream) {
  const CUDA_MEMCPY3D copy = LinearCopy(dst_type, dst, src_type, src, bytes);
  return Memcpy3DAsync(&copy, stream);
}

CUresult MemcpyHtoDAsync(CUdeviceptr dst, const void* src, size_t bytes, CUstream stream) {
  return MemcpyLinear(kDevice, dst, kHost, reinterpret_cast<uint64_t>(src), bytes, stream);
}

CUresult MemcpyDtoHAsync(void* dst, CUdeviceptr src, size_t bytes, CUstream stream) {
  return MemcpyLinear(kHost, reinterpret_cast<uint64_t>(dst), kDevice, src, bytes, stream);
}

CUresult MemcpyDtoDAsync(CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream) {
  return MemcpyLinear(kDevice, dst, kDevice, src, bytes, stream);
}

// `height` rows of `width` elements, `pitch` bytes apart.
template <typename T>
CUresult Memset2D(CUdeviceptr dst, size_t pitch, T value, size_t width, size_t height, CUstream handle) {
  return OnStream(handle, [&](Context& context, Stream& stream) {
    const CUDA_MEMSET_NODE_PARAMS memset{dst, pitch, value, sizeof(T), width, height, nullptr};
    if (const CUresult good = Check(context, memset); good != CUDA_SUCCESS) return good;
    if (const auto captured = context.captures().Take(stream, [&] { return MemsetNode{memset}; })) return *captured;
    if (width == 0 || height == 0) return CUDA_SUCCESS;
    context.scheduler().Enqueue(stream, [&context, memset] { Execute(context, memset); });
    return CUDA_SUCCESS;
  });
}

template <typename T>
CUresult Memset(CUdeviceptr dst, T value, size_t count, CUstream handle) {
  return Memset2D<T>(dst, 0, value, count, 1, handle);
}

}  // namespace

void FillCopyEntries(DriverTable& table) {
  table.cuMemcpy3DAsync_v2 = Memcpy3DAsync;
  table.cuMemcpyHtoDAsync_v2 = MemcpyHtoDAsync;
  table.cuMemcpyDtoHAsync_v2 = MemcpyDtoHAsync;
  table.cuMemcpyDtoDAsync_v2 = MemcpyDtoDAsync;
  table.cuMemsetD8Async = Memset<unsigned char>;
  table.cuMemsetD16Async = Memset<unsigned short>;
  table.cuMemsetD32Async = Memset<unsigned>;
  table.cuMemsetD2D8Async = Memset2D<unsigned char>;
  table.cuMemsetD2D16Async = Memset2D<unsigned short>;
  table.cuMemsetD2D32Async = Memset2D<unsigned>;
}

}  // namespace mignificient::cpu
