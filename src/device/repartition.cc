#include "device/repartition.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "device/mig_apply.h"
#include "device/mig_lock.h"

namespace mignificient::device {
namespace {

// The driver lists a process for a moment after it has been reaped.
constexpr std::chrono::milliseconds kListedPeriod{50};
constexpr int kListedLooks = 20;

Result<GpuMig> ReadInMigMode(Nvml& nvml, uint32_t gpu, const std::string& uuid) {
  MIG_ASSIGN(GpuMig now, ReadGpuMig(nvml, gpu));
  if (now.identity.uuid != uuid)
    return Fail(Code::kNotFound, "GPU {} is [{}] now, not [{}]: have the devices looked for again.", gpu,
                now.identity.uuid, uuid);
  if (!now.enabled()) return Fail(Code::kUnsupported, "GPU {} ({}) is not in MIG mode.", gpu, uuid);
  return now;
}

// Instances that are cut into smaller compute instances are somebody's work and stay. Such as have none are of no use
// to anybody, and go with the first change.
std::optional<InstancePlan> PlanFor(const GpuMig& now, std::span<const Demand> demands) {
  std::vector<MigInstance> existing;
  std::vector<uint32_t> unusable;
  for (const MigInstance& instance : now.instances) {
    if (instance.compute.empty()) {
      unusable.push_back(instance.id);
      continue;
    }
    const PlacedProfile* profile = FindProfile(now.table, instance.profile_id);
    existing.push_back(instance);
    existing.back().busy = profile == nullptr || instance.compute.front() != profile->profile.slices;
  }
  std::optional<InstancePlan> plan = PlanMix(now.table, existing, demands);
  if (plan) plan->destroy.insert(plan->destroy.end(), unusable.begin(), unusable.end());
  return plan;
}

Result<GpuMig> ReadWhenIdle(Nvml& nvml, uint32_t gpu, const std::string& uuid) {
  for (int look = 1;; ++look) {
    MIG_ASSIGN(GpuMig now, ReadInMigMode(nvml, gpu, uuid));
    if (now.processes.empty()) return now;
    if (look == kListedLooks)
      return Fail(Code::kExhausted, "Process {} runs on GPU {}.", now.processes.front().pid, gpu);
    std::this_thread::sleep_for(kListedPeriod);
  }
}

}  // namespace

Result<std::vector<Partition>> MakeableOf(Nvml& nvml, uint32_t gpu, const std::string& uuid) {
  MIG_ASSIGN(const GpuMig now, ReadInMigMode(nvml, gpu, uuid));
  std::vector<Partition> makeable;
  for (const PlacedProfile& placed : now.table) {
    if (placed.placements.empty()) continue;
    makeable.push_back({.gpu_uuid = uuid,
                        .mig_size = fmt::format("{}g", placed.profile.slices),
                        .instance_size = placed.profile.name,
                        .memory_mib = placed.profile.memory_mib,
                        .compute_units = placed.profile.multiprocessors,
                        .driver = nvml.driver()});
  }
  return makeable;
}

Result<std::vector<std::string>> PlanRepartition(Nvml& nvml, uint32_t gpu, const std::string& uuid,
                                                 std::span<const Demand> demands) {
  MIG_ASSIGN(const GpuMig now, ReadInMigMode(nvml, gpu, uuid));
  const auto plan = PlanFor(now, demands);
  if (!plan) return std::vector<std::string>{};
  return DescribePlans({now}, {GpuPlan{.gpu = gpu, .instances = *plan}});
}

Result<std::vector<std::string>> Repartition(Nvml& nvml, uint32_t gpu, const std::string& uuid,
                                             std::span<const Demand> demands) {
  MIG_ASSIGN(const os::UniqueFd lock, LockMig(nvml));
  MIG_ASSIGN(const GpuMig now, ReadWhenIdle(nvml, gpu, uuid));
  const auto plan = PlanFor(now, demands);
  if (!plan) return std::vector<std::string>{};
  ApplyReport report = ApplyMig(nvml, {now}, {GpuPlan{.gpu = gpu, .instances = *plan}});
  if (!report.failure) return std::move(report.done);
  if (report.left.empty()) return std::unexpected(std::move(*report.failure));
  return std::unexpected(
      std::move(*report.failure).While(fmt::format("leaving this behind: {}", fmt::join(report.left, " "))));
}

}  // namespace mignificient::device
