#include "device/fake_gpu.h"

#include <algorithm>
#include <utility>

#include "device/fake_h100.h"
#include "device/nvml_status.h"

namespace mignificient::device {
namespace {

std::unexpected<Error> Refuse(NvmlStatus status, const char* function) {
  return std::unexpected(NvmlError(status, function));
}

bool Overlap(Placement a, Placement b) {
  return a.start < b.start + b.size && b.start < a.start + a.size;
}

// The lowest number from `first` on that is not among the ids of `things`.
template <typename Things>
uint32_t FreeId(const Things& things, uint32_t first) {
  uint32_t id = first;
  while (std::ranges::any_of(things, [&](const auto& thing) { return thing.id == id; })) ++id;
  return id;
}

uint32_t FirstId(uint32_t memory_slices) {
  return memory_slices == 8 ? 0 : memory_slices == 4 ? 1 : memory_slices == 2 ? 3 : 7;
}

// The same instance of the same GPU has the same UUID whenever it exists, as with the real driver.
std::string MigUuid(const std::string& gpu, uint32_t instance, uint32_t compute) {
  uint64_t half[2] = {0xcbf29ce484222325, 0x84222325cbf29ce4};
  for (uint64_t& hash : half)
    for (const char c : fmt::format("{}/{}/{}", gpu, instance, compute))
      hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return fmt::format("MIG-{:08x}-{:04x}-5{:03x}-{:04x}-{:012x}", half[0] >> 32, (half[0] >> 16) & 0xffff,
                     half[0] & 0xfff, 0x8000 | ((half[1] >> 48) & 0x3fff), half[1] & 0xffffffffffff);
}

}  // namespace

Result<ModeChange> FakeGpu::SetMode(bool enabled) {
  if (!mig_capable) return Refuse(NvmlStatus::kNotSupported, "nvmlDeviceSetMigMode");
  mode.pending = enabled;
  if (mode.current == enabled) return ModeChange::kDone;
  if (!processes.empty() || !instances.empty()) return ModeChange::kInUse;
  if (mode_needs_reset) return ModeChange::kResetRequired;
  mode.current = enabled;
  return ModeChange::kDone;
}

void FakeGpu::Reset() {
  mode.current = mode.pending;
  instances.clear();
  processes.clear();
}

Result<std::vector<GpuProfile>> FakeGpu::Profiles() const {
  if (!TellsProfiles()) return Refuse(NvmlStatus::kNotSupported, "nvmlDeviceGetGpuInstanceProfileInfoV");
  std::vector<GpuProfile> profiles;
  for (const FakeGpuProfile& profile : H100GpuProfiles()) profiles.push_back(profile.profile);
  return profiles;
}

Result<std::vector<Placement>> FakeGpu::Placements(uint32_t profile_id) const {
  constexpr const char* kName = "nvmlDeviceGetGpuInstancePossiblePlacements_v2";
  if (!TellsProfiles()) return Refuse(NvmlStatus::kNotSupported, kName);
  const FakeGpuProfile* profile = FindH100GpuProfile(profile_id);
  if (profile == nullptr) return Refuse(NvmlStatus::kInvalidArgument, kName);
  return profile->placements;
}

bool FakeGpu::Fits(const GpuProfile& profile, Placement placement) const {
  uint32_t slices = profile.slices, alike = 0;
  for (const FakeGpuInstance& instance : instances) {
    if (Overlap(instance.placement, placement)) return false;
    slices += FindH100GpuProfile(instance.profile_id)->profile.slices;
    if (instance.profile_id == profile.id) ++alike;
  }
  return slices <= kH100ComputeSlices && alike < profile.instances;
}

Result<uint32_t> FakeGpu::Remaining(uint32_t profile_id) const {
  constexpr const char* kName = "nvmlDeviceGetGpuInstanceRemainingCapacity";
  if (!TellsProfiles()) return Refuse(NvmlStatus::kNotSupported, kName);
  const FakeGpuProfile* profile = FindH100GpuProfile(profile_id);
  if (profile == nullptr) return Refuse(NvmlStatus::kInvalidArgument, kName);
  // Places of one profile overlap each other wholly or not at all, so taking the first free one loses none.
  FakeGpu filled = *this;
  uint32_t count = 0;
  for (const Placement placement : profile->placements) {
    if (!filled.Fits(profile->profile, placement)) continue;
    filled.instances.push_back({.profile_id = profile_id, .placement = placement});
    ++count;
  }
  return count;
}

Result<uint32_t> FakeGpu::CreateInstance(uint32_t profile_id, Placement placement) {
  constexpr const char* kName = "nvmlDeviceCreateGpuInstanceWithPlacement";
  if (!mode.current) return Refuse(NvmlStatus::kNotSupported, kName);
  const FakeGpuProfile* profile = FindH100GpuProfile(profile_id);
  if (profile == nullptr || std::ranges::find(profile->placements, placement) == profile->placements.end())
    return Refuse(NvmlStatus::kInvalidArgument, kName);
  if (!Fits(profile->profile, placement)) return Refuse(NvmlStatus::kInsufficientResources, kName);
  const uint32_t id = FreeId(instances, FirstId(placement.size));
  instances.push_back({.id = id, .profile_id = profile_id, .placement = placement});
  return id;
}

Result<const FakeGpuInstance*> FakeGpu::Find(uint32_t id, const char* function) const {
  const auto found = std::ranges::find(instances, id, &FakeGpuInstance::id);
  if (found == instances.end()) return Refuse(NvmlStatus::kNotFound, function);
  return &*found;
}

Result<FakeGpuInstance*> FakeGpu::Find(uint32_t id, const char* function) {
  MIG_ASSIGN(const FakeGpuInstance* found, std::as_const(*this).Find(id, function));
  return const_cast<FakeGpuInstance*>(found);
}

Result<> FakeGpu::DestroyInstance(uint32_t id) {
  constexpr const char* kName = "nvmlGpuInstanceDestroy";
  MIG_ASSIGN(const FakeGpuInstance* instance, Find(id, "nvmlDeviceGetGpuInstanceById"));
  const bool busy = std::ranges::any_of(processes, [&](const GpuProcess& p) { return p.gpu_instance == id; });
  if (busy || !instance->compute.empty()) return Refuse(NvmlStatus::kInUse, kName);
  std::erase_if(instances, [&](const FakeGpuInstance& other) { return other.id == id; });
  return {};
}

Result<std::vector<ComputeProfile>> FakeGpu::ComputeProfiles(uint32_t id) const {
  MIG_ASSIGN(const FakeGpuInstance* instance, Find(id, "nvmlDeviceGetGpuInstanceById"));
  std::vector<ComputeProfile> profiles;
  for (const FakeComputeProfile& profile : H100ComputeProfiles(FindH100GpuProfile(instance->profile_id)->profile))
    profiles.push_back(profile.profile);
  return profiles;
}

Result<uint32_t> FakeGpu::CreateCompute(uint32_t id, uint32_t profile_id) {
  constexpr const char* kName = "nvmlGpuInstanceCreateComputeInstance";
  MIG_ASSIGN(FakeGpuInstance * instance, Find(id, "nvmlDeviceGetGpuInstanceById"));
  const auto profiles = H100ComputeProfiles(FindH100GpuProfile(instance->profile_id)->profile);
  const auto profile = std::ranges::find(profiles, profile_id, [](const auto& p) { return p.profile.id; });
  if (profile == profiles.end()) return Refuse(NvmlStatus::kInvalidArgument, kName);
  for (const Placement placement : profile->placements) {
    if (std::ranges::any_of(instance->compute, [&](const auto& c) { return Overlap(c.placement, placement); }))
      continue;
    const uint32_t compute = FreeId(instance->compute, 0);
    instance->compute.push_back({compute, profile_id, placement});
    return compute;
  }
  return Refuse(NvmlStatus::kInsufficientResources, kName);
}

Result<> FakeGpu::DestroyCompute(uint32_t id, uint32_t compute) {
  constexpr const char* kName = "nvmlComputeInstanceDestroy";
  MIG_ASSIGN(FakeGpuInstance * instance, Find(id, "nvmlDeviceGetGpuInstanceById"));
  const auto found = std::ranges::find(instance->compute, compute, &FakeComputeInstance::id);
  if (found == instance->compute.end()) return Refuse(NvmlStatus::kNotFound, "nvmlGpuInstanceGetComputeInstanceById");
  const auto here = [&](const GpuProcess& p) { return p.gpu_instance == id && p.compute_instance == compute; };
  if (std::ranges::any_of(processes, here)) return Refuse(NvmlStatus::kInUse, kName);
  instance->compute.erase(found);
  return {};
}

std::vector<MigDevice> FakeGpu::Devices() const {
  std::vector<MigDevice> devices;
  for (const FakeGpuInstance& instance : instances) {
    const GpuProfile& profile = FindH100GpuProfile(instance.profile_id)->profile;
    const auto compute_profiles = H100ComputeProfiles(profile);
    for (const FakeComputeInstance& compute : instance.compute) {
      const ComputeProfile& part =
          std::ranges::find(compute_profiles, compute.profile_id, [](const auto& p) { return p.profile.id; })->profile;
      devices.push_back({.uuid = MigUuid(uuid, instance.id, compute.id),
                         .name = part.slices == profile.slices
                                     ? fmt::format("{} MIG {}", name, profile.name)
                                     : fmt::format("{} MIG {}c.{}", name, part.slices, profile.name),
                         .memory_mib = profile.memory_mib,
                         .slices = profile.slices,
                         .multiprocessors = part.multiprocessors,
                         .gpu_instance = instance.id,
                         .compute_instance = compute.id});
    }
  }
  return devices;
}

}  // namespace mignificient::device
