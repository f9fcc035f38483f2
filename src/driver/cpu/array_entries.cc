// Arrays: made, described, destroyed. What is in them moves by copies (copy_entries.cc).
#include <algorithm>
#include <bit>

#include "driver/cpu/array.h"
#include "driver/cpu/entries.h"

namespace mignificient::cpu {
namespace {

// The memory of a new array, registered; `levels` as asked for.
CUresult Make(Context& context, const CUDA_ARRAY3D_DESCRIPTOR& description, unsigned levels, bool mipmapped,
              CUmipmappedArray* handle, std::shared_ptr<ArrayMemory>* made) {
  const CUresult created = ArrayMemory::Create(context.device().memory(), description, levels, made);
  if (created != CUDA_SUCCESS) return created;
  (*made)->mipmapped = mipmapped;
  *handle = context.array_memory.Add(*made);
  for (const auto& level : (*made)->levels()) level->memory = *handle;
  return CUDA_SUCCESS;
}

void Destroy(Context& context, CUmipmappedArray handle) {
  const auto memory = context.array_memory.Remove(handle);
  for (const CUarray level : memory->handles) context.arrays.Remove(level);
  context.scheduler().WaitAll();  // copies and kernels that were issued before may use it
  memory->Free(context.device().memory(), context.drain());
}

CUresult Array3DCreate(CUarray* handle, const CUDA_ARRAY3D_DESCRIPTOR* description) {
  return InContext([&](Context& context) {
    if (handle == nullptr || description == nullptr) return CUDA_ERROR_INVALID_VALUE;
    CUmipmappedArray whole = nullptr;
    std::shared_ptr<ArrayMemory> memory;
    const CUresult made = Make(context, *description, 1, false, &whole, &memory);
    if (made == CUDA_SUCCESS) *handle = memory->handles[0] = context.arrays.Add(memory->levels()[0]);
    return made;
  });
}

CUresult ArrayDestroy(CUarray handle) {
  return InContext([&](Context& context) {
    const auto array = context.arrays.Find(handle);
    if (array == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    const auto memory = context.array_memory.Find(array->memory);
    if (memory == nullptr || memory->mipmapped) return CUDA_ERROR_INVALID_HANDLE;
    Destroy(context, array->memory);
    return CUDA_SUCCESS;
  });
}

template <typename Body>
CUresult WithArray(CUarray handle, Body&& body) {
  return InContext([&](Context& context) {
    const auto array = context.arrays.Find(handle);
    return array == nullptr ? CUDA_ERROR_INVALID_HANDLE : body(*array);
  });
}

CUresult Array3DGetDescriptor(CUDA_ARRAY3D_DESCRIPTOR* description, CUarray handle) {
  return WithArray(handle, [&](const Array& array) {
    if (description == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *description = array.description;
    return CUDA_SUCCESS;
  });
}

CUresult ArrayGetDescriptor(CUDA_ARRAY_DESCRIPTOR* description, CUarray handle) {
  return WithArray(handle, [&](const Array& array) {
    if (description == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *description = {array.description.width, array.description.height, array.description.format,
                    array.description.channels};
    return CUDA_SUCCESS;
  });
}

// Formats of several planes are not offered.
CUresult ArrayGetPlane(CUarray* plane, CUarray handle, unsigned) {
  return WithArray(handle, [&](const Array&) {
    (void)plane;
    return CUDA_ERROR_INVALID_VALUE;
  });
}

// For arrays whose memory is mapped by the program; those are not offered.
CUresult ArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS*, CUarray handle, CUdevice) {
  return WithArray(handle, [&](const Array&) { return CUDA_ERROR_INVALID_VALUE; });
}

CUresult MipmappedArrayCreate(CUmipmappedArray* handle, const CUDA_ARRAY3D_DESCRIPTOR* description, unsigned levels) {
  return InContext([&](Context& context) {
    if (handle == nullptr || description == nullptr || levels == 0) return CUDA_ERROR_INVALID_VALUE;
    const bool layers = (description->flags & (kArrayLayered | kArrayCubemap)) != 0;
    size_t size = std::max(description->width, description->height);
    if (!layers) size = std::max(size, description->depth);
    const auto most = static_cast<unsigned>(std::bit_width(size));
    std::shared_ptr<ArrayMemory> memory;
    return Make(context, *description, std::min(levels, std::max(most, 1u)), true, handle, &memory);
  });
}

template <typename Body>
CUresult WithMipmappedArray(CUmipmappedArray handle, Body&& body) {
  return InContext([&](Context& context) {
    const auto memory = context.array_memory.Find(handle);
    return memory == nullptr || !memory->mipmapped ? CUDA_ERROR_INVALID_HANDLE : body(context, *memory);
  });
}

CUresult MipmappedArrayDestroy(CUmipmappedArray handle) {
  return WithMipmappedArray(handle, [&](Context& context, ArrayMemory&) {
    Destroy(context, handle);
    return CUDA_SUCCESS;
  });
}

CUresult MipmappedArrayGetLevel(CUarray* level, CUmipmappedArray handle, unsigned index) {
  return WithMipmappedArray(handle, [&](Context& context, ArrayMemory& memory) {
    if (level == nullptr || index >= memory.levels().size()) return CUDA_ERROR_INVALID_VALUE;
    CUarray& known = memory.handles[index];
    if (known == nullptr) known = context.arrays.Add(memory.levels()[index]);
    *level = known;
    return CUDA_SUCCESS;
  });
}

CUresult MipmappedArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS*, CUmipmappedArray handle, CUdevice) {
  return WithMipmappedArray(handle, [](Context&, ArrayMemory&) { return CUDA_ERROR_INVALID_VALUE; });
}

// The same for every format: texels are read from ordinary memory.
CUresult DeviceGetTexture1DLinearMaxWidth(size_t* width, int format, unsigned channels, CUdevice device) {
  if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
  return InContext([&](Context&) {
    if (width == nullptr || !ChannelBytes(format) || (channels != 1 && channels != 2 && channels != 4))
      return CUDA_ERROR_INVALID_VALUE;
    constexpr size_t kMaxWidth = size_t{1} << 28;
    *width = kMaxWidth;
    return CUDA_SUCCESS;
  });
}

}  // namespace

void FillArrayEntries(DriverTable& table) {
  table.cuArray3DCreate_v2 = Array3DCreate;
  table.cuArrayDestroy = ArrayDestroy;
  table.cuArray3DGetDescriptor_v2 = Array3DGetDescriptor;
  table.cuArrayGetDescriptor_v2 = ArrayGetDescriptor;
  table.cuArrayGetPlane = ArrayGetPlane;
  table.cuArrayGetMemoryRequirements = ArrayGetMemoryRequirements;
  table.cuMipmappedArrayCreate = MipmappedArrayCreate;
  table.cuMipmappedArrayDestroy = MipmappedArrayDestroy;
  table.cuMipmappedArrayGetLevel = MipmappedArrayGetLevel;
  table.cuMipmappedArrayGetMemoryRequirements = MipmappedArrayGetMemoryRequirements;
  table.cuDeviceGetTexture1DLinearMaxWidth = DeviceGetTexture1DLinearMaxWidth;
}

}  // namespace mignificient::cpu
