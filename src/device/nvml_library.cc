#include "device/nvml_library.h"

#include <dlfcn.h>

#include "os/library.h"

namespace mignificient::device {
namespace {

template <typename Function>
void Optional(NvmlLibrary& library, Function& function, const char* name) {
  function = reinterpret_cast<Function>(::dlsym(library.handle, name));
}

template <typename Function>
Result<> Needed(NvmlLibrary& library, Function& function, const char* name) {
  Optional(library, function, name);
  if (function != nullptr) return {};
  return Fail(Code::kUnavailable, "libnvidia-ml.so.1 exports no function [{}].", name);
}

void FindMig(NvmlLibrary& l) {
  Optional(l, l.mig_mode, "nvmlDeviceGetMigMode");
  Optional(l, l.set_mig_mode, "nvmlDeviceSetMigMode");
  Optional(l, l.mig_slots, "nvmlDeviceGetMaxMigDeviceCount");
  Optional(l, l.mig_device, "nvmlDeviceGetMigDeviceHandleByIndex");
  Optional(l, l.attributes, "nvmlDeviceGetAttributes_v2");
  Optional(l, l.gpu_instance_id, "nvmlDeviceGetGpuInstanceId");
  Optional(l, l.compute_instance_id, "nvmlDeviceGetComputeInstanceId");
  Optional(l, l.processes, "nvmlDeviceGetComputeRunningProcesses_v3");
  Optional(l, l.gpu_profile, "nvmlDeviceGetGpuInstanceProfileInfo");
  Optional(l, l.gpu_profile_named, "nvmlDeviceGetGpuInstanceProfileInfoV");
  Optional(l, l.placements, "nvmlDeviceGetGpuInstancePossiblePlacements_v2");
  Optional(l, l.remaining, "nvmlDeviceGetGpuInstanceRemainingCapacity");
  Optional(l, l.create_gpu_instance, "nvmlDeviceCreateGpuInstanceWithPlacement");
  Optional(l, l.destroy_gpu_instance, "nvmlGpuInstanceDestroy");
  Optional(l, l.gpu_instances, "nvmlDeviceGetGpuInstances");
  Optional(l, l.gpu_instance_by_id, "nvmlDeviceGetGpuInstanceById");
  Optional(l, l.gpu_instance_info, "nvmlGpuInstanceGetInfo");
  Optional(l, l.compute_profile, "nvmlGpuInstanceGetComputeInstanceProfileInfo");
  Optional(l, l.create_compute_instance, "nvmlGpuInstanceCreateComputeInstance");
  Optional(l, l.destroy_compute_instance, "nvmlComputeInstanceDestroy");
  Optional(l, l.compute_instances, "nvmlGpuInstanceGetComputeInstances");
  Optional(l, l.compute_instance_by_id, "nvmlGpuInstanceGetComputeInstanceById");
  Optional(l, l.compute_instance_info, "nvmlComputeInstanceGetInfo_v2");
  Optional(l, l.event_set_create, "nvmlEventSetCreate");
  Optional(l, l.event_set_free, "nvmlEventSetFree");
  Optional(l, l.event_set_wait, "nvmlEventSetWait_v2");
  Optional(l, l.register_events, "nvmlDeviceRegisterEvents");
}

}  // namespace

NvmlLibrary::~NvmlLibrary() {
  if (handle != nullptr) ::dlclose(handle);
}

Result<std::unique_ptr<NvmlLibrary>> LoadNvmlLibrary() {
  const auto handle = os::OpenHostLibrary("libnvidia-ml.so.1");
  if (!handle) return Fail(Code::kUnavailable, "There is no NVIDIA driver: {}", handle.error().message());
  auto library = std::make_unique<NvmlLibrary>();
  NvmlLibrary& l = *library;
  l.handle = *handle;
  MIG_TRY(Needed(l, l.init, "nvmlInit_v2"));
  MIG_TRY(Needed(l, l.shutdown, "nvmlShutdown"));
  MIG_TRY(Needed(l, l.error_text, "nvmlErrorString"));
  MIG_TRY(Needed(l, l.driver_version, "nvmlSystemGetDriverVersion"));
  MIG_TRY(Needed(l, l.count, "nvmlDeviceGetCount_v2"));
  MIG_TRY(Needed(l, l.by_index, "nvmlDeviceGetHandleByIndex_v2"));
  MIG_TRY(Needed(l, l.uuid, "nvmlDeviceGetUUID"));
  MIG_TRY(Needed(l, l.name, "nvmlDeviceGetName"));
  MIG_TRY(Needed(l, l.memory, "nvmlDeviceGetMemoryInfo"));
  MIG_TRY(Needed(l, l.capability, "nvmlDeviceGetCudaComputeCapability"));
  MIG_TRY(Needed(l, l.pci, "nvmlDeviceGetPciInfo_v3"));
  FindMig(l);
  return library;
}

}  // namespace mignificient::device
