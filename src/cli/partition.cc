#include "cli/partition.h"

#include <fmt/ranges.h>

#include <vector>

namespace mignificient::cli {

Result<device::Inventory> ReadOrDiscover(const std::string& devices_file) {
  return devices_file.empty() ? device::Discover(device::DiscoveryFromEnvironment())
                              : device::ReadInventory(devices_file);
}

Result<device::Partition> FindPartition(const device::Inventory& inventory, std::string_view instance) {
  std::vector<std::string> names;
  for (const device::Partition& partition : device::Partitions(inventory)) {
    if (instance == "any" || instance == partition.uuid || instance == partition.mig_size ||
        instance == partition.instance_size)
      return partition;
    names.push_back(fmt::format("{} ({})", partition.instance_size, partition.uuid));
  }
  if (names.empty()) return Fail(Code::kNotFound, "There is no GPU, and no partition of one.");
  return Fail(Code::kNotFound, "Instance ({}) is not there (allowed: any, or one of {}).", instance,
              fmt::join(names, ", "));
}

std::string DeviceArgument(const device::Partition& partition) {
  return partition.driver == device::Driver::kCpu ? std::to_string(partition.ordinal) : partition.uuid;
}

}  // namespace mignificient::cli
