#include "device/mig_state.h"

#include <algorithm>

namespace mignificient::device {
namespace {

Result<ProfileTable> ReadTable(Nvml& nvml, uint32_t gpu) {
  MIG_ASSIGN(std::vector<GpuProfile> profiles, nvml.Profiles(gpu));
  ProfileTable table;
  for (GpuProfile& profile : profiles) {
    MIG_ASSIGN(std::vector<Placement> placements, nvml.Placements(gpu, profile.id));
    table.push_back({std::move(profile), std::move(placements)});
  }
  return table;
}

Result<MigInstance> ReadInstance(Nvml& nvml, uint32_t gpu, const GpuInstance& found,
                                 const std::vector<GpuProcess>& processes) {
  MigInstance instance{.id = found.id, .profile_id = found.profile_id, .placement = found.placement};
  MIG_ASSIGN(const auto profiles, nvml.ComputeProfiles(gpu, found.id));
  MIG_ASSIGN(const auto compute, nvml.ComputeInstances(gpu, found.id));
  for (const ComputeInstance& one : compute) {
    const auto profile = std::ranges::find(profiles, one.profile_id, &ComputeProfile::id);
    instance.compute.push_back(profile == profiles.end() ? one.placement.size : profile->slices);
  }
  std::ranges::sort(instance.compute, std::greater());
  instance.busy = std::ranges::any_of(processes, [&](const GpuProcess& p) { return p.gpu_instance == found.id; });
  return instance;
}

}  // namespace

Result<GpuMig> ReadGpuMig(Nvml& nvml, uint32_t gpu) {
  GpuMig mig{.index = gpu};
  MIG_ASSIGN(mig.identity, nvml.Gpu(gpu));
  MIG_ASSIGN(mig.mode, nvml.Mode(gpu));
  if (!mig.mode) return mig;
  MIG_ASSIGN(mig.processes, nvml.Processes(gpu));
  auto table = ReadTable(nvml, gpu);
  if (table) {
    mig.table = std::move(*table);
  } else if (mig.enabled()) {
    return std::unexpected(std::move(table).error());
  }
  if (!mig.enabled()) return mig;
  MIG_ASSIGN(mig.devices, nvml.MigDevices(gpu));
  MIG_ASSIGN(const std::vector<GpuInstance> found, nvml.GpuInstances(gpu));
  for (const GpuInstance& one : found) {
    MIG_ASSIGN(MigInstance instance, ReadInstance(nvml, gpu, one, mig.processes));
    mig.instances.push_back(std::move(instance));
  }
  return mig;
}

Result<std::vector<GpuMig>> ReadAllMig(Nvml& nvml) {
  MIG_ASSIGN(const uint32_t count, nvml.GpuCount());
  std::vector<GpuMig> all;
  for (uint32_t gpu = 0; gpu < count; ++gpu) {
    auto mig = ReadGpuMig(nvml, gpu);
    if (!mig) return std::unexpected(std::move(mig).error().While(fmt::format("asking GPU {} for its MIG state", gpu)));
    all.push_back(std::move(*mig));
  }
  return all;
}

}  // namespace mignificient::device
