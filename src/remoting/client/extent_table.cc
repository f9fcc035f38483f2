#include "remoting/client/extent_table.h"

#include <new>

namespace mignificient::client {

ExtentTable::ExtentTable(Extent window) : base_(window.address), bytes_(window.bytes) {
  const uint64_t blocks = (bytes_ + kBlockBytes - 1) / kBlockBytes;
  // Pages of the system's that are zero, which is what an empty Root is, and are there once they are written.
  roots_.reset(static_cast<Root*>(std::calloc(blocks, sizeof(Root))));
  if (roots_ == nullptr) throw std::bad_alloc();
  occupied_.resize((blocks + 63) / 64);
}

std::optional<Extent> ExtentTable::FindInEarlierBlock(uint64_t block, uint64_t address) const {
  uint64_t word = block / 64;
  uint64_t occupied = occupied_[word] & (Bit(block) - 1);
  while (occupied == 0) {
    if (word == 0) return std::nullopt;
    occupied = occupied_[--word];
  }
  const uint64_t before = word * 64 + Highest(occupied);
  const Root& root = roots_[before];
  const uint64_t unit = LastUnit(root.block, kUnits - 1);
  return Within(before, unit, unit == 0 ? root.first_bytes : root.block->bytes[unit], address);
}

}  // namespace mignificient::client
