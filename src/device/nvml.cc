// NVML by dlopen.
#include "device/nvml.h"

#include <cmath>
#include <string_view>

#include "device/fake_nvml.h"
#include "device/nvml_library.h"
#include "device/nvml_status.h"

namespace mignificient::device {
namespace {

template <typename... Parameters, typename... Arguments>
Result<> Call(const char* name, int (*function)(Parameters...), Arguments... arguments) {
  if (function == nullptr) return std::unexpected(NvmlError(NvmlStatus::kNotSupported, name));
  const auto status = static_cast<NvmlStatus>(function(arguments...));
  if (status == NvmlStatus::kSuccess) return {};
  return std::unexpected(NvmlError(status, name));
}

// "MIG 1g.10gb+me" -> "1g.10gb+me"
std::string WithoutPrefix(std::string_view name) {
  return std::string(name.starts_with("MIG ") ? name.substr(4) : name);
}

// The name where the library gives none, as nvidia-mig-parted computes it: the share of the GPU's memory, in eighths.
std::string ComputedName(const abi::GpuProfile& profile, uint64_t gpu_memory_mib) {
  const double share = std::ceil(8.0 * static_cast<double>(profile.memory_mib) / static_cast<double>(gpu_memory_mib));
  const double gigabytes = std::ceil(static_cast<double>(gpu_memory_mib) / 1024);
  return fmt::format("{}g.{}gb", profile.slices, std::lround(share / 8 * gigabytes));
}

class RealXidEvents : public XidEvents {
 public:
  RealXidEvents(const NvmlLibrary& library, abi::EventSet set) : library_(library), set_(set) {}
  ~RealXidEvents() override { library_.event_set_free(set_); }

  Result<std::optional<XidEvent>> Wait(uint32_t timeout_ms) override {
    abi::EventData event{};
    const auto status = static_cast<NvmlStatus>(library_.event_set_wait(set_, &event, timeout_ms));
    if (status == NvmlStatus::kTimeout) return std::optional<XidEvent>{};
    if (status != NvmlStatus::kSuccess) return std::unexpected(NvmlError(status, "nvmlEventSetWait_v2"));
    if (event.type != abi::kEventXid) return std::optional<XidEvent>{};
    char uuid[abi::kTextBytes] = {};
    MIG_TRY(Call("nvmlDeviceGetUUID", library_.uuid, event.device, uuid, sizeof uuid));
    return std::optional(XidEvent{uuid, event.data, event.gpu_instance, event.compute_instance});
  }

 private:
  const NvmlLibrary& library_;
  abi::EventSet set_;
};

class RealNvml : public Nvml {
 public:
  explicit RealNvml(std::unique_ptr<NvmlLibrary> library) : library_(std::move(library)), l_(*library_) {}
  ~RealNvml() override { l_.shutdown(); }

  Driver driver() const override { return Driver::kCuda; }
  std::string LockPath() const override { return "/run/mignificient-mig.lock"; }

  Result<std::string> DriverVersion() override {
    char text[abi::kDriverVersionBytes] = {};
    MIG_TRY(Call("nvmlSystemGetDriverVersion", l_.driver_version, text, sizeof text));
    return std::string(text);
  }

  Result<uint32_t> GpuCount() override {
    unsigned count = 0;
    MIG_TRY(Call("nvmlDeviceGetCount_v2", l_.count, &count));
    return count;
  }

