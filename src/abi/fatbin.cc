#include "abi/fatbin.h"

#include <cstring>

namespace mignificient::abi {
namespace {

// The part of an entry's header that we read; the file's header may be longer (its own length says so).
struct EntryHeader {
  uint16_t kind;
  uint16_t version;
  uint32_t header_bytes;
  uint64_t payload_bytes;  // padded to 8
  uint32_t compressed_bytes;
  uint32_t options_offset;
  uint16_t minor;  // of the PTX language
  uint16_t major;
  uint32_t sm;
  uint32_t unused[2];
  uint64_t flags;
  uint64_t unused_too;
  uint64_t plain_bytes;
};
static_assert(sizeof(EntryHeader) == 64);

uint16_t HeaderBytes(const Image& fatbin) {
  uint16_t bytes = 0;
  std::memcpy(&bytes, fatbin.bytes.data() + 6, sizeof(bytes));
  return bytes;
}

bool RunsOn(const FatbinEntry& entry, uint32_t major) {
  return entry.kind != FatbinEntry::kElf || entry.sm / 10 == major;
}

}  // namespace

Result<std::vector<FatbinEntry>> FatbinEntries(std::span<const std::byte> fatbin) {
  MIG_ASSIGN(const auto image, FindImage(fatbin));
  if (image.kind != ImageKind::kFatbin) return Fail(Code::kInvalidArgument, "Image is not a fat binary.");
  std::vector<FatbinEntry> entries;
  for (auto rest = image.bytes.subspan(HeaderBytes(image)); !rest.empty();) {
    EntryHeader header;
    if (rest.size() < sizeof(header)) {
      return Fail(Code::kInvalidArgument, "Fat binary entry ({}) has ({}) bytes, its header needs ({}).",
                  entries.size(), rest.size(), sizeof(header));
    }
    std::memcpy(&header, rest.data(), sizeof(header));
    if (header.header_bytes < sizeof(header) || header.header_bytes > rest.size() ||
        header.payload_bytes > rest.size() - header.header_bytes) {
      return Fail(Code::kInvalidArgument, "Fat binary entry ({}) claims ({}) + ({}) bytes, ({}) are there.",
                  entries.size(), header.header_bytes, header.payload_bytes, rest.size());
    }
    entries.push_back({.kind = header.kind,
                       .sm = header.sm,
                       .flags = header.flags,
                       .compressed_bytes = header.compressed_bytes,
                       .plain_bytes = header.plain_bytes,
                       .payload = rest.subspan(header.header_bytes, header.payload_bytes),
                       .whole = rest.first(header.header_bytes + header.payload_bytes)});
    rest = rest.subspan(header.header_bytes + header.payload_bytes);
  }
  return entries;
}

DevicePieces::DevicePieces(const Image& image, uint32_t major) : pieces_{image.bytes} {
  if (image.kind != ImageKind::kFatbin || HeaderBytes(image) != kFatbinHeaderBytes) return;
  const auto entries = FatbinEntries(image.bytes);
  if (!entries) return;
  std::vector<std::span<const std::byte>> kept;
  uint64_t kept_bytes = 0;
  for (const FatbinEntry& entry : *entries) {
    if (!RunsOn(entry, major)) continue;
    kept.push_back(entry.whole);
    kept_bytes += entry.whole.size();
  }
  if (kept.empty() || kept.size() == entries->size()) return;
  std::memcpy(header_.data(), image.bytes.data(), header_.size());
  std::memcpy(header_.data() + 8, &kept_bytes, sizeof(kept_bytes));
  kept.insert(kept.begin(), std::span<const std::byte>(header_));
  pieces_ = std::move(kept);
}

size_t DevicePieces::bytes() const {
  size_t sum = 0;
  for (const auto& piece : pieces_) sum += piece.size();
  return sum;
}

}  // namespace mignificient::abi
