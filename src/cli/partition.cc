#include "cli/partition.h"

#include <fmt/ranges.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

namespace mignificient::cli {
namespace {

// Only where the NVIDIA driver is.
constexpr const char* kDriverDevice = "/dev/nvidiactl";

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

}  // namespace

std::string FirstVisible(const char* list) {
  if (list == nullptr) return "0";
  const std::string_view all(list);
  return std::string(all.substr(0, all.find(',')));
}

Result<DeviceChoice> ChooseFrom(const device::Inventory& inventory, std::string_view instance) {
  MIG_ASSIGN(const device::Partition partition, FindPartition(inventory, instance));
  const std::string driver(device::DriverName(partition.driver));
  if (partition.driver == device::Driver::kCpu)
    return DeviceChoice{driver, std::to_string(partition.ordinal), "", partition.memory_mib};
  return DeviceChoice{driver, partition.uuid, partition.uuid, std::nullopt};
}

Result<DeviceChoice> ChooseDevice(std::string_view instance, const std::string& devices_file) {
  const device::Discovery discovery = device::DiscoveryFromEnvironment();
  std::error_code error;
  if (instance == "any" && devices_file.empty() && discovery.nvml.empty() &&
      std::filesystem::exists(kDriverDevice, error)) {
    const char* list = std::getenv("CUDA_VISIBLE_DEVICES");  // NOLINT(concurrency-mt-unsafe): one thread
    return DeviceChoice{"cuda", "0", FirstVisible(list), std::nullopt};
  }
  MIG_ASSIGN(const device::Inventory inventory,
             devices_file.empty() ? device::Discover(discovery) : device::ReadInventory(devices_file));
  return ChooseFrom(inventory, instance);
}

}  // namespace mignificient::cli
