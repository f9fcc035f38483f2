// Copies of two and three dimensions, and from and to arrays. All become one CUDA_MEMCPY3D. A pageable host side goes
// row by row through staging chunks; pinned memory is copied by DMA directly.

#include <algorithm>
#include <cstring>

#include "abi/array.h"
#include "remoting/client/call.h"
#include "remoting/client/capture.h"
#include "remoting/client/channel.h"
#include "remoting/client/context.h"
#include "remoting/client/graph_copy.h"
#include "remoting/client/memory.h"
#include "remoting/wire/array.h"
#include "remoting/wire/commands.h"

extern "C" CUresult cuStreamSynchronize(CUstream stream);
extern "C" CUresult cuMemcpyAsync(CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream);
extern "C" CUresult cuMemcpy(CUdeviceptr dst, CUdeviceptr src, size_t bytes);

namespace mignificient::client {
namespace {

using wire::Command;

constexpr int kHost = static_cast<int>(CU_MEMORYTYPE_HOST);
constexpr int kDevice = static_cast<int>(CU_MEMORYTYPE_DEVICE);

enum class Until { kIssued, kComplete };

CUresult PostCopy(const CUDA_MEMCPY3D& copy, CUstream stream, uint32_t chunk) {
  const wire::Copy3DBody body{copy, StreamName(stream), chunk, 0};
  // A chunk's own completion tells how such a copy ends.
  return chunk != wire::kNoChunk ? PostBody(static_cast<uint16_t>(Command::kCopy3D), body)
                                 : IssueBody(static_cast<uint16_t>(Command::kCopy3D), body);
}

// What a unified address is.
template <typename Host>
void Settle(int& type, Host& host, CUdeviceptr device) {
  if (type != CU_MEMORYTYPE_UNIFIED) return;
  type = IsDeviceMemory(device) ? kDevice : kHost;
  host = reinterpret_cast<Host>(ThePinnedMemory().InProgram(device));
}

// One side's place in memory, with the defaults of CUDA filled in.
struct Place {
  std::byte* base;
  size_t x, y, z, pitch, height;

