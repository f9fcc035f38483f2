#include "remoting/client/graph_copy.h"

#include <bit>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "remoting/client/graph.h"
#include "remoting/client/host_function.h"
#include "remoting/client/memory.h"
#include "remoting/wire/array.h"

namespace mignificient::client {
namespace {

constexpr int kHost = static_cast<int>(CU_MEMORYTYPE_HOST);

// Whether the side is host memory, after looking at what a unified address is.
bool IsHost(int type, const void* host, CUdeviceptr unified, const std::byte*& address) {
  address = type == kHost ? static_cast<const std::byte*>(host) : reinterpret_cast<const std::byte*>(unified);
  return type == kHost || (type == CU_MEMORYTYPE_UNIFIED && !IsDeviceMemory(unified));
}

// Stand-ins that nobody has, by bytes. Leaked on purpose: graphs may go after the program's destructors.
struct Spare {
  std::mutex lock;
  std::multimap<size_t, std::byte*> by_bytes;
};
Spare& TheSpare() {
  static Spare& spare = *new Spare;
  return spare;
}

// Gives the spare ones back to the session. False: there was none.
bool FreeSpare() {
  std::multimap<size_t, std::byte*> spare;
  {
    const std::lock_guard lock(TheSpare().lock);
    spare.swap(TheSpare().by_bytes);
  }
  for (const auto& [bytes, data] : spare) ThePinnedMemory().Free(data, PinnedMemory::Kind::kAllocated);
  return !spare.empty();
}

}  // namespace

CUresult StandIn::Take(size_t bytes, std::unique_ptr<StandIn>& stand_in) {
  constexpr size_t kLeast = 4096, kMost = size_t{1} << 62;
  if (bytes > kMost) return CUDA_ERROR_OUT_OF_MEMORY;
  bytes = std::bit_ceil(std::max(bytes, kLeast));
  {
    const std::lock_guard lock(TheSpare().lock);
    if (auto spare = TheSpare().by_bytes.extract(bytes); !spare.empty()) {
      stand_in.reset(new StandIn(spare.mapped(), bytes));
      return CUDA_SUCCESS;
    }
  }
  void* pinned = nullptr;
  const auto allocate = [&] { return ThePinnedMemory().Allocate(bytes, 0, PinnedMemory::Kind::kAllocated, pinned); };
  CUresult result = allocate();
  if (result == CUDA_ERROR_OUT_OF_MEMORY) {
    ForgetEndedHostFunctions();
    if (FreeSpare()) result = allocate();
  }
  if (result == CUDA_SUCCESS) stand_in.reset(new StandIn(static_cast<std::byte*>(pinned), bytes));
  return result;
}

StandIn::~StandIn() {
  const std::lock_guard lock(TheSpare().lock);
  TheSpare().by_bytes.emplace(bytes_, data_);
}

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

CUresult StageSide(CUDA_MEMCPY3D& copy, std::shared_ptr<StagedCopy>& staged) {
  staged = nullptr;
  const CUDA_MEMCPY3D given = copy;
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
    std::unique_ptr<StandIn> stand_in;
    if (const CUresult result = StandIn::Take(first + bytes, stand_in); result != CUDA_SUCCESS) return result;
    std::byte* const base = stand_in->data();
    staged = std::make_shared<StagedCopy>(std::move(stand_in), const_cast<std::byte*>(address) + first, base + first,
                                          copy.width_bytes, copy.height, copy.depth, pitch, pitch * height, to_device,
                                          given);
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

CUresult StageNode(CUDA_MEMCPY3D& copy, uint64_t& carry) {
  carry = 0;
  std::shared_ptr<StagedCopy> staged;
  const CUresult result = StageSide(copy, staged);
  if (result != CUDA_SUCCESS || staged == nullptr) return result;
  return KeepHostFunction({.function = StagedCopy::Carry, .user_data = staged.get(), .repeats = true, .staged = staged},
                          carry);
}

CUresult CaptureCopy(CUDA_MEMCPY3D copy, CUstream stream) {
  wire::MemcpyNode node{};
  if (const CUresult result = StageNode(copy, node.carry); result != CUDA_SUCCESS) return result;
  if (node.carry == 0) {
    const wire::Copy3DBody body{copy, StreamName(stream), wire::kNoChunk, 0};
    return IssueBody(static_cast<uint16_t>(wire::Command::kCopy3D), body);
  }
  node.copy = copy;
  const CUresult result = CallWith(wire::Command::kCaptureCopy, wire::HandleBody{StreamName(stream)}, {},
                                   std::as_bytes(std::span(&node, 1)));
  if (result != CUDA_SUCCESS) ForgetHostFunction(node.carry);
  return result;
}

}  // namespace mignificient::client
