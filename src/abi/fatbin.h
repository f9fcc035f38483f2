// What is inside a fat binary: a header { u32 magic, u16 version, u16 header_bytes, u64 bytes that follow } and
// entries, each a header and a payload, one for each architecture that nvcc was asked for.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "abi/image.h"
#include "base/result.h"

namespace mignificient::abi {

// One entry, as its header describes it. The spans lie in the fat binary.
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
  std::span<const std::byte> whole;    // with its header
};

// Every entry of one fat binary; kinds unknown to us are listed too. kInvalidArgument for a malformed one.
Result<std::vector<FatbinEntry>> FatbinEntries(std::span<const std::byte> fatbin);

// An image as pieces to be put one behind the other, without the machine code that no device of compute capability
// `major`.x can run: code for one major version runs on no other. Of libcublas 13.0, 30 % is left then.
// An image of which nothing would be left, or that is not a fat binary we understand, is one piece, as it is.
class DevicePieces {
 public:
  DevicePieces(const Image& image, uint32_t major);
  DevicePieces(const DevicePieces&) = delete;
  DevicePieces& operator=(const DevicePieces&) = delete;

  // Valid as long as the image, and this.
  const std::vector<std::span<const std::byte>>& pieces() const { return pieces_; }
  size_t bytes() const;

 private:
  std::array<std::byte, kFatbinHeaderBytes> header_{};
  std::vector<std::span<const std::byte>> pieces_;
};

}  // namespace mignificient::abi
