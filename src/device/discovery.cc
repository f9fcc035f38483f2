#include <algorithm>
#include <cstdlib>

#include "device/nvml.h"

namespace mignificient::device {
namespace {

// "NVIDIA H100 80GB HBM3 MIG 3g.40gb" -> "3g.40gb". A compute instance smaller than its GPU instance is
// "1c.3g.40gb". Without a name: the size alone.
std::string Profile(const MigDevice& device) {
  const size_t space = device.name.rfind(' ');
  std::string last = space == std::string::npos ? device.name : device.name.substr(space + 1);
  return last.find("g.") != std::string::npos ? last : fmt::format("{}g", device.slices);
}

Result<std::vector<Instance>> Instances(Nvml& nvml, uint32_t index) {
  MIG_ASSIGN(const std::vector<MigDevice> devices, nvml.MigDevices(index));
  // Only root may ask for them; everything else is there without.
  const auto placed = nvml.GpuInstances(index);
  std::vector<Instance> instances;
  for (const MigDevice& device : devices) {
    Instance& instance = instances.emplace_back(Instance{.uuid = device.uuid,
                                                         .mig_size = fmt::format("{}g", device.slices),
                                                         .instance_size = Profile(device),
                                                         .memory_mib = device.memory_mib,
                                                         .compute_units = device.multiprocessors,
                                                         .gpu_instance = device.gpu_instance,
                                                         .compute_instance = device.compute_instance});
    if (!placed) continue;
    const auto found = std::ranges::find(*placed, device.gpu_instance, &GpuInstance::id);
    if (found != placed->end()) instance.placement = found->placement;
  }
  return instances;
}

Result<Gpu> Describe(Nvml& nvml, uint32_t index) {
  MIG_ASSIGN(GpuIdentity identity, nvml.Gpu(index));
  Gpu gpu{.uuid = std::move(identity.uuid),
          .index = index,
          .name = std::move(identity.name),
          .memory_mib = identity.memory_mib,
          .compute_capability = std::move(identity.compute_capability),
          .driver = nvml.driver(),
          .pci_bus_id = std::move(identity.pci_bus_id)};
  MIG_ASSIGN(gpu.mig, nvml.Mode(index));
  if (gpu.mig && gpu.mig->current) {
    MIG_ASSIGN(gpu.instances, Instances(nvml, index));
  }
  return gpu;
}

std::string Variable(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody changes the environment
  return value == nullptr ? "" : value;
}

}  // namespace

Result<Inventory> DiscoverWith(Nvml& nvml) {
  Inventory inventory;
  MIG_ASSIGN(const std::string version, nvml.DriverVersion());
  MIG_ASSIGN(const uint32_t count, nvml.GpuCount());
  for (uint32_t index = 0; index < count; ++index) {
    auto gpu = Describe(nvml, index);
    if (gpu) {
      gpu->driver_version = version;
      inventory.gpus.push_back(std::move(*gpu));
    } else if (gpu.error().code() == Code::kUnavailable) {
      inventory.troubles.push_back(fmt::format("GPU {} cannot be used: {}", index, gpu.error().message()));
    } else {
      return std::unexpected(std::move(gpu).error());
    }
  }
  return inventory;
}

Discovery DiscoveryFromEnvironment(Preference preference) {
  return {preference, Variable("MIGNIFICIENT_NVML"), Variable("MIGNIFICIENT_SOFTWARE_GPUS")};
}

Result<Inventory> Discover(const Discovery& discovery) {
  if (discovery.preference == Preference::kCpu && discovery.nvml.empty())
    return ParseSoftwareGpus(discovery.software_gpus);
  const bool automatic = discovery.preference == Preference::kAutomatic && discovery.nvml.empty();
  const auto nvml = OpenNvml(discovery.nvml);
  if (!nvml) {
    if (automatic && nvml.error().code() == Code::kUnavailable) return ParseSoftwareGpus(discovery.software_gpus);
    return std::unexpected(nvml.error());
  }
  MIG_ASSIGN(Inventory inventory, DiscoverWith(**nvml));
  if (!inventory.gpus.empty() || !inventory.troubles.empty()) return inventory;
  if (automatic) return ParseSoftwareGpus(discovery.software_gpus);
  return Fail(Code::kUnavailable, "The NVIDIA driver finds no GPU that functions can run on.");
}

}  // namespace mignificient::device
