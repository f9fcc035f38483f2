#include "driver/cpu/copy_3d.h"

#include <cstring>

#include "driver/cpu/array.h"
#include "driver/cpu/copy_bytes.h"

namespace mignificient::cpu {
namespace {

constexpr int kHost = static_cast<int>(CU_MEMORYTYPE_HOST);
constexpr int kDevice = static_cast<int>(CU_MEMORYTYPE_DEVICE);
constexpr size_t kFar = size_t{1} << 48;  // beyond any address space; factors below it cannot overflow 128 bits

// Either side of a CUDA_MEMCPY3D.
struct Asked {
  int type;
  uint64_t host;
  CUdeviceptr device;
  CUarray array;
  size_t x, y, z, pitch, height;
};

Asked SourceOf(const CUDA_MEMCPY3D& copy) {
  return {copy.src_memory_type, reinterpret_cast<uint64_t>(copy.src_host),
          copy.src_device,      copy.src_array,
          copy.src_x_bytes,     copy.src_y,
          copy.src_z,           copy.src_pitch,
          copy.src_height};
}

Asked TargetOf(const CUDA_MEMCPY3D& copy) {
  return {copy.dst_memory_type, reinterpret_cast<uint64_t>(copy.dst_host),
          copy.dst_device,      copy.dst_array,
          copy.dst_x_bytes,     copy.dst_y,
          copy.dst_z,           copy.dst_pitch,
          copy.dst_height};
}

CUresult ResolveArray(Context& context, const Asked& asked, const Copy3D& copy, CopySide* side) {
  const auto array = context.arrays.Find(asked.array);
  if (array == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  const auto fits = [](size_t at, size_t size, size_t whole) { return at <= whole && size <= whole - at; };
  if (!fits(asked.x, copy.width_bytes, array->row_bytes()) || !fits(asked.y, copy.height, array->rows) ||
      !fits(asked.z, copy.depth, array->slices) || asked.x % array->element_bytes != 0 ||
      copy.width_bytes % array->element_bytes != 0) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  side->row_pitch = array->row_bytes();
  side->slice_pitch = array->slice_bytes();
  side->begin = array->address + asked.z * side->slice_pitch + asked.y * side->row_pitch + asked.x;
  return CUDA_SUCCESS;
}

// A pitch or height of 0 stands for as much as the copy takes.
CUresult ResolveMemory(Context& context, const Asked& asked, const Copy3D& copy, CopySide* side) {
  for (const size_t value :
       {asked.x, asked.y, asked.z, asked.pitch, asked.height, copy.width_bytes, copy.height, copy.depth}) {
    if (value >= kFar) return CUDA_ERROR_INVALID_VALUE;
  }
  const size_t pitch = asked.pitch != 0 ? asked.pitch : asked.x + copy.width_bytes;
  const size_t height = asked.height != 0 ? asked.height : asked.y + copy.height;
  if (pitch < asked.x + copy.width_bytes) return CUDA_ERROR_INVALID_VALUE;
  if (copy.depth > 1 && height < asked.y + copy.height) return CUDA_ERROR_INVALID_VALUE;
  using Wide = unsigned __int128;
  const Wide slice = Wide{pitch} * height;
  const Wide last = (Wide{copy.depth} - 1) * (slice < kFar ? slice : Wide{kFar}) + (Wide{copy.height} - 1) * pitch;
  const Wide first = Wide{asked.z} * (slice < kFar ? slice : Wide{kFar}) + Wide{asked.y} * pitch + asked.x;
  if (last >= kFar || first >= kFar) return CUDA_ERROR_INVALID_VALUE;
  side->row_pitch = pitch;
  side->slice_pitch = copy.depth > 1 ? static_cast<size_t>(slice) : 0;
  side->bytes = static_cast<size_t>(last) + copy.width_bytes;
  const uint64_t base = asked.type == kHost ? asked.host : asked.device;
  if (base == 0) return CUDA_ERROR_INVALID_VALUE;
  side->begin = base + static_cast<size_t>(first);
  side->on_host = !context.device().memory().Reaches(side->begin, side->bytes);
  return side->on_host && asked.type != kHost ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult ResolveSide(Context& context, const Asked& asked, const Copy3D& copy, CopySide* side) {
  switch (asked.type) {
    case CU_MEMORYTYPE_ARRAY: {
      const CUresult result = ResolveArray(context, asked, copy, side);
      if (result != CUDA_SUCCESS) return result;
      side->bytes = (copy.depth - 1) * side->slice_pitch + (copy.height - 1) * side->row_pitch + copy.width_bytes;
      return CUDA_SUCCESS;
    }
    case kHost:
    case kDevice:
    case CU_MEMORYTYPE_UNIFIED:
      return ResolveMemory(context, asked, copy, side);
  }
  return CUDA_ERROR_INVALID_VALUE;
}

}  // namespace

CUresult Resolve(Context& context, const CUDA_MEMCPY3D& asked, Copy3D* copy) {
  if (asked.src_lod != 0 || asked.dst_lod != 0) return CUDA_ERROR_INVALID_VALUE;
  *copy = {.width_bytes = asked.width_bytes, .height = asked.height, .depth = asked.depth};
  if (copy->empty()) return CUDA_SUCCESS;
  const CUresult source = ResolveSide(context, SourceOf(asked), *copy, &copy->src);
  return source != CUDA_SUCCESS ? source : ResolveSide(context, TargetOf(asked), *copy, &copy->dst);
}

void Execute(Context& context, const Copy3D& copy) {
  if (context.Stopped() || copy.empty()) return;
  auto& memory = context.device().memory();
  for (const CopySide* side : {&copy.src, &copy.dst}) {
    if (!side->on_host && !memory.Reaches(side->begin, side->bytes))
      return context.device().SetFault(CUDA_ERROR_ILLEGAL_ADDRESS);
  }
  if (copy.height == 1 && copy.depth == 1)
    return CopyBytes(copy.dst.begin, copy.src.begin, copy.width_bytes, context.device().pool());
  for (size_t z = 0; z < copy.depth; ++z) {
    for (size_t y = 0; y < copy.height; ++y) {
      const auto row = [&](const CopySide& side) { return side.begin + z * side.slice_pitch + y * side.row_pitch; };
      std::memmove(reinterpret_cast<void*>(row(copy.dst)), reinterpret_cast<const void*>(row(copy.src)),
                   copy.width_bytes);
    }
  }
}

CUDA_MEMCPY3D LinearCopy(int dst_type, uint64_t dst, int src_type, uint64_t src, size_t bytes) {
  CUDA_MEMCPY3D copy{};
  copy.dst_memory_type = dst_type;
  copy.src_memory_type = src_type;
  if (dst_type == kHost)
    copy.dst_host = reinterpret_cast<void*>(dst);
  else
    copy.dst_device = dst;
  if (src_type == kHost)
    copy.src_host = reinterpret_cast<const void*>(src);
  else
    copy.src_device = src;
  copy.width_bytes = copy.dst_pitch = copy.src_pitch = bytes;
  copy.height = copy.depth = copy.dst_height = copy.src_height = 1;
  return copy;
}

}  // namespace mignificient::cpu
