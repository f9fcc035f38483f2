#include "device/inventory.h"
#include "device/nvml.h"

namespace mignificient::device {
namespace {

// "NVIDIA H100 80GB HBM3 MIG 3g.40gb" -> "3g.40gb". A compute instance smaller than its GPU instance is
// "1c.3g.40gb". Without a name: the size alone.
std::string Profile(const Nvml::InstanceIdentity& identity) {
  const size_t space = identity.name.rfind(' ');
  std::string last = space == std::string::npos ? identity.name : identity.name.substr(space + 1);
  return last.find("g.") != std::string::npos ? last : fmt::format("{}g", identity.slices);
}

Result<std::vector<Instance>> Instances(Nvml& nvml, uint32_t index) {
  std::vector<Instance> instances;
  MIG_ASSIGN(const uint32_t slots, nvml.InstanceSlots(index));
  for (uint32_t slot = 0; slot < slots; ++slot) {
    MIG_ASSIGN(const std::optional<Nvml::InstanceIdentity> found, nvml.InstanceAt(index, slot));
    if (!found) continue;
    instances.push_back(
        {found->uuid, fmt::format("{}g", found->slices), Profile(*found), found->memory_mib, found->multiprocessors});
  }
  return instances;
}

}  // namespace

Result<Inventory> DiscoverWith(Nvml& nvml) {
  Inventory inventory;
  MIG_ASSIGN(const uint32_t count, nvml.GpuCount());
  for (uint32_t index = 0; index < count; ++index) {
    MIG_ASSIGN(Nvml::Identity identity, nvml.Gpu(index));
    Gpu gpu{.uuid = std::move(identity.uuid),
            .index = index,
            .name = std::move(identity.name),
            .memory_mib = identity.memory_mib};
    MIG_ASSIGN(gpu.compute_capability, nvml.ComputeCapability(index));
    MIG_ASSIGN(const bool mig, nvml.MigEnabled(index));
    if (mig) {
      MIG_ASSIGN(gpu.instances, Instances(nvml, index));
      if (gpu.instances.empty()) continue;  // MIG mode without instances: nothing can run on it
    }
    inventory.gpus.push_back(std::move(gpu));
  }
  return inventory;
}

// Shaped as an H100 whose MIG instances 3g and 4g have 60 and 64 multiprocessors, with a laptop's memory.
Inventory SoftwareInventory() {
  return {
      {Gpu{.uuid = "GPU-software-0",
           .name = "MIGnificient software GPU",
           .memory_mib = 7168,
           .compute_capability = "9.0",
           .driver = Driver::kCpu,
           .instances = {{"MIG-software-0", "3g", "3g.3gb", 3072, 60}, {"MIG-software-1", "4g", "4g.4gb", 4096, 64}}}}};
}

Result<Inventory> Discover(Preference preference) {
  if (preference == Preference::kCpu) return SoftwareInventory();
  const auto nvml = OpenNvml();
  if (!nvml) {
    if (preference == Preference::kAutomatic && nvml.error().code() == Code::kUnavailable) return SoftwareInventory();
    return std::unexpected(nvml.error());
  }
  MIG_ASSIGN(Inventory inventory, DiscoverWith(**nvml));
  if (!inventory.gpus.empty()) return inventory;
  if (preference == Preference::kAutomatic) return SoftwareInventory();
  return Fail(Code::kUnavailable, "The NVIDIA driver finds no GPU that functions can run on.");
}

}  // namespace mignificient::device