  std::byte* Row(size_t row, size_t slice) const { return base + ((z + slice) * height + y + row) * pitch + x; }
};

Place SourceOf(const CUDA_MEMCPY3D& copy) {
  return {static_cast<std::byte*>(const_cast<void*>(copy.src_host)),
          copy.src_x_bytes,
          copy.src_y,
          copy.src_z,
          copy.src_pitch != 0 ? copy.src_pitch : copy.src_x_bytes + copy.width_bytes,
          copy.src_height != 0 ? copy.src_height : copy.src_y + copy.height};
}
Place TargetOf(const CUDA_MEMCPY3D& copy) {
  return {static_cast<std::byte*>(copy.dst_host),
          copy.dst_x_bytes,
          copy.dst_y,
          copy.dst_z,
          copy.dst_pitch != 0 ? copy.dst_pitch : copy.dst_x_bytes + copy.width_bytes,
          copy.dst_height != 0 ? copy.dst_height : copy.dst_y + copy.height};
}

// False: pageable. Else `host` becomes where the device has it.
template <typename Host>
bool ReachPinned(const CUDA_MEMCPY3D& copy, const Place& place, Host& host) {
  const std::byte* first = place.Row(0, 0);
  const std::byte* last = place.Row(copy.height - 1, copy.depth - 1);
  const uint64_t pinned = ThePinnedMemory().OnDevice(first, static_cast<size_t>(last - first) + copy.width_bytes);
  if (pinned != 0) host = reinterpret_cast<Host>(pinned - static_cast<uint64_t>(first - place.base));
  return pinned != 0;
}

// Host to host, once the stream has come to it.
CUresult OnHost(const CUDA_MEMCPY3D& copy, CUstream stream) {
  if (const CUresult result = cuStreamSynchronize(stream); result != CUDA_SUCCESS) return result;
  const Place from = SourceOf(copy), to = TargetOf(copy);
  for (size_t z = 0; z < copy.depth; ++z)
    for (size_t y = 0; y < copy.height; ++y) std::memmove(to.Row(y, z), from.Row(y, z), copy.width_bytes);
  return CUDA_SUCCESS;
}

// Calls `block(part, slice, row, rows, column, bytes)` for pieces of one slice that each fit a staging chunk: as many
// whole rows as fit, or a part of a row that is longer. `part` is the copy with all but the host side narrowed to the
// piece.
template <typename Block>
CUresult ForEachPiece(const CUDA_MEMCPY3D& copy, Block block) {
  const size_t width = std::min<size_t>(copy.width_bytes, wire::kChunkBytes);
  const size_t rows = std::max<size_t>(1, wire::kChunkBytes / width);
  for (size_t z = 0; z < copy.depth; ++z)
    for (size_t y = 0; y < copy.height; y += rows)
      for (size_t x = 0; x < copy.width_bytes; x += width) {
        CUDA_MEMCPY3D part = copy;
        part.width_bytes = std::min(width, copy.width_bytes - x);
        part.height = std::min(rows, copy.height - y);
        part.depth = 1;
        // A pitch that CUDA would derive is derived from the whole copy, not from the piece.
        part.src_pitch = SourceOf(copy).pitch, part.dst_pitch = TargetOf(copy).pitch;
        part.src_height = SourceOf(copy).height, part.dst_height = TargetOf(copy).height;
        part.src_x_bytes += x, part.src_y += y, part.src_z += z;
        part.dst_x_bytes += x, part.dst_y += y, part.dst_z += z;
        if (const CUresult result = block(part, z, y, x); result != CUDA_SUCCESS) return result;
      }
  return CUDA_SUCCESS;
}

CUresult FromPageable(const CUDA_MEMCPY3D& copy, CUstream stream) {
  Channel& channel = *TheChannel();
  const Place from = SourceOf(copy);
  return ForEachPiece(copy, [&](CUDA_MEMCPY3D& part, size_t z, size_t y, size_t x) {
    const uint32_t chunk = channel.AcquireChunk();
    for (size_t row = 0; row < part.height; ++row)
      std::memcpy(channel.chunk_data(chunk) + row * part.width_bytes, from.Row(y + row, z) + x, part.width_bytes);
    channel.chunk(chunk).Arm();
    part.src_x_bytes = part.src_y = part.src_z = 0;
    part.src_host = nullptr;
    part.src_pitch = part.width_bytes;
    part.src_height = part.height;
    const CUresult result = PostCopy(part, stream, chunk);
    channel.ReleaseChunk(chunk);
    return result;
  });
}

CUresult ToPageable(const CUDA_MEMCPY3D& copy, CUstream stream) {
  Channel& channel = *TheChannel();
  const Place to = TargetOf(copy);
  return ForEachPiece(copy, [&](CUDA_MEMCPY3D& part, size_t z, size_t y, size_t x) {
    const uint32_t chunk = channel.AcquireChunk();
    channel.chunk(chunk).Arm();
    part.dst_x_bytes = part.dst_y = part.dst_z = 0;
    part.dst_host = nullptr;
    part.dst_pitch = part.width_bytes;
    part.dst_height = part.height;
    CUresult result = PostCopy(part, stream, chunk);
    if (result == CUDA_SUCCESS) result = channel.Wait(channel.chunk(chunk));
    if (result == CUDA_SUCCESS)
      for (size_t row = 0; row < part.height; ++row)
        std::memcpy(to.Row(y + row, z) + x, channel.chunk_data(chunk) + row * part.width_bytes, part.width_bytes);
    channel.ReleaseChunk(chunk);
    return result;
  });
}

// What CUDA refuses whatever the memory is like.
CUresult Check(const CUDA_MEMCPY3D& copy) {
  size_t bytes;  // a copy of more than the device has is refused before the host's side is read or written
  if (__builtin_mul_overflow(copy.width_bytes, copy.height, &bytes) ||
      __builtin_mul_overflow(bytes, copy.depth, &bytes) || bytes > Device().total_bytes)
    return CUDA_ERROR_INVALID_VALUE;
  const auto side = [&](int type, const void* host, CUdeviceptr device, CUarray array, size_t x, size_t pitch) {
    if (type < kHost || type > CU_MEMORYTYPE_UNIFIED) return false;
    if (type == CU_MEMORYTYPE_ARRAY) return IsA(wire::HandleKind::kArray, array);
    if (pitch != 0 && pitch < x + copy.width_bytes) return false;
    return type == kHost ? host != nullptr : device != 0;
  };
  const bool source =
      side(copy.src_memory_type, copy.src_host, copy.src_device, copy.src_array, copy.src_x_bytes, copy.src_pitch);
  const bool target =
      side(copy.dst_memory_type, copy.dst_host, copy.dst_device, copy.dst_array, copy.dst_x_bytes, copy.dst_pitch);
  return source && target ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

// Device memory within its allocation, from the first byte that is copied to the last.
CUresult CheckRanges(const CUDA_MEMCPY3D& copy, CUstream stream) {
  const auto side = [&](int type, CUdeviceptr device, const Place& place) {
    if (type != kDevice) return CUDA_SUCCESS;
    uint64_t slices, rows;
    if (__builtin_mul_overflow(place.height, place.z, &slices) ||
        __builtin_mul_overflow(place.height, copy.depth - 1, &rows))
      return CUDA_ERROR_INVALID_VALUE;
    const uint64_t first = (slices + place.y) * place.pitch + place.x;
    return CheckRange(device + first, RowBytes(place.pitch, copy.width_bytes, 1, rows + copy.height), stream);
  };
  const CUresult source = side(copy.src_memory_type, copy.src_device, SourceOf(copy));
  return source == CUDA_SUCCESS ? side(copy.dst_memory_type, copy.dst_device, TargetOf(copy)) : source;
}

CUresult Copy(CUDA_MEMCPY3D copy, CUstream stream, Until until) {
  if (const CUresult ready = ReadyOn(stream); ready != CUDA_SUCCESS) return ready;
  if (copy.width_bytes == 0 || copy.height == 0 || copy.depth == 0) return CUDA_SUCCESS;
  if (const CUresult checked = Check(copy); checked != CUDA_SUCCESS) return checked;
  Settle(copy.src_memory_type, copy.src_host, copy.src_device);
  Settle(copy.dst_memory_type, copy.dst_host, copy.dst_device);
  if (const CUresult outside = CheckRanges(copy, stream); outside != CUDA_SUCCESS) return outside;
  const bool from_host = copy.src_memory_type == kHost, to_host = copy.dst_memory_type == kHost;
  if (from_host && to_host) return OnHost(copy, stream);
  if (IsCapturing(stream)) return CaptureCopy(copy, stream);
  if (from_host && !ReachPinned(copy, SourceOf(copy), copy.src_host)) return FromPageable(copy, stream);
  if (to_host && !ReachPinned(copy, TargetOf(copy), copy.dst_host)) return ToPageable(copy, stream);
  const CUresult result = PostCopy(copy, stream, wire::kNoChunk);
  const bool waits = until == Until::kComplete && (from_host || to_host);
  return result == CUDA_SUCCESS && waits ? cuStreamSynchronize(stream) : result;
}

CUDA_MEMCPY3D Of(const CUDA_MEMCPY2D& flat) {
  CUDA_MEMCPY3D copy{};
  copy.src_x_bytes = flat.src_x_bytes, copy.src_y = flat.src_y, copy.src_memory_type = flat.src_memory_type;
  copy.src_host = flat.src_host, copy.src_device = flat.src_device, copy.src_array = flat.src_array;
  copy.src_pitch = flat.src_pitch;
  copy.dst_x_bytes = flat.dst_x_bytes, copy.dst_y = flat.dst_y, copy.dst_memory_type = flat.dst_memory_type;
  copy.dst_host = flat.dst_host, copy.dst_device = flat.dst_device, copy.dst_array = flat.dst_array;
  copy.dst_pitch = flat.dst_pitch;
  copy.width_bytes = flat.width_bytes, copy.height = flat.height, copy.depth = 1;
  return copy;
}

// The answer to a null description.
CUresult NoCopy(CUstream stream) {
  const CUresult ready = ReadyOn(stream);
  return ready == CUDA_SUCCESS ? CUDA_ERROR_INVALID_VALUE : ready;
}

CUresult Copy2D(const CUDA_MEMCPY2D* flat, CUstream stream, Until until) {
  return flat == nullptr ? NoCopy(stream) : Copy(Of(*flat), stream, until);
}
CUresult Copy3D(const CUDA_MEMCPY3D* copy, CUstream stream, Until until) {
  return copy == nullptr ? NoCopy(stream) : Copy(*copy, stream, until);
}

// A side of a copy of consecutive bytes.
struct Linear {
  int type;
  const void* host = nullptr;
  CUdeviceptr device = 0;
  CUarray array = nullptr;
  size_t offset = 0;
};

CUresult CopyLinear(const Linear& to, const Linear& from, size_t bytes, CUstream stream, Until until) {
  CUDA_MEMCPY3D copy{};
  copy.src_memory_type = from.type, copy.src_host = from.host, copy.src_device = from.device;
  copy.src_array = from.array, copy.src_x_bytes = from.offset;
  copy.dst_memory_type = to.type, copy.dst_host = const_cast<void*>(to.host), copy.dst_device = to.device;
  copy.dst_array = to.array, copy.dst_x_bytes = to.offset;
  copy.width_bytes = bytes, copy.height = 1, copy.depth = 1;
  return Copy(copy, stream, until);
}

Linear Array(CUarray array, size_t offset) {
  return {.type = CU_MEMORYTYPE_ARRAY, .array = array, .offset = offset};
}
Linear HostMemory(const void* host) {
  return {.type = kHost, .host = host};
}
Linear DeviceAddress(CUdeviceptr device) {
  return {.type = kDevice, .device = device};
}

// One device: a copy between its contexts is a copy. Null means the current one.
CUresult CheckPeers(CUcontext to, CUcontext from, CUstream stream) {
  if (const CUresult ready = ReadyOn(stream); ready != CUDA_SUCCESS) return ready;
  for (CUcontext context : {to, from})
    if (context != nullptr && ResolveContext(context) != CUDA_SUCCESS) return CUDA_ERROR_INVALID_CONTEXT;
  return CUDA_SUCCESS;
}

CUresult Batch(const CUdeviceptr* dsts, const CUdeviceptr* srcs, const size_t* sizes, size_t count, size_t* failed,
               CUstream stream) {
  if (const CUresult ready = ReadyOn(stream); ready != CUDA_SUCCESS) return ready;
  if (dsts == nullptr || srcs == nullptr || sizes == nullptr || count == 0) return CUDA_ERROR_INVALID_VALUE;
  if (stream == nullptr || stream == CuStreamLegacy()) return CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < count; ++i) {
    const bool whole = dsts[i] != 0 && srcs[i] != 0;
    const CUresult result = whole ? cuMemcpyAsync(dsts[i], srcs[i], sizes[i], stream) : CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS) continue;
    if (failed != nullptr) *failed = i;
    return result;
  }
  return CUDA_SUCCESS;
}

}  // namespace