  Result<GpuIdentity> Gpu(uint32_t index) override {
    MIG_ASSIGN(const abi::Device gpu, ByIndex(index));
    char uuid[abi::kTextBytes] = {}, name[abi::kTextBytes] = {};
    abi::Memory memory{};
    abi::PciInfo pci{};
    int major = 0, minor = 0;
    MIG_TRY(Call("nvmlDeviceGetUUID", l_.uuid, gpu, uuid, sizeof uuid));
    MIG_TRY(Call("nvmlDeviceGetName", l_.name, gpu, name, sizeof name));
    MIG_TRY(Call("nvmlDeviceGetMemoryInfo", l_.memory, gpu, &memory));
    MIG_TRY(Call("nvmlDeviceGetCudaComputeCapability", l_.capability, gpu, &major, &minor));
    MIG_TRY(Call("nvmlDeviceGetPciInfo_v3", l_.pci, gpu, &pci));
    return GpuIdentity{
        uuid,         name, memory.total >> 20, fmt::format("{}.{}", major, minor), pci.bus_id, pci.device_and_vendor,
        pci.subsystem};
  }

  Result<std::optional<MigMode>> Mode(uint32_t index) override {
    MIG_ASSIGN(const abi::Device gpu, ByIndex(index));
    unsigned current = 0, pending = 0;
    const auto answered = Call("nvmlDeviceGetMigMode", l_.mig_mode, gpu, &current, &pending);
    if (!answered && answered.error().code() == Code::kUnsupported) return std::optional<MigMode>{};
    MIG_TRY(answered);
    return std::optional(MigMode{current == 1, pending == 1});
  }

  Result<ModeChange> SetMode(uint32_t index, bool enabled) override {
    MIG_ASSIGN(const abi::Device gpu, ByIndex(index));
    int activation = 0;
    MIG_TRY(Call("nvmlDeviceSetMigMode", l_.set_mig_mode, gpu, enabled ? 1u : 0u, &activation));
    switch (static_cast<NvmlStatus>(activation)) {
      case NvmlStatus::kSuccess:
        return ModeChange::kDone;
      case NvmlStatus::kInUse:
        return ModeChange::kInUse;
      case NvmlStatus::kResetRequired:
        return ModeChange::kResetRequired;
      default:
        return std::unexpected(
            NvmlError(static_cast<NvmlStatus>(activation), "The activation of nvmlDeviceSetMigMode"));
    }
  }

  Result<std::vector<MigDevice>> MigDevices(uint32_t index) override {
    MIG_ASSIGN(const abi::Device gpu, ByIndex(index));
    unsigned slots = 0;
    MIG_TRY(Call("nvmlDeviceGetMaxMigDeviceCount", l_.mig_slots, gpu, &slots));
    std::vector<MigDevice> devices;
    for (unsigned slot = 0; slot < slots; ++slot) {
      abi::Device device = nullptr;
      const auto answered = Call("nvmlDeviceGetMigDeviceHandleByIndex", l_.mig_device, gpu, slot, &device);
      if (!answered && answered.error().code() == Code::kNotFound) continue;  // the slot is empty
      MIG_TRY(answered);
      MIG_ASSIGN(MigDevice found, Describe(device));
      devices.push_back(std::move(found));
    }
    return devices;
  }

  Result<std::vector<GpuProfile>> Profiles(uint32_t index) override {
    MIG_ASSIGN(const abi::Device gpu, ByIndex(index));
    std::vector<GpuProfile> profiles;
    std::optional<Error> refused;
    for (unsigned number = 0; number < abi::kGpuProfileNumbers; ++number) {
      auto profile = ProfileOf(gpu, number);
      if (profile) {
        profiles.push_back(std::move(*profile));
      } else if (profile.error().code() == Code::kUnsupported) {
        refused = profile.error();
      } else if (profile.error().code() != Code::kInvalidArgument) {  // that: a number it does not know
        return std::unexpected(profile.error());
      }
    }
    if (profiles.empty() && refused) return std::unexpected(std::move(*refused));
    return profiles;
  }

  Result<std::vector<Placement>> Placements(uint32_t index, uint32_t profile_id) override {
    constexpr const char* kName = "nvmlDeviceGetGpuInstancePossiblePlacements_v2";
    MIG_ASSIGN(const abi::Device gpu, ByIndex(index));
    unsigned count = 0;
    MIG_TRY(Call(kName, l_.placements, gpu, profile_id, nullptr, &count));
    std::vector<abi::Placement> found(count);
    MIG_TRY(Call(kName, l_.placements, gpu, profile_id, found.data(), &count));
    std::vector<Placement> placements;
    for (size_t i = 0; i < count && i < found.size(); ++i) placements.push_back({found[i].start, found[i].size});
    return placements;
  }

