// What a program hands to cuModuleLoadData and cuLibraryLoadData, and how long it is.
//
// CUDA gives only a pointer. It leads to one of: a fat binary wrapper (magic 0x466243b1, which points to a fat binary),
// a fat binary (0xba55ed50), an ELF image, or PTX text that ends with a zero byte. The length is found from the
// image's own headers. Used by the libcuda shim to copy an image, and by the software GPU to read one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace mignificient::abi {

inline constexpr uint32_t kFatbinWrapperMagic = 0x466243b1;
inline constexpr uint32_t kFatbinMagic = 0xba55ed50;
inline constexpr uint32_t kFatbinHeaderBytes = 16;

enum class ImageKind { kFatbin, kElf, kPtx };

struct Image {
  ImageKind kind = ImageKind::kPtx;
  std::span<const std::byte> bytes;  // whole image; PTX includes its zero byte. Belongs to the caller.
  // Only behind a wrapper of version 2 (nvcc -rdc=true): the fat binaries of the objects that were linked into `bytes`,
  // which itself then usually has no PTX.
  std::vector<std::span<const std::byte>> prelinked;
};

// Follows `image` as CUDA does and believes its headers: for images of our own process only.
// kInvalidArgument where it is none of the four.
Result<Image> FindImage(const void* image);

// The same for bytes of another process: nothing outside `bytes` is read, no pointer in it is followed (a wrapper
// is refused), and an image that claims to be longer is refused.
Result<Image> FindImage(std::span<const std::byte> bytes);

// Total bytes of the image `image` leads to; behind a wrapper, of the fat binary it points to.
Result<uint64_t> ImageSize(const void* image);

}  // namespace mignificient::abi