#define MIG_COPY(Name, Type, Function)                            \
  MIG_EXPORT CUresult cuMemcpy##Name(const Type* copy) {          \
    return Function(copy, nullptr, Until::kComplete);             \
  }                                                               \
  MIG_EXPORT CUresult cuMemcpy##Name##_ptds(const Type* copy) {   \
    return Function(copy, CuStreamPerThread(), Until::kComplete); \
  }
#define MIG_COPY_ASYNC(Name, Type, Function)                                     \
  MIG_EXPORT CUresult cuMemcpy##Name(const Type* copy, CUstream stream) {        \
    return Function(copy, stream, Until::kIssued);                               \
  }                                                                              \
  MIG_EXPORT CUresult cuMemcpy##Name##_ptsz(const Type* copy, CUstream stream) { \
    return Function(copy, PerThread(stream), Until::kIssued);                    \
  }
MIG_COPY(2D_v2, CUDA_MEMCPY2D, Copy2D)
MIG_COPY(2DUnaligned_v2, CUDA_MEMCPY2D, Copy2D)
MIG_COPY_ASYNC(2DAsync_v2, CUDA_MEMCPY2D, Copy2D)
MIG_COPY(3D_v2, CUDA_MEMCPY3D, Copy3D)
MIG_COPY_ASYNC(3DAsync_v2, CUDA_MEMCPY3D, Copy3D)
// CUDA_MEMCPY3D_PEER has its contexts where CUDA_MEMCPY3D has reserved members.
MIG_COPY(3DPeer, CUDA_MEMCPY3D, Copy3D)
MIG_COPY_ASYNC(3DPeerAsync, CUDA_MEMCPY3D, Copy3D)
#undef MIG_COPY
#undef MIG_COPY_ASYNC

