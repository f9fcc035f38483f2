// The questions and orders that we have for the NVIDIA management library, behind an interface: the real library where
// there is one (nvml.cc), a faithful fake for tests and laptops (fake_nvml.h).
//
// GPUs are named by NVML's index, MIG instances by the ids that NVML and nvidia-smi show. Every function may be called
// from any thread. Errors are NvmlError's (nvml_status.h): kUnsupported, kForbidden (not root), kNotFound, kExhausted
// (no room, or in use), kUnavailable (GPU is lost, driver is gone); the sentence names NVML's function and status.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "device/inventory.h"

namespace mignificient::device {

inline constexpr uint32_t kNoInstance = 0xffffffff;  // "not in a MIG instance"

struct GpuIdentity {
  std::string uuid;
  std::string name;
  uint64_t memory_mib = 0;
  std::string compute_capability;  // "9.0"
  std::string pci_bus_id;          // "00000000:0B:00.0"
  uint32_t pci_device = 0;         // device and vendor: 0x233010DE
  uint32_t pci_subsystem = 0;      // the same of the board
};

// A MIG device: a compute instance with its GPU instance, as CUDA programs see it.
struct MigDevice {
  std::string uuid;
  std::string name;  // "NVIDIA H100 80GB HBM3 MIG 3g.40gb"
  uint64_t memory_mib = 0;
  uint32_t slices = 0;           // of the GPU instance
  uint32_t multiprocessors = 0;  // of the compute instance
  uint32_t gpu_instance = kNoInstance;
  uint32_t compute_instance = kNoInstance;
};

// What became of an order to switch MIG mode.
enum class ModeChange {
  kDone,
  kInUse,          // pending: something uses the GPU; takes effect when it is idle and asked again, or after a reset
  kResetRequired,  // pending: takes effect after a reset of the GPU or of the machine
};

// What GPU instances of one kind are. Slices here are compute slices.
struct GpuProfile {
  uint32_t id = 0;   // as nvidia-smi shows it: 19
  std::string name;  // "1g.10gb", "1g.10gb+me"
  uint32_t slices = 0;
  uint32_t instances = 0;  // at most so many on the whole GPU
  uint32_t multiprocessors = 0;
  uint64_t memory_mib = 0;
};

// What compute instances of one kind are, within one GPU instance.
struct ComputeProfile {
  uint32_t id = 0;
  uint32_t slices = 0;
  uint32_t instances = 0;
  uint32_t multiprocessors = 0;
};

struct GpuInstance {
  uint32_t id = 0;
  uint32_t profile_id = 0;
  Placement placement;  // memory slices
};

struct ComputeInstance {
  uint32_t id = 0;
  uint32_t profile_id = 0;
  Placement placement;  // compute slices of the GPU instance
};

struct GpuProcess {
  uint32_t pid = 0;
  uint32_t gpu_instance = kNoInstance;
  uint32_t compute_instance = kNoInstance;
};

struct XidEvent {
  std::string gpu_uuid;
  uint64_t xid = 0;
  uint32_t gpu_instance = kNoInstance;  // kNoInstance: the whole GPU
  uint32_t compute_instance = kNoInstance;
};

// Critical Xid errors of all GPUs since it was made. For one thread.
class XidEvents {
 public:
  virtual ~XidEvents() = default;
  // The next event, waiting for at most so long. nullopt: none came. kUnavailable: a GPU is lost, or the driver.
  virtual Result<std::optional<XidEvent>> Wait(uint32_t timeout_ms) = 0;
};

class Nvml {
 public:
  virtual ~Nvml() = default;

  // Who carries out CUDA on these GPUs: kCuda, or kCpu where they are only played.
  virtual Driver driver() const = 0;
  // What whoever partitions these GPUs locks (mig_lock.h); empty where nobody else sees them.
  virtual std::string LockPath() const = 0;
  virtual Result<std::string> DriverVersion() = 0;
  virtual Result<uint32_t> GpuCount() = 0;
  virtual Result<GpuIdentity> Gpu(uint32_t gpu) = 0;

  // nullopt: the GPU knows no MIG mode.
  virtual Result<std::optional<MigMode>> Mode(uint32_t gpu) = 0;
  virtual Result<ModeChange> SetMode(uint32_t gpu, bool enabled) = 0;

  // Those that exist. Needs no rights.
  virtual Result<std::vector<MigDevice>> MigDevices(uint32_t gpu) = 0;

  // kUnsupported while MIG mode is off, says the documentation; driver 580 answers then, too.
  virtual Result<std::vector<GpuProfile>> Profiles(uint32_t gpu) = 0;
  // Where instances of a profile may lie, whatever exists; how many more of them fit at best. Root only.
  virtual Result<std::vector<Placement>> Placements(uint32_t gpu, uint32_t profile_id) = 0;
  virtual Result<uint32_t> Remaining(uint32_t gpu, uint32_t profile_id) = 0;

  // Root only, all of them. Creating gives the new id.
  virtual Result<std::vector<GpuInstance>> GpuInstances(uint32_t gpu) = 0;
  virtual Result<uint32_t> CreateGpuInstance(uint32_t gpu, uint32_t profile_id, Placement placement) = 0;
  virtual Result<> DestroyGpuInstance(uint32_t gpu, uint32_t id) = 0;
  virtual Result<std::vector<ComputeProfile>> ComputeProfiles(uint32_t gpu, uint32_t gpu_instance) = 0;
  virtual Result<std::vector<ComputeInstance>> ComputeInstances(uint32_t gpu, uint32_t gpu_instance) = 0;
  virtual Result<uint32_t> CreateComputeInstance(uint32_t gpu, uint32_t gpu_instance, uint32_t profile_id) = 0;
  virtual Result<> DestroyComputeInstance(uint32_t gpu, uint32_t gpu_instance, uint32_t id) = 0;

  // Processes with a CUDA context.
  virtual Result<std::vector<GpuProcess>> Processes(uint32_t gpu) = 0;

  // Must not outlive this object.
  virtual Result<std::unique_ptr<XidEvents>> WatchXids() = 0;
};

// dlopens libnvidia-ml.so.1. kUnavailable where it is not there or finds no driver.
Result<std::unique_ptr<Nvml>> OpenRealNvml();

// What `which` names: "" the real library, "fake:FILE" the fake that FILE describes (docs/devices.md).
// kInvalidArgument for anything else.
Result<std::unique_ptr<Nvml>> OpenNvml(const std::string& which);

// Everything that there is. A GPU that is lost is left out and told of in `troubles`.
Result<Inventory> DiscoverWith(Nvml& nvml);

}  // namespace mignificient::device
