// What one GPU has to do with MIG now, as far as NVML tells.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "device/mig_plan.h"
#include "device/nvml.h"

namespace mignificient::device {

struct GpuMig {
  uint32_t index = 0;
  GpuIdentity identity;
  std::optional<MigMode> mode;         // none: no MIG on this GPU
  ProfileTable table;                  // empty while MIG mode is off, unless the driver tells it even then
  std::vector<MigInstance> instances;  // with what runs in them
  std::vector<MigDevice> devices;
  std::vector<GpuProcess> processes;

  bool enabled() const { return mode && mode->current; }
};

// kForbidden where it is asked by somebody else than root and the GPU is in MIG mode.
Result<GpuMig> ReadGpuMig(Nvml& nvml, uint32_t gpu);
Result<std::vector<GpuMig>> ReadAllMig(Nvml& nvml);

}  // namespace mignificient::device
