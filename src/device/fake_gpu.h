// What one GPU of the fake is and does: MIG mode, GPU instances, compute instances, with the driver's rules and errors.
// State and rules only; who may ask, where the state is kept and who waits for events is FakeNvml's matter.
#pragma once

#include <string>
#include <vector>

#include "device/nvml.h"

namespace mignificient::device {

struct FakeComputeInstance {
  uint32_t id = 0;
  uint32_t profile_id = 0;
  Placement placement;
};

struct FakeGpuInstance {
  uint32_t id = 0;
  uint32_t profile_id = 0;
  Placement placement;
  std::vector<FakeComputeInstance> compute;
};

// An H100 80GB unless `mig_capable` is false.
struct FakeGpu {
  std::string uuid;
  std::string name = "NVIDIA H100 80GB HBM3";
  uint64_t memory_mib = 81559;
  std::string compute_capability = "9.0";
  std::string pci_bus_id;
  uint32_t pci_device = 0x233010DE;
  uint32_t pci_subsystem = 0x16C110DE;
  bool mig_capable = true;
  bool mode_needs_reset = false;   // switching MIG mode stays pending until Reset, as on an A100 behind a hypervisor
  bool profiles_need_mig = false;  // the profile table is told in MIG mode only, as NVML's documentation allows
  bool lost = false;               // every question is answered with NVML_ERROR_GPU_IS_LOST
  MigMode mode;
  std::vector<FakeGpuInstance> instances;
  std::vector<GpuProcess> processes;

  Result<ModeChange> SetMode(bool enabled);
  // What `nvidia-smi --gpu-reset` does: the pending mode holds, instances and processes are gone.
  void Reset();

  // The profile table. kUnsupported while MIG mode is off, if `profiles_need_mig`.
  Result<std::vector<GpuProfile>> Profiles() const;
  Result<std::vector<Placement>> Placements(uint32_t profile_id) const;
  Result<uint32_t> Remaining(uint32_t profile_id) const;
  // The lowest free id of those that the driver gives to instances of that size (0 for all eight memory slices, 1 and 2
  // for four, 3 to 6 for two, 7 to 14 for one).
  Result<uint32_t> CreateInstance(uint32_t profile_id, Placement placement);
  Result<> DestroyInstance(uint32_t id);

  Result<std::vector<ComputeProfile>> ComputeProfiles(uint32_t instance) const;
  // At the first free place.
  Result<uint32_t> CreateCompute(uint32_t instance, uint32_t profile_id);
  Result<> DestroyCompute(uint32_t instance, uint32_t id);
  std::vector<MigDevice> Devices() const;

 private:
  bool TellsProfiles() const { return mig_capable && (mode.current || !profiles_need_mig); }
  Result<FakeGpuInstance*> Find(uint32_t id, const char* function);
  Result<const FakeGpuInstance*> Find(uint32_t id, const char* function) const;
  bool Fits(const GpuProfile& profile, Placement placement) const;
};

}  // namespace mignificient::device
