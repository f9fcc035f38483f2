#include "remoting/client/graph_copy.h"

#include <cstring>

#include "remoting/client/memory.h"

namespace mignificient::client {
namespace {

constexpr int kHost = static_cast<int>(CU_MEMORYTYPE_HOST);

// Whether the side is host memory, after looking at what a unified address is.
bool IsHost(int type, const void* host, CUdeviceptr unified, const std::byte*& address) {
  address = type == kHost ? static_cast<const std::byte*>(host) : reinterpret_cast<const std::byte*>(unified);
  return type == kHost || (type == CU_MEMORYTYPE_UNIFIED && !IsDeviceMemory(unified));
}

}  // namespace

void StagedCopy::Carry(void* user_data) {
  const auto& copy = *static_cast<const StagedCopy*>(user_data);
  for (size_t z = 0; z < copy.slices; ++z)
    for (size_t y = 0; y < copy.rows; ++y) {
      const size_t at = z * copy.slice_pitch + y * copy.pitch;
      if (copy.to_device)
        std::memcpy(copy.pinned + at, copy.host + at, copy.row_bytes);
      else
        std::memcpy(copy.host + at, copy.pinned + at, copy.row_bytes);
    }
}

CUresult StageLinear(const void* host, size_t bytes, bool to_device, StagedCopy*& staged) {
  void* pinned = nullptr;
  if (const CUresult result = ThePinnedMemory().Allocate(bytes, 0, PinnedMemory::Kind::kAllocated, pinned);
      result != CUDA_SUCCESS)
    return result;
  staged = new StagedCopy{static_cast<std::byte*>(const_cast<void*>(host)),
                          static_cast<std::byte*>(pinned),
                          bytes,
                          1,
                          1,
                          bytes,
                          bytes,
                          to_device};
  return CUDA_SUCCESS;
}

CUresult StageSide(CUDA_MEMCPY3D& copy, StagedCopy*& staged) {
  staged = nullptr;
  const std::byte* address = nullptr;
  const auto stage = [&](bool to_device, int& type, size_t x, size_t y, size_t z, size_t pitch, size_t height,
                         auto& side) -> CUresult {
    if (pitch == 0) pitch = x + copy.width_bytes;
    if (height == 0) height = y + copy.height;
    if (copy.width_bytes == 0 || copy.height == 0 || copy.depth == 0) return CUDA_SUCCESS;
    const size_t first = z * pitch * height + y * pitch + x;
    const size_t bytes = ((copy.depth - 1) * height + copy.height - 1) * pitch + copy.width_bytes;
    address = reinterpret_cast<const std::byte*>(ThePinnedMemory().InProgram(reinterpret_cast<uint64_t>(address)));
    if (const uint64_t reach = ThePinnedMemory().OnDevice(address + first, bytes); reach != 0) {
      type = kHost;
      side = reinterpret_cast<std::byte*>(reach - first);
      return CUDA_SUCCESS;
    }
    void* pinned = nullptr;
    if (const CUresult result = ThePinnedMemory().Allocate(first + bytes, 0, PinnedMemory::Kind::kAllocated, pinned);
        result != CUDA_SUCCESS)
      return result;
    auto* base = static_cast<std::byte*>(pinned);
    staged = new StagedCopy{const_cast<std::byte*>(address) + first,
                            base + first,
                            copy.width_bytes,
                            copy.height,
                            copy.depth,
                            pitch,
                            pitch * height,
                            to_device};
    type = kHost;
    side = base;
    return CUDA_SUCCESS;
  };
  const bool from_host = IsHost(copy.src_memory_type, copy.src_host, copy.src_device, address);
  if (from_host) {
    const std::byte* target = nullptr;
    if (IsHost(copy.dst_memory_type, copy.dst_host, copy.dst_device, target)) return CUDA_ERROR_NOT_SUPPORTED;
    return stage(true, copy.src_memory_type, copy.src_x_bytes, copy.src_y, copy.src_z, copy.src_pitch, copy.src_height,
                 copy.src_host);
  }
  if (IsHost(copy.dst_memory_type, copy.dst_host, copy.dst_device, address))
    return stage(false, copy.dst_memory_type, copy.dst_x_bytes, copy.dst_y, copy.dst_z, copy.dst_pitch, copy.dst_height,
                 copy.dst_host);
  return CUDA_SUCCESS;
}

}  // namespace mignificient::client
