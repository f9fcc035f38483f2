// What GPUs and partitions this node has: the content of devices.json. Immutable once made.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mignificient::device {

enum class Driver { kCuda, kCpu };  // kCpu: the software GPU

std::string_view DriverName(Driver driver);  // "cuda", "cpu": also the GPU server's --driver

// A range of slices: memory slices of a GPU, compute slices of a GPU instance.
struct Placement {
  uint32_t start = 0;
  uint32_t size = 0;
  bool operator==(const Placement&) const = default;
};

struct MigMode {
  bool current = false;
  bool pending = false;  // what it becomes when the GPU is reset, or idle and asked again
  bool operator==(const MigMode&) const = default;
};

// A NVIDIA MIG instance, or a partition of the software GPU.
struct Instance {
  std::string uuid;           // "MIG-..."; addresses the instance
  std::string mig_size;       // "3g"
  std::string instance_size;  // "3g.40gb"
  uint64_t memory_mib = 0;
  uint32_t compute_units = 0;  // streaming multiprocessors
  // Where it lies, as NVML and nvidia-smi number it. None for a software partition. The placement is known to root
  // only.
  std::optional<uint32_t> gpu_instance;
  std::optional<uint32_t> compute_instance;
  std::optional<Placement> placement;  // memory slices of the GPU instance
  bool operator==(const Instance&) const = default;
};

struct Gpu {
  std::string uuid;  // "GPU-..."
  uint32_t index = 0;
  std::string name;
  uint64_t memory_mib = 0;
  std::string compute_capability;  // "9.0"
  Driver driver = Driver::kCuda;
  std::string driver_version;       // "580.159.04"
  std::string pci_bus_id;           // "00000000:0B:00.0"; empty: it is on no bus
  std::optional<MigMode> mig;       // none: it knows no MIG mode
  std::vector<Instance> instances;  // empty: the GPU is used whole, unless it is in MIG mode
};

struct Inventory {
  std::vector<Gpu> gpus;
  std::vector<std::string> troubles;  // one sentence for each GPU that is there but left out, because it is lost
};

// What functions are placed on: an instance, or a GPU without instances. A GPU in MIG mode without instances has none:
// nothing can run on it.
struct Partition {
  std::string uuid;
  std::string gpu_uuid;
  std::string mig_size;       // "7g" for a whole GPU
  std::string instance_size;  // equals the profile name for instances, "7g" for a whole GPU
  uint64_t memory_mib = 0;
  uint32_t compute_units = 0;
  Driver driver = Driver::kCuda;
  uint32_t ordinal = 0;  // position among the partitions of its driver: what the software GPU is addressed by
};
std::vector<Partition> Partitions(const Inventory& inventory);

// devices.json (CONTRACT 3); docs/devices.md lists the fields beyond it, which may all be missing.
// Errors name the field: "Field [gpus[0].instances[1].memory] is missing."
Result<Inventory> ParseInventory(std::string_view json);
std::string InventoryJson(const Inventory& inventory);  // indented, ends with a newline; parses back to the same
Result<Inventory> ReadInventory(const std::string& path);

enum class Preference { kAutomatic, kCuda, kCpu };

struct Discovery {
  Preference preference = Preference::kAutomatic;
  std::string nvml;           // "fake:FILE": ask a fake instead of the driver's library; empty: the library
  std::string software_gpus;  // what ParseSoftwareGpus reads; empty: its default
};

// From MIGNIFICIENT_NVML and MIGNIFICIENT_SOFTWARE_GPUS, for commands that read no configuration.
Discovery DiscoveryFromEnvironment(Preference preference = Preference::kAutomatic);

// Asks NVML; where there is no NVIDIA driver or no GPU, kAutomatic gives the software GPUs. kCuda fails with
// kUnavailable instead.
Result<Inventory> Discover(const Discovery& discovery);

// Software GPUs, described as "3g,4g;7g": GPUs are separated by `;`, the partitions of one by `,`. A partition is its
// size, 1g to 7g, with 1 GiB of memory for each slice, or with so many GiB as are said: 3g.8gb. The partitions of a GPU
// have at most seven slices together. `whole` is a GPU without partitions (7 GiB; whole.16gb has more). Empty: "3g,4g".
// kInvalidArgument says what is allowed.
Result<Inventory> ParseSoftwareGpus(std::string_view description);

}  // namespace mignificient::device
