// The PTX inside what cuModuleLoadData receives: PTX text itself, or the best entry of a fat binary, decompressed.
//
// nvcc compresses payloads with zstd (default) or as an LZ4 block (`--compress-mode=speed`).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "abi/fatbin.h"
#include "abi/image.h"
#include "base/result.h"

namespace mignificient::cpu {

// PTX is text that nvcc wrote; this bounds what a hostile compressed entry can make us allocate.
inline constexpr uint64_t kMaxPtxBytes = uint64_t{256} << 20;

// The payload without compression and padding.
Result<std::string> Decompress(const abi::FatbinEntry& entry);

// PTX text to compile for a device of compute capability `sm`: of a fat binary the newest entry that is not newer than
// the device, else the oldest that is newer. kNotFound where the image has no PTX.
Result<std::string> ExtractPtx(const abi::Image& image, uint32_t sm);

}  // namespace mignificient::cpu
