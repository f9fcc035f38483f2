// The part of NVML's binary interface that nvml.cc calls. Our own declarations: there is no nvml.h where this is built.
//
// Where each layout comes from: "NVML API Reference" (docs.nvidia.com/deploy/nvml-api), sections "Multi Instance GPU
// Management", "Event Handling Methods" and "Device Structs"; field by field and size by size compared with the
// definitions that NVIDIA's Go binding (go-nvml, types_gen.go) and Python binding (pynvml) carry. Layouts are part of
// NVML's stable interface; a versioned struct says its size itself, and the library refuses another one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mignificient::device::abi {

// nvmlDevice_t, nvmlGpuInstance_t, nvmlComputeInstance_t, nvmlEventSet_t: each a pointer that we only hand back.
struct DeviceHandle;
struct GpuInstanceHandle;
struct ComputeInstanceHandle;
struct EventSetHandle;
using Device = DeviceHandle*;
using GpuInstance = GpuInstanceHandle*;
using ComputeInstance = ComputeInstanceHandle*;
using EventSet = EventSetHandle*;

// NVML_DEVICE_UUID_V2_BUFFER_SIZE, NVML_DEVICE_NAME_V2_BUFFER_SIZE
inline constexpr unsigned kTextBytes = 96;
inline constexpr unsigned kDriverVersionBytes = 80;  // NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE

// Profiles are asked for by number: NVML_GPU_INSTANCE_PROFILE_* and NVML_COMPUTE_INSTANCE_PROFILE_*. Driver 580 knows
// 0 to 0x10 and 0 to 7; a number that it does not know is answered with an error and skipped, so ours may be larger.
inline constexpr unsigned kGpuProfileNumbers = 0x20;
inline constexpr unsigned kComputeProfileNumbers = 0x10;
inline constexpr unsigned kSharedEngines = 0;  // NVML_COMPUTE_INSTANCE_ENGINE_PROFILE_SHARED

inline constexpr unsigned long long kEventXid = 0x8;  // nvmlEventTypeXidCriticalError

// What a versioned struct must say of itself: NVML_STRUCT_VERSION(data, number).
template <typename Struct>
constexpr unsigned StructVersion(unsigned number) {
  return static_cast<unsigned>(sizeof(Struct)) | number << 24;
}

struct Memory {  // nvmlMemory_t, in bytes
  unsigned long long total, free, used;
};
static_assert(sizeof(Memory) == 24);

struct PciInfo {  // nvmlPciInfo_t as of nvmlDeviceGetPciInfo_v3
  char bus_id_legacy[16];
  unsigned domain, bus, device;
  unsigned device_and_vendor;  // 0x233010DE
  unsigned subsystem;
  char bus_id[32];  // "00000000:0B:00.0"
};
static_assert(offsetof(PciInfo, bus_id) == 36 && sizeof(PciInfo) == 68);

struct Attributes {  // nvmlDeviceAttributes_t
  unsigned multiprocessors, copy_engines, decoders, encoders, jpeg, ofa, gpu_slices, compute_slices;
  unsigned long long memory_mib;
};
static_assert(offsetof(Attributes, memory_mib) == 32 && sizeof(Attributes) == 40);

struct ProcessInfo {  // nvmlProcessInfo_t as of nvmlDeviceGetComputeRunningProcesses_v3
  unsigned pid;
  unsigned long long used_bytes;
  unsigned gpu_instance, compute_instance;  // 0xFFFFFFFF: none
};
static_assert(offsetof(ProcessInfo, gpu_instance) == 16 && sizeof(ProcessInfo) == 24);

struct Placement {  // nvmlGpuInstancePlacement_t, nvmlComputeInstancePlacement_t
  unsigned start, size;
};

struct GpuProfile {  // nvmlGpuInstanceProfileInfo_t
  unsigned id, peer_to_peer, slices, instances, multiprocessors, copy_engines, decoders, encoders, jpeg, ofa;
  unsigned long long memory_mib;
};
static_assert(offsetof(GpuProfile, memory_mib) == 40 && sizeof(GpuProfile) == 48);

struct GpuProfile2 {  // nvmlGpuInstanceProfileInfo_v2_t; its version word is 0x02000098
  unsigned version;
  unsigned id, peer_to_peer, slices, instances, multiprocessors, copy_engines, decoders, encoders, jpeg, ofa;
  unsigned long long memory_mib;
  char name[kTextBytes];
};
static_assert(offsetof(GpuProfile2, memory_mib) == 48 && sizeof(GpuProfile2) == 152);
static_assert(StructVersion<GpuProfile2>(2) == 0x02000098);

struct GpuInstanceInfo {  // nvmlGpuInstanceInfo_t
  Device device;
  unsigned id, profile_id;
  Placement placement;  // memory slices
};
static_assert(offsetof(GpuInstanceInfo, placement) == 16 && sizeof(GpuInstanceInfo) == 24);

struct ComputeProfile {  // nvmlComputeInstanceProfileInfo_t
  unsigned id, slices, instances, multiprocessors, copy_engines, decoders, encoders, jpeg, ofa;
};
static_assert(sizeof(ComputeProfile) == 36);

struct ComputeInstanceInfo {  // nvmlComputeInstanceInfo_t as of nvmlComputeInstanceGetInfo_v2
  Device device;
  GpuInstance gpu_instance;
  unsigned id, profile_id;
  Placement placement;  // compute slices
};
static_assert(offsetof(ComputeInstanceInfo, id) == 16 && sizeof(ComputeInstanceInfo) == 32);

struct EventData {  // nvmlEventData_t as of nvmlEventSetWait_v2
  Device device;
  unsigned long long type, data;  // data: the Xid
  unsigned gpu_instance, compute_instance;
};
static_assert(offsetof(EventData, gpu_instance) == 24 && sizeof(EventData) == 32);

}  // namespace mignificient::device::abi
