// Copies between pageable memory of the program and the device, through the staging chunks of the channel: the DMA of
// one part overlaps the copying of the next, and large copies are copied by several threads (copy_crew.h). In pieces of
// at most wire::kChunkBytes; the calling thread has checked the arguments.
#pragma once

#include <cstddef>
#include <cstdint>

#include "abi/cuda.h"

namespace mignificient::client {

// Returns once `src` may be changed, with the DMA of all parts issued on `stream` (as the server knows it).
CUresult StageToDevice(CUdeviceptr dst, const std::byte* src, size_t bytes, uint64_t stream);

// Returns once all bytes are at `dst`. What was issued on `stream` before is complete then.
CUresult StageToHost(std::byte* dst, CUdeviceptr src, size_t bytes, uint64_t stream);

}  // namespace mignificient::client
