// The PTX inside what cuModuleLoadData receives: PTX text itself, or the best entry of a fat binary, decompressed.
//
// A fat binary is a header { u32 magic, u16 version, u16 header_bytes, u64 bytes that follow } and entries, each a
// header and a payload; nvcc compresses payloads with zstd (default) or as an LZ4 block (`--compress-mode=speed`).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "abi/image.h"
#include "base/result.h"

namespace mignificient::cpu {

// PTX is text that nvcc wrote; this bounds what a hostile compressed entry can make us allocate.
inline constexpr uint64_t kMaxPtxBytes = uint64_t{256} << 20;

// One payload of a fat binary, as its header describes it. `payload` lies in the fat binary.
struct FatbinEntry {
  static constexpr uint16_t kPtx = 1;
  static constexpr uint16_t kElf = 2;
  static constexpr uint64_t kFlagLz4 = 0x2000;
  static constexpr uint64_t kFlagZstd = 0x8000;
  static constexpr uint64_t kFlagArchitectureSpecific = 0x100000;  // sm_90a and the like

  uint16_t kind = 0;
  uint32_t sm = 0;  // 90 for compute capability 9.0
  uint64_t flags = 0;
  uint32_t compressed_bytes = 0;       // 0: not compressed
  uint64_t plain_bytes = 0;            // 0: not compressed
  std::span<const std::byte> payload;  // with padding
};

// Every entry of one fat binary; kinds unknown to us are listed too. kInvalidArgument for a malformed one.
Result<std::vector<FatbinEntry>> FatbinEntries(std::span<const std::byte> fatbin);

// The payload without compression and padding.
Result<std::string> Decompress(const FatbinEntry& entry);

// PTX text to compile for a device of compute capability `sm`: of a fat binary the newest entry that is not newer than
// the device, else the oldest that is newer. kNotFound where the image has no PTX.
Result<std::string> ExtractPtx(const abi::Image& image, uint32_t sm);

}  // namespace mignificient::cpu
