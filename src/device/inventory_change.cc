#include "device/inventory_change.h"

#include <algorithm>
#include <tuple>

namespace mignificient::device {
namespace {

auto Essence(const Partition& p) {
  return std::tie(p.gpu_uuid, p.mig_size, p.instance_size, p.memory_mib, p.compute_units, p.driver);
}

}  // namespace

InventoryChange Compare(const Inventory& before, const Inventory& now) {
  InventoryChange change;
  const std::vector<Partition> old = Partitions(before);
  std::vector<Partition> fresh = Partitions(now);
  for (const Partition& partition : old) {
    const auto found = std::ranges::find(fresh, partition.uuid, &Partition::uuid);
    if (found == fresh.end()) {
      change.vanished.push_back(partition);
      continue;
    }
    if (Essence(*found) != Essence(partition)) change.changed.emplace_back(partition, *found);
    fresh.erase(found);
  }
  change.appeared = std::move(fresh);
  return change;
}

}  // namespace mignificient::device
