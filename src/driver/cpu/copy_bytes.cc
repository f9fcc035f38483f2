#include "driver/cpu/copy_bytes.h"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace mignificient::cpu {
namespace {

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

}  // namespace

void CopyBytes(uint64_t dst, uint64_t src, size_t bytes, WorkerPool& pool) {
  auto* const to = reinterpret_cast<std::byte*>(dst);
  const auto* const from = reinterpret_cast<const std::byte*>(src);
  const bool apart = dst + bytes <= src || src + bytes <= dst;
  if (apart && bytes >= kParallelBytes) return CopyInParallel(to, from, bytes, pool);
  std::memmove(to, from, bytes);
}

}  // namespace mignificient::cpu
