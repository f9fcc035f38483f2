// Copies of two and three dimensions, arrays, textures, tensor maps.

#include <cstring>

#include "remoting/server/connection.h"

namespace mignificient::server {
namespace {

wire::ActivityKind CopyKind(const CUDA_MEMCPY3D& copy) {
  const auto is_host = [](int type) { return type == static_cast<int>(CU_MEMORYTYPE_HOST); };
  return is_host(copy.src_memory_type)   ? wire::ActivityKind::kCopyIn
         : is_host(copy.dst_memory_type) ? wire::ActivityKind::kCopyOut
                                         : wire::ActivityKind::kCopyDevice;
}

}  // namespace

bool Connection::DispatchArray(wire::Command command, uint16_t slot, std::span<const std::byte> body) {
  using enum wire::Command;
  if (command == kCopy3D) {
    const auto* copy = Body<wire::Copy3DBody>(body);
    return copy != nullptr ? Copy3D(slot, *copy) : Misuse("Copy command is too short.");
  }
  if (slot == wire::kNoReply) return Misuse("Array command asks for no reply.");
  waits_.Pin();
  switch (command) {
    case kArrayCreate:
      if (const auto* create = Body<wire::ArrayCreateBody>(body)) return CreateArray(slot, *create);
      break;
    case kArrayPart:
      if (const auto* part = Body<wire::ArrayPartBody>(body)) return GetArrayPart(slot, *part);
      break;
    case kArrayDestroy:
      if (const auto* handle = Body<wire::HandleBody>(body)) return DestroyArray(slot, handle->handle);
      break;
    case kTextureCreate:
      if (const auto* create = Body<wire::TextureCreateBody>(body)) return CreateTexture(slot, *create);
      break;
    case kTextureDestroy:
      if (const auto* destroy = Body<wire::TextureDestroyBody>(body)) return DestroyTexture(slot, *destroy);
      break;
    default:
      if (body.size() < sizeof(wire::TensorMapBody)) break;
      wire::TensorMapBody map;  // more strictly aligned than what lies in a command
      std::memcpy(&map, body.data(), sizeof map);
      return EncodeTensorMap(slot, map);
  }
  return Misuse("Array command is too short.");
}

// --- Copies ---------------------------------------------------------------------------------------------------------

bool Connection::HostSideAllowed(const CUDA_MEMCPY3D& copy, const std::byte* base, uint64_t bytes) const {
  const auto side = [&](int type, const void* host, CUdeviceptr unified, size_t x, size_t y, size_t z, size_t pitch,
                        size_t height) {
    const bool is_host = type == static_cast<int>(CU_MEMORYTYPE_HOST);
    if (!is_host && type != CU_MEMORYTYPE_UNIFIED) return true;
    const uint64_t start = is_host ? reinterpret_cast<uint64_t>(host) : unified;
    if (!is_host && start - window_->base() < window_->bytes()) return true;
    if (copy.width_bytes == 0 || copy.height == 0 || copy.depth == 0) return true;
    // How far the copy reaches from `start`, in wider arithmetic than any of its factors can overflow.
    using Wide = unsigned __int128;
    constexpr Wide kFar = Wide{1} << 62;
    const Wide row = pitch != 0 ? pitch : Wide{x} + copy.width_bytes;
    const Wide rows = height != 0 ? height : Wide{y} + copy.height;
    if (Wide{z} + copy.depth >= kFar || rows >= kFar || row >= kFar) return false;
    const Wide slices = (Wide{z} + copy.depth - 1) * rows;
    if (slices >= kFar || Wide{y} + copy.height >= kFar) return false;
    const Wide last_row = slices + y + copy.height - 1;
    if (row * last_row >= kFar) return false;
    const Wide reach = row * last_row + x + copy.width_bytes;
    if (reach >= kFar) return false;
    if (base == nullptr) return InPinned(start, static_cast<uint64_t>(reach));
    const uint64_t offset = start - reinterpret_cast<uint64_t>(base);
    return offset <= bytes && reach <= bytes - offset;
  };
  return side(copy.src_memory_type, copy.src_host, copy.src_device, copy.src_x_bytes, copy.src_y, copy.src_z,
              copy.src_pitch, copy.src_height) &&
         side(copy.dst_memory_type, copy.dst_host, copy.dst_device, copy.dst_x_bytes, copy.dst_y, copy.dst_z,
              copy.dst_pitch, copy.dst_height);
}

bool Connection::ResolveArrays(CUDA_MEMCPY3D& copy) {
  const auto resolve = [this](int type, CUarray& name) {
    return type != CU_MEMORYTYPE_ARRAY || ResolveArray(reinterpret_cast<uint64_t>(name), name);
  };
  return resolve(copy.src_memory_type, copy.src_array) && resolve(copy.dst_memory_type, copy.dst_array);
}

bool Connection::Copy3D(uint16_t slot, const wire::Copy3DBody& body) {
  CUDA_MEMCPY3D copy = body.copy;
  const bool staged = body.chunk != wire::kNoChunk;
  if (staged && body.chunk >= wire::kStagingChunks) return Misuse("Chunk is out of range.");
  std::byte* base = nullptr;
  if (staged) {
    base = region_.data() + wire::kChunkOffset + uint64_t{body.chunk} * wire::kChunkBytes;
    constexpr int kHost = static_cast<int>(CU_MEMORYTYPE_HOST);
    const auto rebase = [&](auto* address) { return base + reinterpret_cast<uint64_t>(address) % wire::kChunkBytes; };
    if (copy.src_memory_type == kHost) copy.src_host = rebase(copy.src_host);
    if (copy.dst_memory_type == kHost) copy.dst_host = rebase(copy.dst_host);
  }
  const uint64_t bytes = copy.width_bytes * copy.height * copy.depth;
  if (!PassGate(ClassOfCopy(bytes))) return false;
  waits_.Pin();
  CUstream stream = nullptr;
  CUresult result = CUDA_SUCCESS;
  if (!ResolveStream(body.stream, stream)) result = CUDA_ERROR_INVALID_HANDLE;
  if (result == CUDA_SUCCESS && !ResolveArrays(copy)) result = CUDA_ERROR_INVALID_VALUE;
  if (result == CUDA_SUCCESS && !HostSideAllowed(copy, base, wire::kChunkBytes)) result = CUDA_ERROR_INVALID_VALUE;
  if (result == CUDA_SUCCESS && staged) result = staging_.Pin(body.chunk);
  if (result == CUDA_SUCCESS) {
    TouchedStream(stream);
    Observe({CopyKind(copy), stream, bytes});
    result = driver().cuMemcpy3DAsync_v2(&copy, stream);
  }
  if (!staged) {
    Answer(slot, result);
    return true;
  }
  ring::Completion& completion = header().chunks[body.chunk];
  const bool from_host = copy.src_memory_type == static_cast<int>(CU_MEMORYTYPE_HOST);
  if (result == CUDA_SUCCESS) {
    waits_.AddStream(completion, stream, from_host ? Waits::Purpose::kRoom : Waits::Purpose::kAnswer);
    return true;
  }
  if (from_host) Defer(result);  // nobody waits for that chunk
  NoteSticky(result);
  completion.Finish(result);
  return true;
}

// --- Arrays ---------------------------------------------------------------------------------------------------------

bool Connection::ResolveArray(uint64_t name, CUarray& out) {
  const Array* array = arrays_.Find(name);
  if (array != nullptr) out = array->array;
  return array != nullptr;
}

bool Connection::ResolveMipmappedArray(uint64_t name, CUmipmappedArray& out) {
  const MipmappedArray* array = mipmapped_arrays_.Find(name);
  if (array != nullptr) out = array->array;
  return array != nullptr;
}

bool Connection::CreateArray(uint16_t slot, const wire::ArrayCreateBody& body) {
  if (!AwaitSettled()) return false;
  if (arrays_.full() || mipmapped_arrays_.full()) return AnswerName(slot, CUDA_ERROR_OUT_OF_MEMORY, 0);
  CUarray array = nullptr;
  CUmipmappedArray mipmapped = nullptr;
  CUDA_ARRAY_MEMORY_REQUIREMENTS needs{};
  CUresult result;
  if (body.levels == 0) {
    result = driver().cuArray3DCreate_v2(&array, &body.description);
    // What the driver cannot tell the size of (sparse arrays) has no memory of its own.
    if (result == CUDA_SUCCESS) driver().cuArrayGetMemoryRequirements(&needs, array, device_.ordinal);
  } else {
    result = driver().cuMipmappedArrayCreate(&mipmapped, &body.description, body.levels);
    if (result == CUDA_SUCCESS) driver().cuMipmappedArrayGetMemoryRequirements(&needs, mipmapped, device_.ordinal);
  }
  if (result != CUDA_SUCCESS) return AnswerName(slot, result, 0);
  const auto bytes_of = [&] {  // where the driver tells nothing: at least what the elements take
    const auto& it = body.description;
    constexpr uint64_t kLargestElement = 16;
    return std::max<uint64_t>(it.width, 1) * std::max<uint64_t>(it.height, 1) * std::max<uint64_t>(it.depth, 1) *
           kLargestElement;
  };
  const uint64_t charge = needs.bytes != 0 ? needs.bytes : bytes_of();
  if (!Session::Take(session_->mapped_bytes, charge, session_->budget_bytes)) {
    if (array != nullptr) driver().cuArrayDestroy(array);
    if (mipmapped != nullptr) driver().cuMipmappedArrayDestroy(mipmapped);
    return AnswerName(slot, CUDA_ERROR_OUT_OF_MEMORY, 0);
  }
  return AnswerName(slot, CUDA_SUCCESS,
                    array != nullptr ? *arrays_.Add({array, 0, charge}) : *mipmapped_arrays_.Add({mipmapped, charge}));
}

bool Connection::GetArrayPart(uint16_t slot, const wire::ArrayPartBody& body) {
  CUarray whole = nullptr, part = nullptr;
  CUmipmappedArray mipmapped = nullptr;
  CUresult result = CUDA_ERROR_INVALID_HANDLE;
  const auto index = static_cast<unsigned>(body.index);
  if (ResolveMipmappedArray(body.whole, mipmapped))
    result = driver().cuMipmappedArrayGetLevel(&part, mipmapped, index);
  else if (ResolveArray(body.whole, whole))
    result = driver().cuArrayGetPlane(&part, whole, index);
  if (result != CUDA_SUCCESS) return AnswerName(slot, result, 0);
  const uint64_t known = arrays_.NameIf([&](const Array& each) { return each.array == part; });
  if (known != 0) return AnswerName(slot, result, known);
  return AnswerName(slot, result, arrays_.Add({part, body.whole, 0}).value_or(0));
}

bool Connection::DestroyArray(uint16_t slot, uint64_t name) {
  CUresult result = CUDA_ERROR_INVALID_HANDLE;
  uint64_t charge = 0;
  if (const Array* array = arrays_.Find(name)) {
    // A level or plane goes with the whole.
    result = array->whole != 0 ? CUDA_ERROR_INVALID_HANDLE : driver().cuArrayDestroy(array->array);
    charge = array->charge;
    if (result == CUDA_SUCCESS) arrays_.Remove(name);
  } else if (const MipmappedArray* mipmapped = mipmapped_arrays_.Find(name)) {
    result = driver().cuMipmappedArrayDestroy(mipmapped->array);
    charge = mipmapped->charge;
    if (result == CUDA_SUCCESS) mipmapped_arrays_.Remove(name);
  }
  if (result == CUDA_SUCCESS) {
    arrays_.RemoveIf([name](const Array& each) { return each.whole == name; });
    session_->mapped_bytes.fetch_sub(charge, std::memory_order_relaxed);
  }
  Answer(slot, result);
  return true;
}

void Connection::DestroyArrays() {
  for (const auto& [kind, value] : textures_)
    kind == wire::TextureKind::kTexture ? driver().cuTexObjectDestroy(value) : driver().cuSurfObjectDestroy(value);
  textures_.clear();
  uint64_t charged = 0;
  arrays_.RemoveIf([&](const Array& each) {
    charged += each.charge;
    if (each.whole == 0) driver().cuArrayDestroy(each.array);
    return true;
  });
  mipmapped_arrays_.RemoveIf([&](const MipmappedArray& each) {
    charged += each.charge;
    driver().cuMipmappedArrayDestroy(each.array);
    return true;
  });
  session_->mapped_bytes.fetch_sub(charged, std::memory_order_relaxed);
}

// --- Textures and tensor maps ---------------------------------------------------------------------------------------

bool Connection::CreateTexture(uint16_t slot, const wire::TextureCreateBody& body) {
  constexpr size_t kTextureLimit = 1 << 20;
  CUDA_RESOURCE_DESC resource = body.resource;
  bool known = textures_.size() < kTextureLimit;
  if (resource.type == CU_RESOURCE_TYPE_ARRAY)
    known = known && ResolveArray(reinterpret_cast<uint64_t>(resource.resource.array), resource.resource.array);
  else if (resource.type == CU_RESOURCE_TYPE_MIPMAPPED_ARRAY)
    known = known && ResolveMipmappedArray(reinterpret_cast<uint64_t>(resource.resource.mipmapped_array),
                                           resource.resource.mipmapped_array);
  if (!known) return AnswerName(slot, CUDA_ERROR_INVALID_VALUE, 0);
  unsigned long long value = 0;
  const CUresult result =
      body.kind == wire::TextureKind::kTexture
          ? driver().cuTexObjectCreate(&value, &resource, &body.texture, body.has_view != 0 ? &body.view : nullptr)
          : driver().cuSurfObjectCreate(&value, &resource);
  if (result == CUDA_SUCCESS) textures_.emplace(body.kind, value);
  const wire::HandleBody reply{value};
  Answer(slot, result, std::as_bytes(std::span(&reply, 1)));
  return true;
}

bool Connection::DestroyTexture(uint16_t slot, const wire::TextureDestroyBody& body) {
  CUresult result = CUDA_ERROR_INVALID_VALUE;
  if (textures_.erase({body.kind, body.value}) > 0)
    result = body.kind == wire::TextureKind::kTexture ? driver().cuTexObjectDestroy(body.value)
                                                      : driver().cuSurfObjectDestroy(body.value);
  Answer(slot, result);
  return true;
}

bool Connection::EncodeTensorMap(uint16_t slot, const wire::TensorMapBody& body) {
  CUtensorMap map = body.map;
  void* address = reinterpret_cast<void*>(body.address);
  CUresult result = CUDA_ERROR_INVALID_VALUE;
  if (body.rank > wire::kMaxTensorRank) {
    Answer(slot, result);
    return true;
  }
  switch (body.kind) {
    case wire::TensorMapKind::kTiled:
      result = driver().cuTensorMapEncodeTiled(&map, body.data_type, body.rank, address, body.dims, body.strides,
                                               body.box, body.element_strides, body.interleave, body.swizzle,
                                               body.l2_promotion, body.fill);
      break;
    case wire::TensorMapKind::kIm2col:
      result = driver().cuTensorMapEncodeIm2col(&map, body.data_type, body.rank, address, body.dims, body.strides,
                                                body.lower, body.upper, body.channels_per_pixel, body.pixels_per_column,
                                                body.element_strides, body.interleave, body.swizzle, body.l2_promotion,
                                                body.fill);
      break;
    case wire::TensorMapKind::kIm2colWide:
      result = driver().cuTensorMapEncodeIm2colWide(&map, body.data_type, body.rank, address, body.dims, body.strides,
                                                    body.lower[0], body.upper[0], body.channels_per_pixel,
                                                    body.pixels_per_column, body.element_strides, body.interleave,
                                                    body.mode, body.swizzle, body.l2_promotion, body.fill);
      break;
    case wire::TensorMapKind::kReplaceAddress:
      result = driver().cuTensorMapReplaceAddress(&map, address);
      break;
  }
  Answer(slot, result, std::as_bytes(std::span(&map, 1)));
  return true;
}

}  // namespace mignificient::server
