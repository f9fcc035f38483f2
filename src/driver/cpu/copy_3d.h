// Copies of up to three dimensions between host memory, device memory and arrays, as CUDA_MEMCPY3D describes them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "driver/cpu/device.h"

namespace mignificient::cpu {

struct CopySide {
  uint64_t begin = 0;  // of the first byte copied
  size_t row_pitch = 0;
  size_t slice_pitch = 0;
  size_t bytes = 0;      // from `begin` to behind the last byte copied
  bool on_host = false;  // not reached by kernels
};

struct Copy3D {
  CopySide dst, src;
  size_t width_bytes = 0, height = 0, depth = 0;
  bool empty() const { return width_bytes == 0 || height == 0 || depth == 0; }
};

// Resolves and checks what a program asks for: CUDA_ERROR_INVALID_VALUE for memory that is not there or a part that
// does not fit, CUDA_ERROR_INVALID_HANDLE for an array that does not exist.
CUresult Resolve(Context& context, const CUDA_MEMCPY3D& asked, Copy3D* copy);

// Runs it now. What kernels reach must still be there, or it is the device's fault: CUDA_ERROR_ILLEGAL_ADDRESS.
void Execute(Context& context, const Copy3D& copy);

// A row of bytes, as the entry points for one dimension state it.
CUDA_MEMCPY3D LinearCopy(int dst_type, uint64_t dst, int src_type, uint64_t src, size_t bytes);

}  // namespace mignificient::cpu
