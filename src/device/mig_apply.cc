#include "device/mig_apply.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "device/mig_steps.h"

namespace mignificient::device {
namespace {

// The last entry that names the GPU; null if none does.
const MigConfigEntry* EntryFor(const MigConfig& config, const GpuMig& gpu) {
  const MigConfigEntry* last = nullptr;
  for (const MigConfigEntry& entry : config)
    if (entry.Matches(gpu.index, gpu.identity.pci_device, gpu.identity.pci_subsystem)) last = &entry;
  return last;
}

Result<InstancePlan> PlanFor(const GpuMig& gpu, const ProfileCounts& wanted) {
  // The same devices in other places are as good: nvidia-mig-parted compares counts, too.
  if (gpu.enabled() && CountDevices(gpu.table, gpu.instances) == wanted &&
      std::ranges::none_of(gpu.instances, [](const MigInstance& i) { return i.compute.empty(); }))
    return InstancePlan{};
  MIG_ASSIGN(std::vector<WantedInstance> instances, WantedInstances(gpu.table, wanted));
  return PlanInstances(gpu.table, gpu.instances, std::move(instances));
}

Result<GpuPlan> PlanGpu(const GpuMig& gpu, const MigConfigEntry& entry) {
  GpuPlan plan{.gpu = gpu.index, .wanted = entry.mig_devices};
  if (!gpu.mode) {
    if (!entry.mig_enabled) return plan;
    return Fail(Code::kUnsupported, "{} knows no MIG mode, but the configuration enables it.", gpu.identity.name);
  }
  const bool on = entry.mig_enabled;
  if (gpu.mode->current != on || gpu.mode->pending != on) plan.set_mode = on;
  if (!on) {
    for (const MigInstance& instance : gpu.instances) plan.instances.destroy.push_back(instance.id);
  } else if (gpu.table.empty()) {
    plan.instances_follow_mode = !entry.mig_devices.empty();
  } else {
    MIG_ASSIGN(plan.instances, PlanFor(gpu, entry.mig_devices));
  }
  return plan;
}

const GpuMig& GpuOf(const std::vector<GpuMig>& gpus, uint32_t index) {
  return *std::ranges::find(gpus, index, &GpuMig::index);
}

std::string Devices(const ProfileCounts& counts) {
  std::vector<std::string> parts;
  for (const auto& [profile, count] : counts) parts.push_back(fmt::format("{} x {}", count, profile));
  return parts.empty() ? "no MIG devices" : fmt::format("{}", fmt::join(parts, ", "));
}

bool SameInstances(const GpuMig& a, const GpuMig& b) {
  const auto places = [](const GpuMig& gpu) {
    std::vector<std::tuple<uint32_t, uint32_t, std::vector<uint32_t>>> all;
    for (const MigInstance& i : gpu.instances) all.emplace_back(i.placement.start, i.profile_id, i.compute);
    std::ranges::sort(all);
    return all;
  };
  return places(a) == places(b);
}

// How a GPU is now, compared with before; empty if it is the same.
std::string Difference(Nvml& nvml, const GpuMig& before) {
  const auto now = ReadGpuMig(nvml, before.index);
  if (!now) return fmt::format("GPU {}: what is left cannot be told: {}", before.index, now.error().message());
  if (now->mode == before.mode && SameInstances(*now, before)) return {};
  if (!now->enabled())
    return fmt::format("GPU {}: MIG mode is off{}.", before.index,
                       now->mode && now->mode->pending ? ", to be on after a reset" : "");
  return fmt::format("GPU {}: MIG mode is on{}, with {}; before it had {}.", before.index,
                     now->mode->pending ? "" : ", to be off after a reset",
                     Devices(CountDevices(now->table, now->instances)),
                     before.enabled() ? Devices(CountDevices(before.table, before.instances)) : "no MIG mode");
}

}  // namespace

Result<std::vector<GpuPlan>> PlanMig(const std::vector<GpuMig>& gpus, const MigConfig& config) {
  std::vector<GpuPlan> plans;
  for (const GpuMig& gpu : gpus) {
    const MigConfigEntry* entry = EntryFor(config, gpu);
    if (entry == nullptr) continue;
    auto plan = PlanGpu(gpu, *entry);
    if (!plan) return std::unexpected(std::move(plan).error().While(fmt::format("planning for GPU {}", gpu.index)));
    plans.push_back(std::move(*plan));
  }
  return plans;
}

std::vector<std::string> DifferencesFrom(const std::vector<GpuMig>& gpus, const MigConfig& config) {
  std::vector<std::string> differences;
  const auto say = [&](const GpuMig& gpu, const std::string& text) {
    differences.push_back(fmt::format("GPU {}: {}", gpu.index, text));
  };
  for (const GpuMig& gpu : gpus) {
    const MigConfigEntry* entry = EntryFor(config, gpu);
    if (entry == nullptr) {
      say(gpu, "The configuration does not name it.");
    } else if (gpu.enabled() != entry->mig_enabled) {
      say(gpu, fmt::format("MIG mode is {}, not {}.", gpu.enabled() ? "on" : "off", entry->mig_enabled ? "on" : "off"));
    } else if (gpu.mode && gpu.mode->pending != gpu.mode->current) {
      say(gpu, fmt::format("MIG mode is {}, but to be {} after a reset.", gpu.mode->current ? "on" : "off",
                           gpu.mode->pending ? "on" : "off"));
    } else if (const auto counts = CountDevices(gpu.table, gpu.instances); counts != entry->mig_devices) {
      say(gpu, fmt::format("It has {}, not {}.", Devices(counts), Devices(entry->mig_devices)));
    }
  }
  return differences;
}

MigConfig ExportMig(const std::vector<GpuMig>& gpus) {
  MigConfig config;
  std::map<std::string, std::vector<uint32_t>> of_kind;  // device filter -> all GPUs that it means
  for (const GpuMig& gpu : gpus) {
    const std::string filter = fmt::format("0x{:08X}", gpu.identity.pci_device);
    of_kind[filter].push_back(gpu.index);
    MigConfigEntry entry{.device_filter = {filter},
                         .all_devices = false,
                         .devices = {gpu.index},
                         .mig_enabled = gpu.enabled(),
                         .mig_devices = gpu.enabled() ? CountDevices(gpu.table, gpu.instances) : ProfileCounts{}};
    const auto alike = std::ranges::find_if(config, [&](const MigConfigEntry& other) {
      return other.mig_enabled == entry.mig_enabled && other.mig_devices == entry.mig_devices;
    });
    if (alike == config.end()) {
      config.push_back(std::move(entry));
      continue;
    }
    alike->devices.push_back(gpu.index);
    if (std::ranges::find(alike->device_filter, filter) == alike->device_filter.end())
      alike->device_filter.push_back(filter);
  }
  // All GPUs of the kinds that an entry names are "all" of them; with one kind, or one entry, no filter is needed.
  for (MigConfigEntry& entry : config) {
    std::vector<uint32_t> meant;
    for (const std::string& filter : entry.device_filter)
      meant.insert(meant.end(), of_kind[filter].begin(), of_kind[filter].end());
    std::ranges::sort(meant);
    entry.all_devices = meant == entry.devices;
    if (entry.all_devices) entry.devices.clear();
    std::ranges::sort(entry.device_filter);
    if (of_kind.size() == 1 || config.size() == 1) entry.device_filter.clear();
  }
  return config;
}

std::vector<std::string> Obstacles(const std::vector<GpuMig>& gpus, const std::vector<GpuPlan>& plans,
                                   const std::vector<Occupant>& occupants) {
  std::vector<std::string> obstacles;
  const auto gpu_of = [&](const std::string& partition) -> const GpuMig* {
    for (const GpuMig& gpu : gpus) {
      if (gpu.identity.uuid == partition) return &gpu;
      if (std::ranges::find(gpu.devices, partition, &MigDevice::uuid) != gpu.devices.end()) return &gpu;
    }
    return nullptr;
  };
  bool changes = false;
  for (const GpuPlan& plan : plans) {
    if (plan.Empty()) continue;
    changes = true;
    for (const GpuProcess& process : GpuOf(gpus, plan.gpu).processes)
      obstacles.push_back(fmt::format("Process {} runs on GPU {}.", process.pid, plan.gpu));
    for (const Occupant& occupant : occupants)
      if (const GpuMig* gpu = gpu_of(occupant.partition); gpu != nullptr && gpu->index == plan.gpu)
        obstacles.push_back(fmt::format("{} runs on GPU {} ({}).", occupant.what, plan.gpu, occupant.partition));
  }
  for (const Occupant& occupant : occupants)
    if (changes && gpu_of(occupant.partition) == nullptr)
      obstacles.push_back(
          fmt::format("{} runs on {}, which is on no GPU that can be told.", occupant.what, occupant.partition));
  return obstacles;
}

std::vector<std::string> DescribePlans(const std::vector<GpuMig>& gpus, const std::vector<GpuPlan>& plans) {
  std::vector<std::string> lines;
  for (const GpuPlan& plan : plans) {
    const GpuMig& gpu = GpuOf(gpus, plan.gpu);
    const auto say = [&](const std::string& text) { lines.push_back(fmt::format("GPU {}: {}", plan.gpu, text)); };
    if (plan.set_mode == true) say("switch MIG mode on");
    for (const uint32_t id : plan.instances.destroy) {
      const MigInstance& instance = *std::ranges::find(gpu.instances, id, &MigInstance::id);
      say(fmt::format("destroy GPU instance {} ({})", id,
                      InstanceText(gpu.table, instance.profile_id, instance.placement, instance.compute)));
    }
    for (const CreateInstance& create : plan.instances.create)
      say(fmt::format("create {}", InstanceText(gpu.table, create.profile_id, create.placement, create.compute)));
    if (plan.instances_follow_mode) say(fmt::format("then create {}, if they fit", Devices(plan.wanted)));
    if (plan.set_mode == false) say("switch MIG mode off");
  }
  return lines;
}

ApplyReport ApplyMig(Nvml& nvml, const std::vector<GpuMig>& gpus, const std::vector<GpuPlan>& plans) {
  ApplyReport report;
  Steps steps(nvml);
  const auto run = [&]() -> Result<> {
    for (const GpuPlan& plan : plans)
      if (plan.set_mode == true) MIG_TRY(steps.SetMode(GpuOf(gpus, plan.gpu), true));
    if (!steps.pending().empty()) return {};
    std::vector<GpuPlan> whole = plans;  // with what could not be planned before
    for (GpuPlan& plan : whole) {
      if (!plan.instances_follow_mode) continue;
      MIG_ASSIGN(const GpuMig now, ReadGpuMig(nvml, plan.gpu));
      auto planned = PlanFor(now, plan.wanted);
      if (!planned) return std::unexpected(planned.error().While(fmt::format("planning for GPU {}", plan.gpu)));
      plan.instances = std::move(*planned);
    }
    for (const GpuPlan& plan : whole) {
      for (const uint32_t id : plan.instances.destroy) MIG_TRY(steps.Destroy(plan.gpu, id));
      for (const CreateInstance& create : plan.instances.create) MIG_TRY(steps.Create(plan.gpu, create));
    }
    for (const GpuPlan& plan : plans)
      if (plan.set_mode == false) MIG_TRY(steps.SetMode(GpuOf(gpus, plan.gpu), false));
    return {};
  };
  if (const auto ran = run(); !ran) {
    report.failure = ran.error();
    steps.Undo();
    for (const GpuPlan& plan : plans)
      if (std::string text = Difference(nvml, GpuOf(gpus, plan.gpu)); !text.empty()) report.left.push_back(text);
    return report;
  }
  report.done = steps.done();
  report.pending = steps.pending();
  return report;
}

}  // namespace mignificient::device
