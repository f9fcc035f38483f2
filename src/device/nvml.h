// The few questions that discovery asks the NVIDIA management library, behind an interface: the real library where
// there is one, a fake in tests.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "device/inventory.h"

namespace mignificient::device {

class Nvml {
 public:
  struct Identity {
    std::string uuid;
    std::string name;
    uint64_t memory_mib = 0;
  };
  struct InstanceIdentity {
    std::string uuid;
    std::string name;  // "NVIDIA H100 80GB HBM3 MIG 3g.40gb"
    uint64_t memory_mib = 0;
    uint32_t slices = 0;           // of the GPU instance
    uint32_t multiprocessors = 0;  // of the compute instance
  };

  virtual ~Nvml() = default;
  virtual Result<uint32_t> GpuCount() = 0;
  virtual Result<Identity> Gpu(uint32_t index) = 0;
  virtual Result<std::string> ComputeCapability(uint32_t index) = 0;
  virtual Result<bool> MigEnabled(uint32_t index) = 0;
  virtual Result<uint32_t> InstanceSlots(uint32_t index) = 0;
  // nullopt: the slot is empty.
  virtual Result<std::optional<InstanceIdentity>> InstanceAt(uint32_t index, uint32_t slot) = 0;
};

// dlopens libnvidia-ml.so.1. kUnavailable where it is not there or finds no driver.
Result<std::unique_ptr<Nvml>> OpenNvml();

Result<Inventory> DiscoverWith(Nvml& nvml);

}  // namespace mignificient::device
