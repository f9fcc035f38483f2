// What GPUs and partitions this node has: the content of devices.json. Immutable once made.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mignificient::device {

enum class Driver { kCuda, kCpu };  // kCpu: the software GPU

std::string_view DriverName(Driver driver);  // "cuda", "cpu": also the GPU server's --driver

// A NVIDIA MIG instance, or a partition of the software GPU.
struct Instance {
  std::string uuid;           // "MIG-..."; addresses the instance
  std::string mig_size;       // "3g"
  std::string instance_size;  // "3g.40gb"
  uint64_t memory_mib = 0;
  uint32_t compute_units = 0;  // streaming multiprocessors
};

struct Gpu {
  std::string uuid;  // "GPU-..."
  uint32_t index = 0;
  std::string name;
  uint64_t memory_mib = 0;
  std::string compute_capability;  // "9.0"
  Driver driver = Driver::kCuda;
  std::vector<Instance> instances;  // empty: the GPU is used whole
};

struct Inventory {
  std::vector<Gpu> gpus;
};

// What functions are placed on: an instance, or a GPU without instances.
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

// devices.json (CONTRACT 3). Fields beyond the contract: `name`, and `driver` ("cuda", the default, or "cpu").
// Errors name the field: "Field [gpus[0].instances[1].memory] is missing."
Result<Inventory> ParseInventory(std::string_view json);
std::string InventoryJson(const Inventory& inventory);  // indented, ends with a newline; parses back to the same
Result<Inventory> ReadInventory(const std::string& path);

enum class Preference { kAutomatic, kCuda, kCpu };

// Asks NVML; where there is no NVIDIA driver or no GPU, kAutomatic gives the software GPU's partitions. kCuda fails
// with kUnavailable instead.
Result<Inventory> Discover(Preference preference = Preference::kAutomatic);

// One software GPU with a `3g` and a `4g` partition.
Inventory SoftwareInventory();

}  // namespace mignificient::device