  Result<uint32_t> Remaining(uint32_t index, uint32_t profile_id) override {
    MIG_ASSIGN(const abi::Device gpu, ByIndex(index));
    unsigned count = 0;
    MIG_TRY(Call("nvmlDeviceGetGpuInstanceRemainingCapacity", l_.remaining, gpu, profile_id, &count));
    return count;
  }

  Result<std::vector<GpuInstance>> GpuInstances(uint32_t index) override {
    MIG_ASSIGN(const abi::Device gpu, ByIndex(index));
    MIG_ASSIGN(const std::vector<GpuProfile> profiles, Profiles(index));
    std::vector<GpuInstance> instances;
    for (const GpuProfile& profile : profiles) {
      std::vector<abi::GpuInstance> handles(profile.instances);
      unsigned count = profile.instances;
      MIG_TRY(Call("nvmlDeviceGetGpuInstances", l_.gpu_instances, gpu, profile.id, handles.data(), &count));
      for (size_t i = 0; i < count && i < handles.size(); ++i) {
        abi::GpuInstanceInfo info{};
        MIG_TRY(Call("nvmlGpuInstanceGetInfo", l_.gpu_instance_info, handles[i], &info));
        instances.push_back({info.id, info.profile_id, {info.placement.start, info.placement.size}});
      }
    }
    return instances;
  }

  Result<uint32_t> CreateGpuInstance(uint32_t index, uint32_t profile_id, Placement placement) override {
    MIG_ASSIGN(const abi::Device gpu, ByIndex(index));
    const abi::Placement at{placement.start, placement.size};
    abi::GpuInstance instance = nullptr;
    abi::GpuInstanceInfo info{};
    MIG_TRY(Call("nvmlDeviceCreateGpuInstanceWithPlacement", l_.create_gpu_instance, gpu, profile_id, &at, &instance));
    MIG_TRY(Call("nvmlGpuInstanceGetInfo", l_.gpu_instance_info, instance, &info));
    return info.id;
  }

  Result<> DestroyGpuInstance(uint32_t index, uint32_t id) override {
    MIG_ASSIGN(const abi::GpuInstance instance, InstanceById(index, id));
    return Call("nvmlGpuInstanceDestroy", l_.destroy_gpu_instance, instance);
  }

  Result<std::vector<ComputeProfile>> ComputeProfiles(uint32_t index, uint32_t gpu_instance) override {
    MIG_ASSIGN(const abi::GpuInstance instance, InstanceById(index, gpu_instance));
    std::vector<ComputeProfile> profiles;
    for (unsigned number = 0; number < abi::kComputeProfileNumbers; ++number) {
      abi::ComputeProfile profile{};
      const auto answered = Call("nvmlGpuInstanceGetComputeInstanceProfileInfo", l_.compute_profile, instance, number,
                                 abi::kSharedEngines, &profile);
      if (!answered && answered.error().code() != Code::kUnsupported &&
          answered.error().code() != Code::kInvalidArgument)
        return std::unexpected(answered.error());
      if (answered) profiles.push_back({profile.id, profile.slices, profile.instances, profile.multiprocessors});
    }
    return profiles;
  }

