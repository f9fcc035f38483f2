#include "device/mig_steps.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <ranges>

namespace mignificient::device {
namespace {

Result<uint32_t> ComputeProfileOf(Nvml& nvml, uint32_t gpu, uint32_t instance, uint32_t slices) {
  MIG_ASSIGN(const auto profiles, nvml.ComputeProfiles(gpu, instance));
  const auto found = std::ranges::find(profiles, slices, &ComputeProfile::slices);
  if (found != profiles.end()) return found->id;
  return Fail(Code::kExhausted, "GPU instance {} of GPU {} has no compute instances of {} slices.", instance, gpu,
              slices);
}

}  // namespace

std::string InstanceText(const ProfileTable& table, uint32_t profile_id, Placement placement,
                         const std::vector<uint32_t>& compute) {
  const PlacedProfile* profile = FindProfile(table, profile_id);
  const std::string name = profile == nullptr ? fmt::format("profile {}", profile_id) : profile->profile.name;
  const bool whole = profile != nullptr && compute == std::vector<uint32_t>{profile->profile.slices};
  return fmt::format("{} at {}{}", name, placement.start,
                     whole             ? ""
                     : compute.empty() ? " without compute instances"
                                       : fmt::format(" with compute instances of {}", fmt::join(compute, ", ")));
}

Result<> Steps::SetMode(const GpuMig& gpu, bool on) {
  const char* word = on ? "on" : "off";
  auto changed = nvml_.SetMode(gpu.index, on);
  if (!changed)
    return std::unexpected(
        std::move(changed).error().While(fmt::format("switching MIG mode {} on GPU {}", word, gpu.index)));
  if (gpu.mode && gpu.mode->pending != on) journal_.push_back(ModeSet{gpu.index, gpu.mode->pending});
  if (*changed == ModeChange::kDone) {
    done_.push_back(fmt::format("GPU {}: MIG mode is {}.", gpu.index, word));
  } else if (*changed == ModeChange::kInUse) {
    pending_.push_back(fmt::format(
        "GPU {}: MIG mode {} is pending, because the GPU is in use: end what uses it (monitoring and display "
        "servers, too) and apply again, or reset the GPU.",
        gpu.index, word));
  } else {
    pending_.push_back(
        fmt::format("GPU {}: MIG mode {} is pending until the GPU is reset (nvidia-smi --gpu-reset -i {}) "
                    "or the machine is restarted; then apply again.",
                    gpu.index, word, gpu.index));
  }
  return {};
}

Result<> Steps::DestroyAll(uint32_t gpu, uint32_t instance) {
  MIG_ASSIGN(const auto compute, nvml_.ComputeInstances(gpu, instance));
  for (const ComputeInstance& one : compute) MIG_TRY(nvml_.DestroyComputeInstance(gpu, instance, one.id));
  return nvml_.DestroyGpuInstance(gpu, instance);
}

Result<> Steps::Destroy(uint32_t gpu, uint32_t id) {
  const auto doing = fmt::format("destroying GPU instance {} of GPU {}", id, gpu);
  const auto before = ReadGpuMig(nvml_, gpu);
  if (!before) return std::unexpected(before.error().While(doing));
  const auto found = std::ranges::find(before->instances, id, &MigInstance::id);
  if (found == before->instances.end())
    return Fail(Code::kNotFound, "GPU instance {} of GPU {} is gone: somebody else changes MIG, too.", id, gpu);
  journal_.push_back(Destroyed{gpu, *found});  // before it is done: a part of it may be
  if (const auto destroyed = DestroyAll(gpu, id); !destroyed) return std::unexpected(destroyed.error().While(doing));
  done_.push_back(fmt::format("GPU {}: GPU instance {} ({}) is destroyed.", gpu, id,
                              InstanceText(before->table, found->profile_id, found->placement, found->compute)));
  return {};
}

Result<> Steps::TryCreateCompute(uint32_t gpu, uint32_t instance, const std::vector<uint32_t>& slices) {
  std::vector<uint32_t> created;
  for (const uint32_t size : slices) {
    MIG_ASSIGN(const uint32_t profile, ComputeProfileOf(nvml_, gpu, instance, size));
    const auto id = nvml_.CreateComputeInstance(gpu, instance, profile);
    if (id) {
      created.push_back(*id);
      continue;
    }
    for (const uint32_t undo : created) MIG_TRY(nvml_.DestroyComputeInstance(gpu, instance, undo));
    return std::unexpected(id.error());
  }
  return {};
}

Result<> Steps::CreateCompute(uint32_t gpu, uint32_t instance, std::vector<uint32_t> slices) {
  std::ranges::sort(slices, std::greater());
  auto tried = TryCreateCompute(gpu, instance, slices);
  // The driver places each where it likes, so the order decides whether all fit.
  while (!tried && tried.error().code() == Code::kExhausted && std::ranges::prev_permutation(slices).found)
    tried = TryCreateCompute(gpu, instance, slices);
  return tried;
}

Result<> Steps::Create(uint32_t gpu, const CreateInstance& create) {
  const auto doing = fmt::format("creating a GPU instance of profile {} at {} on GPU {}", create.profile_id,
                                 create.placement.start, gpu);
  const auto id = nvml_.CreateGpuInstance(gpu, create.profile_id, create.placement);
  if (!id) return std::unexpected(id.error().While(doing));
  journal_.push_back(Created{gpu, *id});
  if (const auto compute = CreateCompute(gpu, *id, create.compute); !compute)
    return std::unexpected(compute.error().While(fmt::format("creating compute instances")).While(doing));
  const auto now = ReadGpuMig(nvml_, gpu);
  done_.push_back(fmt::format(
      "GPU {}: GPU instance {} ({}) is created.", gpu, *id,
      InstanceText(now ? now->table : ProfileTable{}, create.profile_id, create.placement, create.compute)));
  return {};
}

Result<> Steps::Undo(const ModeSet& step) {
  MIG_TRY(nvml_.SetMode(step.gpu, step.before));
  return {};
}

Result<> Steps::Undo(const Created& step) {
  return DestroyAll(step.gpu, step.id);
}

Result<> Steps::Undo(const Destroyed& step) {
  MIG_ASSIGN(const auto instances, nvml_.GpuInstances(step.gpu));
  std::vector<uint32_t> missing = step.instance.compute;
  uint32_t id = step.instance.id;
  const bool there = std::ranges::any_of(instances, [&](const GpuInstance& other) {
    return other.id == id && other.profile_id == step.instance.profile_id && other.placement == step.instance.placement;
  });
  if (there) {
    MIG_ASSIGN(const auto compute, nvml_.ComputeInstances(step.gpu, id));
    for (const ComputeInstance& one : compute)
      if (const auto found = std::ranges::find(missing, one.placement.size); found != missing.end())
        missing.erase(found);
  } else {
    MIG_ASSIGN(id, nvml_.CreateGpuInstance(step.gpu, step.instance.profile_id, step.instance.placement));
  }
  return CreateCompute(step.gpu, id, std::move(missing));
}

void Steps::Undo() {
  for (const auto& step : std::views::reverse(journal_))
    // What cannot be undone shows in the state of the GPU, which is reported.
    std::ignore = std::visit([this](const auto& one) { return Undo(one).has_value(); }, step);
  journal_.clear();
}

}  // namespace mignificient::device
