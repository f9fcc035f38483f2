#include "abi/image.h"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <limits>

namespace mignificient::abi {
namespace {

constexpr uint64_t kUnbounded = std::numeric_limits<uint64_t>::max();
constexpr uint64_t kMaxImageBytes = uint64_t{1} << 36;  // no real image comes near; sums below cannot wrap
constexpr size_t kMaxPrelinked = 1 << 16;

struct Wrapper {
  uint32_t magic;
  uint32_t version;  // 1: data alone; 2: data was linked from the objects in `prelinked`
  const void* data;
  const void* const* prelinked;  // ends with a null pointer
};

// `limit` is how many bytes may be read from `image` on: the end of a peer's buffer, or kUnbounded.
template <typename T>
Result<T> ReadAt(const std::byte* image, uint64_t limit, uint64_t offset) {
  if (offset > limit || limit - offset < sizeof(T)) {
    return Fail(Code::kInvalidArgument, "Image ends at byte ({}), inside a header at ({}).", limit, offset);
  }
  T value;
  std::memcpy(&value, image + offset, sizeof(T));
  return value;
}

Result<uint64_t> Bounded(uint64_t bytes, uint64_t limit) {
  const uint64_t most = std::min(limit, kMaxImageBytes);
  if (bytes > most) return Fail(Code::kInvalidArgument, "Image claims ({}) bytes, limit ({}).", bytes, most);
  return bytes;
}

Result<uint64_t> FatbinSize(const std::byte* image, uint64_t limit) {
  MIG_ASSIGN(const auto header_bytes, ReadAt<uint16_t>(image, limit, 6));
  MIG_ASSIGN(const auto payload_bytes, ReadAt<uint64_t>(image, limit, 8));
  if (header_bytes < kFatbinHeaderBytes) {
    return Fail(Code::kInvalidArgument, "Fat binary header is ({}) bytes, at least ({}) expected.", header_bytes,
                kFatbinHeaderBytes);
  }
  MIG_TRY(Bounded(payload_bytes, kMaxImageBytes));
  return Bounded(header_bytes + payload_bytes, limit);
}

// The end of the furthest table, segment or section: an ELF file does not say its own length.
Result<uint64_t> ElfSize(const std::byte* image, uint64_t limit) {
  MIG_ASSIGN(const auto header, ReadAt<Elf64_Ehdr>(image, limit, 0));
  if (header.e_ident[EI_CLASS] != ELFCLASS64) return Fail(Code::kInvalidArgument, "ELF image is not 64-bit.");
  if ((header.e_shnum != 0 && header.e_shentsize != sizeof(Elf64_Shdr)) ||
      (header.e_phnum != 0 && header.e_phentsize != sizeof(Elf64_Phdr))) {
    return Fail(Code::kInvalidArgument, "ELF image has tables of an unknown shape.");
  }
  uint64_t end = sizeof(header);
  const auto extend = [&](uint64_t offset, uint64_t bytes) -> Result<void> {
    MIG_TRY(Bounded(offset, limit));
    MIG_TRY(Bounded(bytes, limit));
    MIG_TRY(Bounded(offset + bytes, limit));
    end = std::max(end, offset + bytes);
    return {};
  };
  if (header.e_shnum != 0) MIG_TRY(extend(header.e_shoff, uint64_t{header.e_shnum} * sizeof(Elf64_Shdr)));
  if (header.e_phnum != 0) MIG_TRY(extend(header.e_phoff, uint64_t{header.e_phnum} * sizeof(Elf64_Phdr)));
  for (uint64_t i = 0; i < header.e_shnum; ++i) {
    MIG_ASSIGN(const auto section, ReadAt<Elf64_Shdr>(image, limit, header.e_shoff + i * sizeof(Elf64_Shdr)));
    if (section.sh_type != SHT_NOBITS && section.sh_type != SHT_NULL) {
      MIG_TRY(extend(section.sh_offset, section.sh_size));
    }
  }
  for (uint64_t i = 0; i < header.e_phnum; ++i) {
    MIG_ASSIGN(const auto segment, ReadAt<Elf64_Phdr>(image, limit, header.e_phoff + i * sizeof(Elf64_Phdr)));
    if (segment.p_filesz != 0) MIG_TRY(extend(segment.p_offset, segment.p_filesz));
  }
  return end;
}

// Text is recognised by its first character: PTX begins with white space, a comment or a directive.
Result<uint64_t> PtxSize(const std::byte* image, uint64_t limit) {
  const uint64_t most = std::min(limit, kMaxImageBytes);
  const auto* text = reinterpret_cast<const char*>(image);
  const bool plausible = most > 0 && (std::strchr(" \t\r\n./", text[0]) != nullptr) && text[0] != '\0';
  if (!plausible) return Fail(Code::kInvalidArgument, "Image is no fat binary, no ELF and no PTX text.");
  const size_t length = limit == kUnbounded ? std::strlen(text) : strnlen(text, most);
  if (length >= most) return Fail(Code::kInvalidArgument, "PTX text has no zero byte within ({}) bytes.", most);
  return length + 1;
}

// Compares byte by byte, so that a short text is not read past its zero byte.
bool StartsWith(const std::byte* image, uint64_t limit, const void* magic) {
  for (size_t i = 0; i < 4; ++i) {
    if (i >= limit || image[i] != static_cast<const std::byte*>(magic)[i]) return false;
  }
  return true;
}

Result<Image> FindPlain(const std::byte* image, uint64_t limit) {
  Image found;
  Result<uint64_t> size = 0;
  if (StartsWith(image, limit, &kFatbinMagic)) {
    found.kind = ImageKind::kFatbin;
    size = FatbinSize(image, limit);
  } else if (StartsWith(image, limit, ELFMAG)) {
    found.kind = ImageKind::kElf;
    size = ElfSize(image, limit);
  } else {
    size = PtxSize(image, limit);
  }
  if (!size) return std::unexpected(std::move(size).error());
  found.bytes = {image, static_cast<size_t>(*size)};
  return found;
}

Result<Image> FindWrapped(const std::byte* image) {
  Wrapper wrapper;
  std::memcpy(&wrapper, image, sizeof(wrapper));
  if (wrapper.version != 1 && wrapper.version != 2) {
    return Fail(Code::kInvalidArgument, "Fat binary wrapper has version ({}), 1 or 2 expected.", wrapper.version);
  }
  if (wrapper.data == nullptr) return Fail(Code::kInvalidArgument, "Fat binary wrapper points to nothing.");
  MIG_ASSIGN(auto found, FindPlain(static_cast<const std::byte*>(wrapper.data), kUnbounded));
  if (wrapper.version == 1 || wrapper.prelinked == nullptr) return found;
  for (size_t i = 0; wrapper.prelinked[i] != nullptr; ++i) {
    if (i == kMaxPrelinked) return Fail(Code::kInvalidArgument, "More than ({}) prelinked fat binaries.", i);
    MIG_ASSIGN(const auto object, FindPlain(static_cast<const std::byte*>(wrapper.prelinked[i]), kUnbounded));
    found.prelinked.push_back(object.bytes);
  }
  return found;
}

}  // namespace

Result<Image> FindImage(const void* image) {
  if (image == nullptr) return Fail(Code::kInvalidArgument, "Image pointer is null.");
  const auto* bytes = static_cast<const std::byte*>(image);
  if (StartsWith(bytes, kUnbounded, &kFatbinWrapperMagic)) return FindWrapped(bytes);
  return FindPlain(bytes, kUnbounded);
}

Result<Image> FindImage(std::span<const std::byte> bytes) {
  if (StartsWith(bytes.data(), bytes.size(), &kFatbinWrapperMagic)) {
    return Fail(Code::kInvalidArgument, "A fat binary wrapper holds pointers and cannot come from another process.");
  }
  return FindPlain(bytes.data(), bytes.size());
}

Result<uint64_t> ImageSize(const void* image) {
  MIG_ASSIGN(const auto found, FindImage(image));
  return found.bytes.size();
}

}  // namespace mignificient::abi
