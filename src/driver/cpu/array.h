// CUDA arrays: memory that is addressed by coordinates, through copies, textures and surfaces alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "abi/array.h"
#include "driver/cpu/exec/texture.h"
#include "driver/cpu/memory.h"

namespace mignificient::cpu {

inline constexpr unsigned kArrayLayered = 1, kArraySurface = 2, kArrayCubemap = 4, kArrayGather = 8;

// Elements in rows without gaps, rows in slices without gaps. Layers are slices.
struct Array {
  CUDA_ARRAY3D_DESCRIPTOR description{};
  uint64_t address = 0;  // of device memory; never given to programs
  uint32_t element_bytes = 0;
  size_t rows = 1;                    // at least 1, whatever the dimensions
  size_t slices = 1;                  // depth, or layers
  CUmipmappedArray memory = nullptr;  // what it is a part of, in Context::array_memory

  size_t row_bytes() const { return description.width * element_bytes; }
  size_t slice_bytes() const { return row_bytes() * rows; }
  size_t bytes() const { return slice_bytes() * slices; }
};

// One level, or all levels of a mipmapped array, in one piece of device memory.
class ArrayMemory {
 public:
  // CUDA_ERROR_INVALID_VALUE for a description that CUDA refuses, CUDA_ERROR_NOT_SUPPORTED for a format or kind that
  // is not offered, CUDA_ERROR_OUT_OF_MEMORY.
  static CUresult Create(DeviceMemory& memory, const CUDA_ARRAY3D_DESCRIPTOR& description, unsigned levels,
                         std::shared_ptr<ArrayMemory>* created);

  const std::vector<std::shared_ptr<Array>>& levels() const { return levels_; }
  uint64_t bytes() const { return bytes_; }

  // Once, before it is dropped. Later uses of its arrays fail as uses of freed memory do.
  void Free(DeviceMemory& memory, const DeviceMemory::Drain& drain) { memory.Free(address_, drain); }

  std::vector<CUarray> handles;  // of the levels, where they have been given out
  bool mipmapped = false;        // made as such: its levels end with it alone

 private:
  std::vector<std::shared_ptr<Array>> levels_;
  uint64_t address_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace mignificient::cpu