MIG_EXPORT CUresult cuMemcpyPeer(CUdeviceptr dst, CUcontext to, CUdeviceptr src, CUcontext from, size_t bytes) {
  const CUresult checked = CheckPeers(to, from, nullptr);
  return checked == CUDA_SUCCESS ? cuMemcpy(dst, src, bytes) : checked;
}
MIG_EXPORT CUresult cuMemcpyPeer_ptds(CUdeviceptr dst, CUcontext to, CUdeviceptr src, CUcontext from, size_t bytes) {
  if (const CUresult checked = CheckPeers(to, from, nullptr); checked != CUDA_SUCCESS) return checked;
  if (const CUresult result = cuMemcpyAsync(dst, src, bytes, CuStreamPerThread()); result != CUDA_SUCCESS)
    return result;
  return cuStreamSynchronize(CuStreamPerThread());
}
MIG_EXPORT CUresult cuMemcpyPeerAsync(CUdeviceptr dst, CUcontext to, CUdeviceptr src, CUcontext from, size_t bytes,
                                      CUstream stream) {
  const CUresult checked = CheckPeers(to, from, stream);
  return checked == CUDA_SUCCESS ? cuMemcpyAsync(dst, src, bytes, stream) : checked;
}
MIG_EXPORT CUresult cuMemcpyPeerAsync_ptsz(CUdeviceptr dst, CUcontext to, CUdeviceptr src, CUcontext from, size_t bytes,
                                           CUstream stream) {
  return cuMemcpyPeerAsync(dst, to, src, from, bytes, PerThread(stream));
}

