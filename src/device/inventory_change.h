// What became of the partitions between two looks at the devices.
#pragma once

#include <utility>
#include <vector>

#include "device/inventory.h"

namespace mignificient::device {

struct InventoryChange {
  std::vector<Partition> appeared;
  std::vector<Partition> vanished;
  std::vector<std::pair<Partition, Partition>>
      changed;  // same UUID, but another size, memory, GPU or driver: before, now

  bool Empty() const { return appeared.empty() && vanished.empty() && changed.empty(); }
};

// Partitions are the same by UUID; their order and ordinals do not count.
InventoryChange Compare(const Inventory& before, const Inventory& now);

}  // namespace mignificient::device
