// libnvidia-ml.so.1 and the functions of it that we call.
#pragma once

#include <memory>

#include "base/result.h"
#include "device/nvml_abi.h"

namespace mignificient::device {

// The first group is in every NVML that we can use. The second is for MIG and events, which older libraries do not
// know: a null function there counts as NVML_ERROR_NOT_SUPPORTED.
struct NvmlLibrary {
  NvmlLibrary() = default;
  NvmlLibrary(const NvmlLibrary&) = delete;
  NvmlLibrary& operator=(const NvmlLibrary&) = delete;
  ~NvmlLibrary();

  void* handle = nullptr;
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  const char* (*error_text)(int) = nullptr;
  int (*driver_version)(char*, unsigned) = nullptr;
  int (*count)(unsigned*) = nullptr;
  int (*by_index)(unsigned, abi::Device*) = nullptr;
  int (*uuid)(abi::Device, char*, unsigned) = nullptr;
  int (*name)(abi::Device, char*, unsigned) = nullptr;
  int (*memory)(abi::Device, abi::Memory*) = nullptr;
  int (*capability)(abi::Device, int*, int*) = nullptr;
  int (*pci)(abi::Device, abi::PciInfo*) = nullptr;

  int (*mig_mode)(abi::Device, unsigned*, unsigned*) = nullptr;
  int (*set_mig_mode)(abi::Device, unsigned, int*) = nullptr;
  int (*mig_slots)(abi::Device, unsigned*) = nullptr;
  int (*mig_device)(abi::Device, unsigned, abi::Device*) = nullptr;
  int (*attributes)(abi::Device, abi::Attributes*) = nullptr;
  int (*gpu_instance_id)(abi::Device, unsigned*) = nullptr;
  int (*compute_instance_id)(abi::Device, unsigned*) = nullptr;
  int (*processes)(abi::Device, unsigned*, abi::ProcessInfo*) = nullptr;
  int (*gpu_profile)(abi::Device, unsigned, abi::GpuProfile*) = nullptr;
  int (*gpu_profile_named)(abi::Device, unsigned, abi::GpuProfile2*) = nullptr;
  int (*placements)(abi::Device, unsigned, abi::Placement*, unsigned*) = nullptr;
  int (*remaining)(abi::Device, unsigned, unsigned*) = nullptr;
  int (*create_gpu_instance)(abi::Device, unsigned, const abi::Placement*, abi::GpuInstance*) = nullptr;
  int (*destroy_gpu_instance)(abi::GpuInstance) = nullptr;
  int (*gpu_instances)(abi::Device, unsigned, abi::GpuInstance*, unsigned*) = nullptr;
  int (*gpu_instance_by_id)(abi::Device, unsigned, abi::GpuInstance*) = nullptr;
  int (*gpu_instance_info)(abi::GpuInstance, abi::GpuInstanceInfo*) = nullptr;
  int (*compute_profile)(abi::GpuInstance, unsigned, unsigned, abi::ComputeProfile*) = nullptr;
  int (*create_compute_instance)(abi::GpuInstance, unsigned, abi::ComputeInstance*) = nullptr;
  int (*destroy_compute_instance)(abi::ComputeInstance) = nullptr;
  int (*compute_instances)(abi::GpuInstance, unsigned, abi::ComputeInstance*, unsigned*) = nullptr;
  int (*compute_instance_by_id)(abi::GpuInstance, unsigned, abi::ComputeInstance*) = nullptr;
  int (*compute_instance_info)(abi::ComputeInstance, abi::ComputeInstanceInfo*) = nullptr;
  int (*event_set_create)(abi::EventSet*) = nullptr;
  int (*event_set_free)(abi::EventSet) = nullptr;
  int (*event_set_wait)(abi::EventSet, abi::EventData*, unsigned) = nullptr;
  int (*register_events)(abi::Device, unsigned long long, abi::EventSet) = nullptr;
};

// From the host's library, never our own stand-in for tenants. Not initialised yet. kUnavailable where it is missing.
Result<std::unique_ptr<NvmlLibrary>> LoadNvmlLibrary();

}  // namespace mignificient::device
