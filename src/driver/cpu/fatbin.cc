#include "driver/cpu/fatbin.h"

#include <lz4.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <tuple>

namespace mignificient::cpu {
namespace {

using abi::FatbinEntry;

std::string WithoutPadding(const std::byte* data, size_t bytes) {
  const auto* text = reinterpret_cast<const char*>(data);
  return std::string(text, strnlen(text, bytes));
}

// Orders entries from worst to best for a device.
auto Preference(const FatbinEntry& entry, uint32_t device_sm) {
  const bool runs = entry.sm <= device_sm;
  const int64_t closeness = runs ? int64_t{entry.sm} : -int64_t{entry.sm};
  const bool plain = (entry.flags & FatbinEntry::kFlagArchitectureSpecific) == 0;
  return std::tuple(runs, closeness, plain);
}

Result<std::string> BestPtx(std::span<const std::byte> fatbin, uint32_t sm) {
  MIG_ASSIGN(const auto entries, abi::FatbinEntries(fatbin));
  const FatbinEntry* best = nullptr;
  for (const auto& entry : entries) {
    if (entry.kind != FatbinEntry::kPtx) continue;
    if (best == nullptr || Preference(entry, sm) > Preference(*best, sm)) best = &entry;
  }
  if (best == nullptr) {
    return Fail(Code::kNotFound, "Fat binary has no PTX among its ({}) entries: build with code=compute_NN.",
                entries.size());
  }
  return Decompress(*best);
}

// nvcc -rdc=true leaves the linked code as ELF and the PTX in the objects it came from. One object with PTX needs no
// linking; several would, and we do not link PTX.
Result<std::string> PrelinkedPtx(const abi::Image& image, uint32_t sm) {
  std::string found;
  for (const auto& object : image.prelinked) {
    auto ptx = BestPtx(object, sm);
    if (!ptx && ptx.error().code() == Code::kNotFound) continue;
    if (!ptx) return ptx;
    if (!found.empty()) {
      return Fail(
          Code::kUnsupported,
          "Fat binary was linked from ({}) relocatable objects; the software GPU does not link PTX: build without "
          "-rdc=true.",
          image.prelinked.size());
    }
    found = std::move(*ptx);
  }
  if (found.empty()) return Fail(Code::kNotFound, "Neither the fat binary nor its objects have PTX.");
  return found;
}

}  // namespace

Result<std::string> Decompress(const FatbinEntry& entry) {
  const bool lz4 = (entry.flags & FatbinEntry::kFlagLz4) != 0;
  const bool zstd = (entry.flags & FatbinEntry::kFlagZstd) != 0;
  if (!lz4 && !zstd) return WithoutPadding(entry.payload.data(), entry.payload.size());
  if (entry.compressed_bytes > std::min<uint64_t>(entry.payload.size(), kMaxPtxBytes) ||
      entry.plain_bytes > kMaxPtxBytes) {
    return Fail(Code::kInvalidArgument, "Compressed entry claims ({}) of ({}) bytes, ({}) unpacked, limit ({}).",
                entry.compressed_bytes, entry.payload.size(), entry.plain_bytes, kMaxPtxBytes);
  }
  std::string plain(entry.plain_bytes, '\0');
  const auto* source = reinterpret_cast<const char*>(entry.payload.data());
  size_t written = 0;
  if (zstd) {
    written = ZSTD_decompress(plain.data(), plain.size(), source, entry.compressed_bytes);
    if (ZSTD_isError(written)) {
      return Fail(Code::kInvalidArgument, "zstd cannot unpack the entry: {}.", ZSTD_getErrorName(written));
    }
  } else {
    const int unpacked = LZ4_decompress_safe(source, plain.data(), static_cast<int>(entry.compressed_bytes),
                                             static_cast<int>(plain.size()));
    if (unpacked < 0) return Fail(Code::kInvalidArgument, "LZ4 cannot unpack the entry ({}).", unpacked);
    written = static_cast<size_t>(unpacked);
  }
  plain.resize(std::min(written, strnlen(plain.data(), written)));
  return plain;
}

Result<std::string> ExtractPtx(const abi::Image& image, uint32_t sm) {
  switch (image.kind) {
    case abi::ImageKind::kPtx:
      return WithoutPadding(image.bytes.data(), image.bytes.size());
    case abi::ImageKind::kElf:
      return Fail(Code::kNotFound, "Image is machine code (ELF) without PTX, which the software GPU cannot run.");
    case abi::ImageKind::kFatbin: {
      auto ptx = BestPtx(image.bytes, sm);
      if (ptx || ptx.error().code() != Code::kNotFound || image.prelinked.empty()) return ptx;
      return PrelinkedPtx(image, sm);
    }
  }
  return Fail(Code::kInternal, "Image kind ({}) is unknown.", static_cast<int>(image.kind));
}

}  // namespace mignificient::cpu
