// NVML's interface as far as libnvidia-ml.so.1 here speaks it. Our own declarations, after NVIDIA's public "NVML API
// Reference" (docs.nvidia.com/deploy/nvml-api): result codes, constants, and the layouts of structs, which are part of
// its stable interface. Checked against the struct definitions that pynvml carries.
#pragma once

#include <cstddef>
#include <cstdint>

#define MIG_EXPORT extern "C" __attribute__((visibility("default")))

namespace mignificient::nvml {

enum Return : int {
  kSuccess = 0,
  kUninitialized = 1,
  kInvalidArgument = 2,
  kNotSupported = 3,
  kNotFound = 6,
  kInsufficientSize = 7,
  kDriverNotLoaded = 9,
  kTimeout = 10,
  kGpuIsLost = 15,
  kArgumentVersionMismatch = 25,
};

struct DeviceHandle;  // never complete: its address is what counts
using Device = const DeviceHandle*;

// nvmlEnableState_t
inline constexpr int kDisabled = 0, kEnabled = 1;
// What a number is that is not known.
inline constexpr unsigned long long kNotAvailable = ~0ull;
inline constexpr unsigned kNoInstance = 0xffffffff;

// nvmlPciInfo_t. Version 2 lacks bus_id, version 1 also subsystem.
struct PciInfo {
  char bus_id_legacy[16];  // "0000:0B:00.0"
  unsigned domain, bus, device;
  unsigned device_and_vendor;
  unsigned subsystem;
  char bus_id[32];  // "00000000:0B:00.0"
};
static_assert(offsetof(PciInfo, subsystem) == 32 && offsetof(PciInfo, bus_id) == 36 && sizeof(PciInfo) == 68);

struct Memory {  // nvmlMemory_t, in bytes
  unsigned long long total, free, used;
};
static_assert(sizeof(Memory) == 24);

struct Memory2 {  // nvmlMemory_v2_t
  unsigned version;
  unsigned long long total, reserved, free, used;
};
static_assert(offsetof(Memory2, total) == 8 && sizeof(Memory2) == 40);

struct Process1 {  // nvmlProcessInfo_v1_t
  unsigned pid;
  unsigned long long used_bytes;
};
static_assert(sizeof(Process1) == 16);

struct Process2 {  // nvmlProcessInfo_v2_t, also nvmlProcessInfo_t of version 3
  unsigned pid;
  unsigned long long used_bytes;
  unsigned gpu_instance, compute_instance;
};
static_assert(offsetof(Process2, gpu_instance) == 16 && sizeof(Process2) == 24);

struct FieldValue {  // nvmlFieldValue_t
  unsigned field, scope;
  long long timestamp_us, latency_us;
  unsigned value_type;
  int result;
  unsigned long long value;
};
static_assert(offsetof(FieldValue, result) == 28 && sizeof(FieldValue) == 40);

struct ConfidentialState {  // nvmlConfComputeSystemState_t
  unsigned environment, feature, developer_tools;
};

struct ConfidentialSettings {  // nvmlSystemConfComputeSettings_v1_t
  unsigned version, environment, feature, developer_tools, multi_gpu;
};
static_assert(sizeof(ConfidentialSettings) == 20);

// What a versioned struct must say of itself.
template <typename Struct>
constexpr unsigned StructVersion(unsigned number) {
  return static_cast<unsigned>(sizeof(Struct)) | number << 24;
}

}  // namespace mignificient::nvml