MIG_EXPORT CUresult cuMemcpyBatchAsync(CUdeviceptr* dsts, CUdeviceptr* srcs, size_t* sizes, size_t count, void*,
                                       size_t*, size_t, size_t* failed, CUstream stream) {
  return Batch(dsts, srcs, sizes, count, failed, stream);
}
MIG_EXPORT CUresult cuMemcpyBatchAsync_ptsz(CUdeviceptr* dsts, CUdeviceptr* srcs, size_t* sizes, size_t count, void*,
                                            size_t*, size_t, size_t* failed, CUstream stream) {
  return Batch(dsts, srcs, sizes, count, failed, PerThread(stream));
}
MIG_EXPORT CUresult cuMemcpyBatchAsync_v2(CUdeviceptr* dsts, CUdeviceptr* srcs, size_t* sizes, size_t count, void*,
                                          size_t*, size_t, CUstream stream) {
  return Batch(dsts, srcs, sizes, count, nullptr, stream);
}
MIG_EXPORT CUresult cuMemcpyBatchAsync_v2_ptsz(CUdeviceptr* dsts, CUdeviceptr* srcs, size_t* sizes, size_t count, void*,
                                               size_t*, size_t, CUstream stream) {
  return Batch(dsts, srcs, sizes, count, nullptr, PerThread(stream));
}

#define MIG_ARRAY_COPY(Name, Parameters, to, from)                             \
  MIG_EXPORT CUresult cuMemcpy##Name##_v2 Parameters {                         \
    return CopyLinear(to, from, bytes, nullptr, Until::kComplete);             \
  }                                                                            \
  MIG_EXPORT CUresult cuMemcpy##Name##_v2_ptds Parameters {                    \
    return CopyLinear(to, from, bytes, CuStreamPerThread(), Until::kComplete); \
  }
MIG_ARRAY_COPY(DtoA, (CUarray dst, size_t offset, CUdeviceptr src, size_t bytes), Array(dst, offset),
               DeviceAddress(src))
MIG_ARRAY_COPY(AtoD, (CUdeviceptr dst, CUarray src, size_t offset, size_t bytes), DeviceAddress(dst),
               Array(src, offset))
MIG_ARRAY_COPY(HtoA, (CUarray dst, size_t offset, const void* src, size_t bytes), Array(dst, offset), HostMemory(src))
MIG_ARRAY_COPY(AtoH, (void* dst, CUarray src, size_t offset, size_t bytes), HostMemory(dst), Array(src, offset))
MIG_ARRAY_COPY(AtoA, (CUarray dst, size_t offset, CUarray src, size_t src_offset, size_t bytes), Array(dst, offset),
               Array(src, src_offset))
#undef MIG_ARRAY_COPY

MIG_EXPORT CUresult cuMemcpyHtoAAsync_v2(CUarray dst, size_t offset, const void* src, size_t bytes, CUstream stream) {
  return CopyLinear(Array(dst, offset), HostMemory(src), bytes, stream, Until::kIssued);
}
MIG_EXPORT CUresult cuMemcpyHtoAAsync_v2_ptsz(CUarray dst, size_t offset, const void* src, size_t bytes,
                                              CUstream stream) {
  return cuMemcpyHtoAAsync_v2(dst, offset, src, bytes, PerThread(stream));
}
MIG_EXPORT CUresult cuMemcpyAtoHAsync_v2(void* dst, CUarray src, size_t offset, size_t bytes, CUstream stream) {
  return CopyLinear(HostMemory(dst), Array(src, offset), bytes, stream, Until::kIssued);
}
MIG_EXPORT CUresult cuMemcpyAtoHAsync_v2_ptsz(void* dst, CUarray src, size_t offset, size_t bytes, CUstream stream) {
  return cuMemcpyAtoHAsync_v2(dst, src, offset, bytes, PerThread(stream));
}

}  // namespace mignificient::client