  Result<std::vector<ComputeInstance>> ComputeInstances(uint32_t index, uint32_t gpu_instance) override {
    MIG_ASSIGN(const abi::GpuInstance instance, InstanceById(index, gpu_instance));
    MIG_ASSIGN(const std::vector<ComputeProfile> profiles, ComputeProfiles(index, gpu_instance));
    std::vector<ComputeInstance> instances;
    for (const ComputeProfile& profile : profiles) {
      std::vector<abi::ComputeInstance> handles(profile.instances);
      unsigned count = profile.instances;
      MIG_TRY(Call("nvmlGpuInstanceGetComputeInstances", l_.compute_instances, instance, profile.id, handles.data(),
                   &count));
      for (size_t i = 0; i < count && i < handles.size(); ++i) {
        abi::ComputeInstanceInfo info{};
        MIG_TRY(Call("nvmlComputeInstanceGetInfo_v2", l_.compute_instance_info, handles[i], &info));
        instances.push_back({info.id, info.profile_id, {info.placement.start, info.placement.size}});
      }
    }
    return instances;
  }

  Result<uint32_t> CreateComputeInstance(uint32_t index, uint32_t gpu_instance, uint32_t profile_id) override {
    MIG_ASSIGN(const abi::GpuInstance instance, InstanceById(index, gpu_instance));
    abi::ComputeInstance created = nullptr;
    abi::ComputeInstanceInfo info{};
    MIG_TRY(Call("nvmlGpuInstanceCreateComputeInstance", l_.create_compute_instance, instance, profile_id, &created));
    MIG_TRY(Call("nvmlComputeInstanceGetInfo_v2", l_.compute_instance_info, created, &info));
    return info.id;
  }

  Result<> DestroyComputeInstance(uint32_t index, uint32_t gpu_instance, uint32_t id) override {
    MIG_ASSIGN(const abi::GpuInstance instance, InstanceById(index, gpu_instance));
    abi::ComputeInstance compute = nullptr;
    MIG_TRY(Call("nvmlGpuInstanceGetComputeInstanceById", l_.compute_instance_by_id, instance, id, &compute));
    return Call("nvmlComputeInstanceDestroy", l_.destroy_compute_instance, compute);
  }

  Result<std::vector<GpuProcess>> Processes(uint32_t index) override {
    constexpr const char* kName = "nvmlDeviceGetComputeRunningProcesses_v3";
    MIG_ASSIGN(const abi::Device gpu, ByIndex(index));
    if (l_.processes == nullptr) return std::unexpected(NvmlError(NvmlStatus::kNotSupported, kName));
    // The list may grow between the question how long it is and the question what it holds.
    for (unsigned capacity = 64; capacity <= 1u << 16; capacity *= 4) {
      std::vector<abi::ProcessInfo> found(capacity);
      unsigned count = capacity;
      const auto status = static_cast<NvmlStatus>(l_.processes(gpu, &count, found.data()));
      if (status == NvmlStatus::kInsufficientSize) continue;
      if (status != NvmlStatus::kSuccess) return std::unexpected(NvmlError(status, kName));
      std::vector<GpuProcess> processes;
      for (size_t i = 0; i < count && i < found.size(); ++i)
        processes.push_back({found[i].pid, found[i].gpu_instance, found[i].compute_instance});
      return processes;
    }
    return std::unexpected(NvmlError(NvmlStatus::kInsufficientSize, kName));
  }

  Result<std::unique_ptr<XidEvents>> WatchXids() override {
    MIG_ASSIGN(const uint32_t count, GpuCount());
    if (l_.event_set_wait == nullptr || l_.event_set_free == nullptr)
      return std::unexpected(NvmlError(NvmlStatus::kNotSupported, "nvmlEventSetWait_v2"));
    abi::EventSet set = nullptr;
    MIG_TRY(Call("nvmlEventSetCreate", l_.event_set_create, &set));
    auto events = std::make_unique<RealXidEvents>(l_, set);
    for (uint32_t index = 0; index < count; ++index) {
      const auto gpu = ByIndex(index);
      const auto registered = gpu ? Call("nvmlDeviceRegisterEvents", l_.register_events, *gpu, abi::kEventXid, set)
                                  : Result<>(std::unexpected(gpu.error()));
      // An old GPU tells of no Xid, a lost one of nothing more.
      if (!registered && registered.error().code() != Code::kUnsupported &&
          registered.error().code() != Code::kUnavailable)
        return std::unexpected(registered.error());
    }
    return events;
  }

