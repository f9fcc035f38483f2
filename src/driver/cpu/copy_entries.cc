// Copies and memsets. Each is validated when it is called, as CUDA does, and again when it runs: memory may have been
// unmapped in between, and this process must not touch what is gone.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "driver/cpu/entries.h"

namespace mignificient::cpu {
namespace {

constexpr size_t kStagedBytes = 64 * 1024;          // pageable copies up to this are staged, larger ones are waited for
constexpr size_t kParallelBytes = size_t{4} << 20;  // copies from here on use several threads
constexpr size_t kChunkBytes = size_t{1} << 20;

void CopyInParallel(std::byte* dst, const std::byte* src, size_t bytes, WorkerPool& pool) {
  std::atomic<size_t> next{0};
  pool.Run(pool.threads(), [&] {
    for (size_t begin = next.fetch_add(kChunkBytes); begin < bytes; begin = next.fetch_add(kChunkBytes)) {
      std::memcpy(dst + begin, src + begin, std::min(kChunkBytes, bytes - begin));
    }
  });
}

void CopyBytes(uint64_t dst, uint64_t src, size_t bytes, WorkerPool& pool) {
  auto* const to = reinterpret_cast<std::byte*>(dst);
  const auto* const from = reinterpret_cast<const std::byte*>(src);
  const bool apart = dst + bytes <= src || src + bytes <= dst;
  if (apart && bytes >= kParallelBytes) return CopyInParallel(to, from, bytes, pool);
  std::memmove(to, from, bytes);
}

// Work that touches [begin, begin + bytes) of the device, and of `second_begin` if it is not 0.
template <typename Body>
Scheduler::Work Touching(Context& context, uint64_t begin, size_t bytes, uint64_t second_begin, Body body) {
  return [&context, begin, bytes, second_begin, body = std::move(body)] {
    if (context.Stopped()) return;
    auto& memory = context.device().memory();
    if (!memory.Reaches(begin, bytes) || (second_begin != 0 && !memory.Reaches(second_begin, bytes))) {
      return context.device().SetFault(CUDA_ERROR_ILLEGAL_ADDRESS);
    }
    body();
  };
}

CUresult WaitFor(Context& context, const Ticket& ticket) {
  context.scheduler().Wait(ticket);
  return context.Settled();
}

// Host memory that is not registered may be changed or freed by the program as soon as the call returns.
CUresult MemcpyHtoDAsync(CUdeviceptr dst, const void* src, size_t bytes, CUstream handle) {
  return OnStream(handle, [&](Context& context, Stream& stream) {
    if (bytes == 0) return CUDA_SUCCESS;
    auto& memory = context.device().memory();
    const auto host = reinterpret_cast<uint64_t>(src);
    if (src == nullptr || !memory.Reaches(dst, bytes)) return CUDA_ERROR_INVALID_VALUE;
    auto& pool = context.device().pool();
    if (memory.Reaches(host, bytes)) {
      const auto copy = [=, &pool] { CopyBytes(dst, host, bytes, pool); };
      context.scheduler().Enqueue(stream, Touching(context, dst, bytes, host, copy));
      return CUDA_SUCCESS;
    }
    if (bytes <= kStagedBytes) {
      const auto* const begin = static_cast<const std::byte*>(src);
      const auto copy = [dst, staged = std::vector<std::byte>(begin, begin + bytes)] {
        std::memcpy(reinterpret_cast<void*>(dst), staged.data(), staged.size());
      };
      context.scheduler().Enqueue(stream, Touching(context, dst, bytes, 0, copy));
      return CUDA_SUCCESS;
    }
    const auto copy = [=, &pool] { CopyBytes(dst, host, bytes, pool); };
    return WaitFor(context, context.scheduler().Enqueue(stream, Touching(context, dst, bytes, 0, copy)));
  });
}

CUresult MemcpyDtoHAsync(void* dst, CUdeviceptr src, size_t bytes, CUstream handle) {
  return OnStream(handle, [&](Context& context, Stream& stream) {
    if (bytes == 0) return CUDA_SUCCESS;
    auto& memory = context.device().memory();
    const auto host = reinterpret_cast<uint64_t>(dst);
    if (dst == nullptr || !memory.Reaches(src, bytes)) return CUDA_ERROR_INVALID_VALUE;
    const bool registered = memory.Reaches(host, bytes);
    const auto copy = [=, &pool = context.device().pool()] { CopyBytes(host, src, bytes, pool); };
    const auto done = context.scheduler().Enqueue(stream, Touching(context, src, bytes, registered ? host : 0, copy));
    return registered ? CUDA_SUCCESS : WaitFor(context, done);
  });
}

CUresult MemcpyDtoDAsync(CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream handle) {
  return OnStream(handle, [&](Context& context, Stream& stream) {
    if (bytes == 0) return CUDA_SUCCESS;
    auto& memory = context.device().memory();
    if (!memory.Reaches(dst, bytes) || !memory.Reaches(src, bytes)) return CUDA_ERROR_INVALID_VALUE;
    const auto copy = [=, &pool = context.device().pool()] { CopyBytes(dst, src, bytes, pool); };
    context.scheduler().Enqueue(stream, Touching(context, dst, bytes, src, copy));
    return CUDA_SUCCESS;
  });
}

// `height` rows of `width` elements, `pitch` bytes apart.
template <typename T>
CUresult Memset2D(CUdeviceptr dst, size_t pitch, T value, size_t width, size_t height, CUstream handle) {
  return OnStream(handle, [&](Context& context, Stream& stream) {
    if (width == 0 || height == 0) return CUDA_SUCCESS;
    size_t row = 0, above = 0, bytes = 0;
    if (__builtin_mul_overflow(width, sizeof(T), &row) || __builtin_mul_overflow(pitch, height - 1, &above) ||
        __builtin_add_overflow(above, row, &bytes)) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    const bool aligned = dst % sizeof(T) == 0 && (height == 1 || pitch % sizeof(T) == 0);
    if (!aligned || (height > 1 && pitch < row)) return CUDA_ERROR_INVALID_VALUE;
    if (!context.device().memory().Reaches(dst, bytes)) return CUDA_ERROR_INVALID_VALUE;
    const auto fill = [=] {
      for (size_t y = 0; y < height; ++y) std::fill_n(reinterpret_cast<T*>(dst + y * pitch), width, value);
    };
    context.scheduler().Enqueue(stream, Touching(context, dst, bytes, 0, fill));
    return CUDA_SUCCESS;
  });
}

template <typename T>
CUresult Memset(CUdeviceptr dst, T value, size_t count, CUstream handle) {
  return Memset2D<T>(dst, 0, value, count, 1, handle);
}

}  // namespace

void FillCopyEntries(DriverTable& table) {
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
