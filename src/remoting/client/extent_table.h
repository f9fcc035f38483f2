// Extents of a range of addresses, none of which overlaps another: put in, taken out and found by any address within in
// a few instructions each, and without allocating, however many there are. Not thread-safe.
//
// Addresses are multiples of 512, a unit. 4096 units are a block, which has a bit for each unit where an extent begins,
// and its bytes; whatever begins with a block is kept outside of it, so that memory that is only divided into large
// extents needs no blocks at all.
#pragma once

#include <bit>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <vector>

namespace mignificient::client {

struct Extent {
  uint64_t address = 0;
  uint64_t bytes = 0;
  bool operator==(const Extent&) const = default;
};

class ExtentTable {
 public:
  static constexpr uint64_t kUnitBytes = 512;

  // For extents within `window`.
  explicit ExtentTable(Extent window);

  // `extent` is not empty, begins at a multiple of 512 in the window, and overlaps none.
  void Insert(Extent extent) {
    const Place place = PlaceOf(extent.address);
    Root& root = roots_[place.block];
    occupied_[place.block / 64] |= Bit(place.block);
    ++count_;
    if (place.unit == 0) {
      root.first_bytes = extent.bytes;
      return;
    }
    if (root.block == nullptr) [[unlikely]]
      root.block = blocks_.emplace_back(new Block{}).get();
    Block& block = *root.block;
    block.any |= Bit(place.unit / 64);
    block.begins[place.unit / 64] |= Bit(place.unit);
    block.bytes[place.unit] = extent.bytes;
  }

  // Takes out the extent that begins at `address`, and returns its bytes. 0: none begins there.
  uint64_t Erase(uint64_t address) {
    if (address - base_ >= bytes_ || address % kUnitBytes != 0) return 0;
    const Place place = PlaceOf(address);
    Root& root = roots_[place.block];
    uint64_t bytes = 0;
    if (place.unit == 0) {
      bytes = root.first_bytes;
      root.first_bytes = 0;
    } else if (root.block != nullptr && (root.block->begins[place.unit / 64] & Bit(place.unit)) != 0) {
      Block& block = *root.block;
      bytes = block.bytes[place.unit];
      block.begins[place.unit / 64] &= ~Bit(place.unit);
      if (block.begins[place.unit / 64] == 0) block.any &= ~Bit(place.unit / 64);
    }
    if (bytes == 0) return 0;
    --count_;
    if (root.first_bytes == 0 && (root.block == nullptr || root.block->any == 0))
      occupied_[place.block / 64] &= ~Bit(place.block);
    return bytes;
  }

  // The extent that contains `address`.
  std::optional<Extent> Find(uint64_t address) const {
    if (address - base_ >= bytes_) return std::nullopt;
    const Place place = PlaceOf(address);
    const Root& root = roots_[place.block];
    if (const uint64_t unit = LastUnit(root.block, place.unit); unit != 0)
      return Within(place.block, unit, root.block->bytes[unit], address);
    if (root.first_bytes != 0) return Within(place.block, 0, root.first_bytes, address);
    return FindInEarlierBlock(place.block, address);
  }

  bool empty() const { return count_ == 0; }

 private:
  static constexpr uint64_t kUnits = 4096, kBlockBytes = kUnits * kUnitBytes;

  struct Block {
    uint64_t any = 0;                   // which words of `begins` are not 0
    uint64_t begins[kUnits / 64] = {};  // never unit 0
    uint64_t bytes[kUnits] = {};        // by unit, where one begins
  };
  struct Root {
    uint64_t first_bytes;  // of the extent that begins with the block; 0: none
    Block* block;          // null: none begins elsewhere in it, or ever has
  };
  struct Place {
    uint64_t block;
    uint64_t unit;
  };
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };

  static uint64_t Bit(uint64_t number) { return uint64_t{1} << (number % 64); }
  // The highest bit that is set in `word`, which is not 0.
  static uint64_t Highest(uint64_t word) { return 63 - static_cast<uint64_t>(std::countl_zero(word)); }

  Place PlaceOf(uint64_t address) const {
    const uint64_t unit = (address - base_) / kUnitBytes;
    return {unit / kUnits, unit % kUnits};
  }
  std::optional<Extent> Within(uint64_t block, uint64_t unit, uint64_t bytes, uint64_t address) const {
    const Extent extent{base_ + (block * kUnits + unit) * kUnitBytes, bytes};
    if (address - extent.address >= bytes) return std::nullopt;
    return extent;
  }
  // The last unit of the block, at `unit` or before it, where an extent begins; 0: none, or the first.
  static uint64_t LastUnit(const Block* block, uint64_t unit) {
    if (block == nullptr) return 0;
    const uint64_t word = unit / 64;
    uint64_t begins = block->begins[word] & (~uint64_t{0} >> (63 - unit % 64));
    if (begins != 0) return word * 64 + Highest(begins);
    const uint64_t before = block->any & (Bit(word) - 1);
    if (before == 0) return 0;
    return Highest(before) * 64 + Highest(block->begins[Highest(before)]);
  }
  std::optional<Extent> FindInEarlierBlock(uint64_t block, uint64_t address) const;

  const uint64_t base_;
  const uint64_t bytes_;
  uint64_t count_ = 0;
  std::unique_ptr<Root[], Free> roots_;  // zero pages until they are used
  std::vector<uint64_t> occupied_;       // a bit for each block where some extent begins
  std::vector<std::unique_ptr<Block>> blocks_;
};

}  // namespace mignificient::client