 private:
  Result<abi::Device> ByIndex(uint32_t index) {
    abi::Device gpu = nullptr;
    MIG_TRY(Call("nvmlDeviceGetHandleByIndex_v2", l_.by_index, index, &gpu));
    return gpu;
  }

  Result<abi::GpuInstance> InstanceById(uint32_t index, uint32_t id) {
    MIG_ASSIGN(const abi::Device gpu, ByIndex(index));
    abi::GpuInstance instance = nullptr;
    MIG_TRY(Call("nvmlDeviceGetGpuInstanceById", l_.gpu_instance_by_id, gpu, id, &instance));
    return instance;
  }

  Result<MigDevice> Describe(abi::Device device) {
    char uuid[abi::kTextBytes] = {}, name[abi::kTextBytes] = {};
    abi::Attributes attributes{};
    MigDevice described;
    MIG_TRY(Call("nvmlDeviceGetUUID", l_.uuid, device, uuid, sizeof uuid));
    MIG_TRY(Call("nvmlDeviceGetName", l_.name, device, name, sizeof name));
    MIG_TRY(Call("nvmlDeviceGetAttributes_v2", l_.attributes, device, &attributes));
    MIG_TRY(Call("nvmlDeviceGetGpuInstanceId", l_.gpu_instance_id, device, &described.gpu_instance));
    MIG_TRY(Call("nvmlDeviceGetComputeInstanceId", l_.compute_instance_id, device, &described.compute_instance));
    described.uuid = uuid;
    described.name = name;
    described.memory_mib = attributes.memory_mib;
    described.slices = attributes.gpu_slices;
    described.multiprocessors = attributes.multiprocessors;
    return described;
  }

  Result<GpuProfile> ProfileOf(abi::Device gpu, unsigned number) {
    if (l_.gpu_profile_named != nullptr) {
      abi::GpuProfile2 named{.version = abi::StructVersion<abi::GpuProfile2>(2)};
      MIG_TRY(Call("nvmlDeviceGetGpuInstanceProfileInfoV", l_.gpu_profile_named, gpu, number, &named));
      named.name[sizeof named.name - 1] = '\0';
      return GpuProfile{named.id,        WithoutPrefix(named.name), named.slices,
                        named.instances, named.multiprocessors,     named.memory_mib};
    }
    abi::GpuProfile plain{};
    abi::Memory memory{};
    MIG_TRY(Call("nvmlDeviceGetGpuInstanceProfileInfo", l_.gpu_profile, gpu, number, &plain));
    MIG_TRY(Call("nvmlDeviceGetMemoryInfo", l_.memory, gpu, &memory));
    std::string name = ComputedName(plain, memory.total >> 20);
    if (number == 7) name += "+me";  // NVML_GPU_INSTANCE_PROFILE_1_SLICE_REV1
    return GpuProfile{plain.id,        std::move(name),       plain.slices,
                      plain.instances, plain.multiprocessors, plain.memory_mib};
  }

  std::unique_ptr<NvmlLibrary> library_;
  const NvmlLibrary& l_;
};

}  // namespace

Result<std::unique_ptr<Nvml>> OpenRealNvml() {
  MIG_ASSIGN(auto library, LoadNvmlLibrary());
  if (const int status = library->init(); status != 0)
    return Fail(Code::kUnavailable, "nvmlInit_v2 fails: {}.", library->error_text(status));
  return std::make_unique<RealNvml>(std::move(library));
}

Result<std::unique_ptr<Nvml>> OpenNvml(const std::string& which) {
  if (which.empty()) return OpenRealNvml();
  if (which.starts_with("fake:") && which.size() > 5) return OpenFakeNvml(which.substr(5));
  return Fail(Code::kInvalidArgument, "NVML [{}] is not known; allowed is \"fake:FILE\", or nothing for the driver's.",
              which);
}

}  // namespace mignificient::device
