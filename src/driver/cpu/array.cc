#include "driver/cpu/array.h"

#include <algorithm>
#include <bit>

namespace mignificient::cpu {
namespace {

constexpr unsigned kKnownFlags = 0xff;
constexpr unsigned kOfferedFlags = kArrayLayered | kArraySurface | kArrayCubemap | kArrayGather;
constexpr size_t kMaxWidth = 131072, kMaxHeight = 65536, kMaxDepth = 16384;  // as an H100 has them

CUresult Check(const CUDA_ARRAY3D_DESCRIPTOR& description) {
  const auto& [width, height, depth, format, channels, flags] = description;
  if (!ChannelBytes(format)) return CUDA_ERROR_INVALID_VALUE;
  if (channels != 1 && channels != 2 && channels != 4) return CUDA_ERROR_INVALID_VALUE;
  if ((flags & ~kKnownFlags) != 0) return CUDA_ERROR_INVALID_VALUE;
  if ((flags & ~kOfferedFlags) != 0) return CUDA_ERROR_NOT_SUPPORTED;
  const bool layered = (flags & kArrayLayered) != 0, cube = (flags & kArrayCubemap) != 0;
  if (width == 0 || width > kMaxWidth || height > kMaxHeight || depth > kMaxDepth) return CUDA_ERROR_INVALID_VALUE;
  if (depth != 0 && height == 0 && !layered) return CUDA_ERROR_INVALID_VALUE;
  if (layered && depth == 0) return CUDA_ERROR_INVALID_VALUE;
  if (cube && (width != height || depth == 0 || (layered ? depth % 6 != 0 : depth != 6)))
    return CUDA_ERROR_INVALID_VALUE;
  return CUDA_SUCCESS;
}

std::shared_ptr<Array> Level(const CUDA_ARRAY3D_DESCRIPTOR& whole, unsigned level) {
  auto array = std::make_shared<Array>();
  const auto smaller = [level](size_t size) { return size == 0 ? 0 : std::max<size_t>(size >> level, 1); };
  const bool layers = (whole.flags & (kArrayLayered | kArrayCubemap)) != 0;
  array->description = whole;
  array->description.width = smaller(whole.width);
  array->description.height = smaller(whole.height);
  array->description.depth = layers ? whole.depth : smaller(whole.depth);
  array->element_bytes = *ChannelBytes(whole.format) * whole.channels;
  array->rows = std::max<size_t>(array->description.height, 1);
  array->slices = std::max<size_t>(array->description.depth, 1);
  return array;
}

}  // namespace

CUresult ArrayMemory::Create(DeviceMemory& memory, const CUDA_ARRAY3D_DESCRIPTOR& description, unsigned levels,
                             std::shared_ptr<ArrayMemory>* created) {
  if (const CUresult good = Check(description); good != CUDA_SUCCESS) return good;
  auto array = std::make_shared<ArrayMemory>();
  constexpr size_t kLevelAlignment = 512;
  for (unsigned level = 0; level < levels; ++level) {
    auto part = Level(description, level);
    part->address = array->bytes_;
    array->bytes_ += (part->bytes() + kLevelAlignment - 1) / kLevelAlignment * kLevelAlignment;
    array->levels_.push_back(std::move(part));
  }
  CUdeviceptr address = 0;
  if (const CUresult result = memory.Allocate(&address, array->bytes_); result != CUDA_SUCCESS) return result;
  array->address_ = address;
  for (const auto& part : array->levels_) part->address += address;
  array->handles.resize(levels);
  *created = std::move(array);
  return CUDA_SUCCESS;
}

}  // namespace mignificient::cpu
