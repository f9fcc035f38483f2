// What the driver says of an H100 80GB in MIG mode: the table of `nvidia-smi mig -lgip`, possible placements
// (`-lgipp`), both read from a real one (driver 580.159.04), and compute instance profiles (`-lcip`) after NVIDIA's MIG
// User Guide.
#pragma once

#include <span>
#include <vector>

#include "device/nvml.h"

namespace mignificient::device {

inline constexpr uint32_t kH100MemorySlices = 8;
inline constexpr uint32_t kH100ComputeSlices = 7;

struct FakeGpuProfile {
  GpuProfile profile;
  std::vector<Placement> placements;
};

struct FakeComputeProfile {
  ComputeProfile profile;
  std::vector<Placement> placements;
};

std::span<const FakeGpuProfile> H100GpuProfiles();
// Null where there is none.
const FakeGpuProfile* FindH100GpuProfile(uint32_t id);
const FakeGpuProfile* FindH100GpuProfile(std::string_view name);
// Within GPU instances of one profile.
std::vector<FakeComputeProfile> H100ComputeProfiles(const GpuProfile& of);

}  // namespace mignificient::device
