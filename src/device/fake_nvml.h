// An NVML that plays H100s: profile table, placements, MIG mode, GPU and compute instances, errors, Xid events. For
// tests, where the state is in memory, and for trying MIG on any machine, where it is in a JSON file that all programs
// share. Its GPUs are driven by the software GPU, so functions run on their instances.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>

#include "device/fake_state.h"
#include "device/nvml.h"

namespace mignificient::device {

class FakeNvml : public Nvml {
 public:
  explicit FakeNvml(FakeState state) : state_(std::move(state)) {}
  // Reads the file anew for each question and writes it after each change, under a lock of the file.
  static Result<std::unique_ptr<FakeNvml>> Open(std::string path);

  // What tests do to the GPUs behind the back of who asks. The state as it is now.
  Result<> Change(const std::function<void(FakeState&)>& change);
  Result<FakeState> State();

  Driver driver() const override { return Driver::kCpu; }
  std::string LockPath() const override { return path_.empty() ? "" : path_ + ".mig-lock"; }
  Result<std::string> DriverVersion() override;
  Result<uint32_t> GpuCount() override;
  Result<GpuIdentity> Gpu(uint32_t gpu) override;
  Result<std::optional<MigMode>> Mode(uint32_t gpu) override;
  Result<ModeChange> SetMode(uint32_t gpu, bool enabled) override;
  Result<std::vector<MigDevice>> MigDevices(uint32_t gpu) override;
  Result<std::vector<GpuProfile>> Profiles(uint32_t gpu) override;
  Result<std::vector<Placement>> Placements(uint32_t gpu, uint32_t profile_id) override;
  Result<uint32_t> Remaining(uint32_t gpu, uint32_t profile_id) override;
  Result<std::vector<GpuInstance>> GpuInstances(uint32_t gpu) override;
  Result<uint32_t> CreateGpuInstance(uint32_t gpu, uint32_t profile_id, Placement placement) override;
  Result<> DestroyGpuInstance(uint32_t gpu, uint32_t id) override;
  Result<std::vector<ComputeProfile>> ComputeProfiles(uint32_t gpu, uint32_t gpu_instance) override;
  Result<std::vector<ComputeInstance>> ComputeInstances(uint32_t gpu, uint32_t gpu_instance) override;
  Result<uint32_t> CreateComputeInstance(uint32_t gpu, uint32_t gpu_instance, uint32_t profile_id) override;
  Result<> DestroyComputeInstance(uint32_t gpu, uint32_t gpu_instance, uint32_t id) override;
  Result<std::vector<GpuProcess>> Processes(uint32_t gpu) override;
  Result<std::unique_ptr<XidEvents>> WatchXids() override;

 private:
  class Events;
  enum class Needs { kNothing, kRoot };

  // Runs `use` on the state, which is read before and written after if it changed.
  Result<> Use(const std::function<Result<>(FakeState&)>& use);
  // One call of NVML about one GPU: injected failures, rights, lost GPUs, then `answer`.
  template <typename Answer>
  auto Ask(const char* function, Needs needs, uint32_t gpu, Answer answer)
      -> decltype(answer(std::declval<FakeGpu&>()));

  std::mutex mutex_;
  std::condition_variable changed_;
  std::string path_;  // empty: the state lives here alone
  FakeState state_;
};

Result<std::unique_ptr<Nvml>> OpenFakeNvml(const std::string& path);

}  // namespace mignificient::device
