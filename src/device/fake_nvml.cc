#include "device/fake_nvml.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "os/unique_fd.h"

namespace mignificient::device {
namespace {

// How often a file is looked at for events that another program wrote into it.
constexpr std::chrono::milliseconds kFilePeriod{50};

// An open file under its lock, which ends with the descriptor.
Result<os::UniqueFd> OpenLocked(const std::string& path) {
  os::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd) return FailErrno(fmt::format("opening the fake NVML's file [{}]", path), errno);
  while (::flock(fd.get(), LOCK_EX) != 0)
    if (errno != EINTR) return FailErrno(fmt::format("locking [{}]", path), errno);
  return fd;
}

Result<std::string> ReadAll(int fd) {
  std::string text;
  char block[1 << 14];
  for (;;) {
    const ssize_t got = ::pread(fd, block, sizeof block, static_cast<off_t>(text.size()));
    if (got < 0) return FailErrno("pread", errno);
    if (got == 0) return text;
    text.append(block, static_cast<size_t>(got));
  }
}

Result<> WriteAll(int fd, std::string_view text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t wrote = ::pwrite(fd, text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (wrote < 0) return FailErrno("pwrite", errno);
    done += static_cast<size_t>(wrote);
  }
  if (::ftruncate(fd, static_cast<off_t>(text.size())) != 0) return FailErrno("ftruncate", errno);
  return {};
}

// An injected failure of this call, if it is its turn.
std::optional<NvmlStatus> TakeFailure(FakeState& state, std::string_view function) {
  for (auto failure = state.failures.begin(); failure != state.failures.end(); ++failure) {
    if (failure->function != function) continue;
    if (failure->after > 0) {
      --failure->after;
      return {};
    }
    const NvmlStatus status = failure->status;
    state.failures.erase(failure);
    return status;
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<FakeNvml>> FakeNvml::Open(std::string path) {
  auto fake = std::make_unique<FakeNvml>(FakeState{});
  fake->path_ = std::move(path);
  MIG_TRY(fake->State());
  return fake;
}

Result<> FakeNvml::Use(const std::function<Result<>(FakeState&)>& use) {
  const std::lock_guard lock(mutex_);
  if (path_.empty()) {
    auto used = use(state_);
    changed_.notify_all();
    return used;
  }
  MIG_ASSIGN(const os::UniqueFd file, OpenLocked(path_));
  MIG_ASSIGN(const std::string before, ReadAll(file.get()));
  auto parsed = ParseFakeState(before);
  if (!parsed) return std::unexpected(std::move(parsed).error().While(fmt::format("reading [{}]", path_)));
  const std::string known = FakeStateJson(*parsed);
  auto used = use(*parsed);
  if (std::string after = FakeStateJson(*parsed); after != known) MIG_TRY(WriteAll(file.get(), after));
  return used;
}

Result<> FakeNvml::Change(const std::function<void(FakeState&)>& change) {
  return Use([&](FakeState& state) -> Result<> {
    change(state);
    return {};
  });
}

Result<FakeState> FakeNvml::State() {
  FakeState copy;
  MIG_TRY(Change([&](FakeState& state) { copy = state; }));
  return copy;
}

template <typename Answer>
auto FakeNvml::Ask(const char* function, Needs needs, uint32_t gpu, Answer answer)
    -> decltype(answer(std::declval<FakeGpu&>())) {
  decltype(answer(std::declval<FakeGpu&>())) result;
  MIG_TRY(Use([&](FakeState& state) -> Result<> {
    const auto refuse = [&](NvmlStatus status) { return std::unexpected(NvmlError(status, function)); };
    if (const auto injected = TakeFailure(state, function)) return refuse(*injected);
    if (gpu >= state.gpus.size()) return refuse(NvmlStatus::kInvalidArgument);
    if (state.gpus[gpu].lost) return refuse(NvmlStatus::kGpuIsLost);
    if (needs == Needs::kRoot && !state.root) return refuse(NvmlStatus::kNoPermission);
    result = answer(state.gpus[gpu]);
    return {};
  }));
  return result;
}

Result<std::string> FakeNvml::DriverVersion() {
  MIG_ASSIGN(const FakeState state, State());
  return state.driver_version;
}

Result<uint32_t> FakeNvml::GpuCount() {
  MIG_ASSIGN(const FakeState state, State());
  return static_cast<uint32_t>(state.gpus.size());
}

Result<GpuIdentity> FakeNvml::Gpu(uint32_t gpu) {
  return Ask("nvmlDeviceGetUUID", Needs::kNothing, gpu, [](FakeGpu& g) -> Result<GpuIdentity> {
    return GpuIdentity{g.uuid, g.name, g.memory_mib, g.compute_capability, g.pci_bus_id, g.pci_device, g.pci_subsystem};
  });
}

Result<std::optional<MigMode>> FakeNvml::Mode(uint32_t gpu) {
  return Ask("nvmlDeviceGetMigMode", Needs::kNothing, gpu, [](FakeGpu& g) -> Result<std::optional<MigMode>> {
    return g.mig_capable ? std::optional(g.mode) : std::nullopt;
  });
}

Result<ModeChange> FakeNvml::SetMode(uint32_t gpu, bool enabled) {
  return Ask("nvmlDeviceSetMigMode", Needs::kRoot, gpu, [&](FakeGpu& g) { return g.SetMode(enabled); });
}

Result<std::vector<MigDevice>> FakeNvml::MigDevices(uint32_t gpu) {
  return Ask("nvmlDeviceGetMigDeviceHandleByIndex", Needs::kNothing, gpu,
             [](FakeGpu& g) -> Result<std::vector<MigDevice>> { return g.Devices(); });
}

Result<std::vector<GpuProfile>> FakeNvml::Profiles(uint32_t gpu) {
  return Ask("nvmlDeviceGetGpuInstanceProfileInfoV", Needs::kNothing, gpu, [](FakeGpu& g) { return g.Profiles(); });
}

Result<std::vector<Placement>> FakeNvml::Placements(uint32_t gpu, uint32_t profile_id) {
  return Ask("nvmlDeviceGetGpuInstancePossiblePlacements_v2", Needs::kRoot, gpu,
             [&](FakeGpu& g) { return g.Placements(profile_id); });
}

Result<uint32_t> FakeNvml::Remaining(uint32_t gpu, uint32_t profile_id) {
  return Ask("nvmlDeviceGetGpuInstanceRemainingCapacity", Needs::kRoot, gpu,
             [&](FakeGpu& g) { return g.Remaining(profile_id); });
}

Result<std::vector<GpuInstance>> FakeNvml::GpuInstances(uint32_t gpu) {
  return Ask("nvmlDeviceGetGpuInstances", Needs::kRoot, gpu, [](FakeGpu& g) -> Result<std::vector<GpuInstance>> {
    if (!g.mode.current) return std::unexpected(NvmlError(NvmlStatus::kNotSupported, "nvmlDeviceGetGpuInstances"));
    std::vector<GpuInstance> instances;
    for (const FakeGpuInstance& i : g.instances) instances.push_back({i.id, i.profile_id, i.placement});
    return instances;
  });
}

Result<uint32_t> FakeNvml::CreateGpuInstance(uint32_t gpu, uint32_t profile_id, Placement placement) {
  return Ask("nvmlDeviceCreateGpuInstanceWithPlacement", Needs::kRoot, gpu,
             [&](FakeGpu& g) { return g.CreateInstance(profile_id, placement); });
}

Result<> FakeNvml::DestroyGpuInstance(uint32_t gpu, uint32_t id) {
  return Ask("nvmlGpuInstanceDestroy", Needs::kRoot, gpu, [&](FakeGpu& g) { return g.DestroyInstance(id); });
}

Result<std::vector<ComputeProfile>> FakeNvml::ComputeProfiles(uint32_t gpu, uint32_t gpu_instance) {
  return Ask("nvmlGpuInstanceGetComputeInstanceProfileInfo", Needs::kRoot, gpu,
             [&](FakeGpu& g) { return g.ComputeProfiles(gpu_instance); });
}

Result<std::vector<ComputeInstance>> FakeNvml::ComputeInstances(uint32_t gpu, uint32_t gpu_instance) {
  return Ask("nvmlGpuInstanceGetComputeInstances", Needs::kRoot, gpu,
             [&](FakeGpu& g) -> Result<std::vector<ComputeInstance>> {
               const auto found = std::ranges::find(g.instances, gpu_instance, &FakeGpuInstance::id);
               if (found == g.instances.end())
                 return std::unexpected(NvmlError(NvmlStatus::kNotFound, "nvmlDeviceGetGpuInstanceById"));
               std::vector<ComputeInstance> instances;
               for (const FakeComputeInstance& c : found->compute)
                 instances.push_back({c.id, c.profile_id, c.placement});
               return instances;
             });
}

Result<uint32_t> FakeNvml::CreateComputeInstance(uint32_t gpu, uint32_t gpu_instance, uint32_t profile_id) {
  return Ask("nvmlGpuInstanceCreateComputeInstance", Needs::kRoot, gpu,
             [&](FakeGpu& g) { return g.CreateCompute(gpu_instance, profile_id); });
}

Result<> FakeNvml::DestroyComputeInstance(uint32_t gpu, uint32_t gpu_instance, uint32_t id) {
  return Ask("nvmlComputeInstanceDestroy", Needs::kRoot, gpu,
             [&](FakeGpu& g) { return g.DestroyCompute(gpu_instance, id); });
}

Result<std::vector<GpuProcess>> FakeNvml::Processes(uint32_t gpu) {
  return Ask("nvmlDeviceGetComputeRunningProcesses_v3", Needs::kNothing, gpu,
             [](FakeGpu& g) -> Result<std::vector<GpuProcess>> { return g.processes; });
}

class FakeNvml::Events : public XidEvents {
 public:
  Events(FakeNvml& fake, const FakeState& state) : fake_(fake), seen_(state.xids.size()), lost_(Lost(state)) {}

  Result<std::optional<XidEvent>> Wait(uint32_t timeout_ms) override {
    using Clock = std::chrono::steady_clock;
    const auto deadline = Clock::now() + std::chrono::milliseconds(timeout_ms);
    for (;;) {
      MIG_ASSIGN(const FakeState state, fake_.State());
      if (Lost(state) > lost_) return std::unexpected(NvmlError(NvmlStatus::kGpuIsLost, "nvmlEventSetWait_v2"));
      if (seen_ < state.xids.size()) return std::optional(state.xids[seen_++]);
      const auto now = Clock::now();
      if (now >= deadline) return std::optional<XidEvent>{};
      WaitForChange(state, std::min(deadline, fake_.path_.empty() ? deadline : now + kFilePeriod));
    }
  }

 private:
  void WaitForChange(const FakeState& known, std::chrono::steady_clock::time_point until) {
    std::unique_lock lock(fake_.mutex_);
    fake_.changed_.wait_until(
        lock, until, [&] { return fake_.state_.xids.size() > known.xids.size() || Lost(fake_.state_) > lost_; });
  }

  static ptrdiff_t Lost(const FakeState& state) { return std::ranges::count(state.gpus, true, &FakeGpu::lost); }

  FakeNvml& fake_;
  size_t seen_;
  ptrdiff_t lost_;  // GPUs that nothing more is heard of
};

Result<std::unique_ptr<XidEvents>> FakeNvml::WatchXids() {
  MIG_ASSIGN(const FakeState state, State());
  return std::make_unique<Events>(*this, state);
}

Result<std::unique_ptr<Nvml>> OpenFakeNvml(const std::string& path) {
  MIG_ASSIGN(auto fake, FakeNvml::Open(path));
  return fake;
}

}  // namespace mignificient::device
