#include "driver/cpu/memset.h"

#include <algorithm>
#include <optional>

namespace mignificient::cpu {
namespace {

bool Empty(const CUDA_MEMSET_NODE_PARAMS& memset) {
  return memset.width == 0 || memset.height == 0;
}

// From the first byte filled to behind the last one; nullopt where that overflows.
std::optional<size_t> Extent(const CUDA_MEMSET_NODE_PARAMS& memset) {
  size_t row = 0, above = 0, bytes = 0;
  if (__builtin_mul_overflow(memset.width, memset.element_bytes, &row) ||
      __builtin_mul_overflow(memset.pitch, memset.height - 1, &above) || __builtin_add_overflow(above, row, &bytes)) {
    return std::nullopt;
  }
  if (memset.height > 1 && memset.pitch < row) return std::nullopt;
  return bytes;
}

template <typename T>
void Fill(const CUDA_MEMSET_NODE_PARAMS& memset) {
  for (size_t y = 0; y < memset.height; ++y)
    std::fill_n(reinterpret_cast<T*>(memset.dst + y * memset.pitch), memset.width, static_cast<T>(memset.value));
}

}  // namespace

CUresult Check(Context& context, const CUDA_MEMSET_NODE_PARAMS& memset) {
  const unsigned element = memset.element_bytes;
  if (element != 1 && element != 2 && element != 4) return CUDA_ERROR_INVALID_VALUE;
  if (Empty(memset)) return CUDA_SUCCESS;
  const auto bytes = Extent(memset);
  const bool aligned = memset.dst % element == 0 && (memset.height == 1 || memset.pitch % element == 0);
  if (!bytes || !aligned) return CUDA_ERROR_INVALID_VALUE;
  return context.device().memory().Reaches(memset.dst, *bytes) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

void Execute(Context& context, const CUDA_MEMSET_NODE_PARAMS& memset) {
  if (context.Stopped() || Empty(memset)) return;
  if (!context.device().memory().Reaches(memset.dst, *Extent(memset)))
    return context.device().SetFault(CUDA_ERROR_ILLEGAL_ADDRESS);
  switch (memset.element_bytes) {
    case 1:
      return Fill<unsigned char>(memset);
    case 2:
      return Fill<unsigned short>(memset);
    default:
      return Fill<unsigned>(memset);
  }
}

}  // namespace mignificient::cpu
