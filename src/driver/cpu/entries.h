// The entry points, one file per group of the driver table, and what they share: the way from a call to the device and
// context it is for.
#pragma once

#include <memory>
#include <string_view>
#include <utility>

#include "driver/cpu/device.h"
#include "driver/driver_table.h"

namespace mignificient::cpu {

void FillDeviceEntries(DriverTable& table);
void FillMemoryEntries(DriverTable& table);
void FillCopyEntries(DriverTable& table);
void FillStreamEntries(DriverTable& table);
void FillStreamMemoryEntries(DriverTable& table);
void FillCodeEntries(DriverTable& table);
void FillLaunchEntries(DriverTable& table);
void FillArrayEntries(DriverTable& table);
void FillTextureEntries(DriverTable& table);
void FillLinkEntries(DriverTable& table);
void FillGraphEntries(DriverTable& table);
void FillGraphNodeEntries(DriverTable& table);
void FillGraphExecEntries(DriverTable& table);
void FillCaptureEntries(DriverTable& table);

// The process's device, or null until cuInit has been called on it; in cpu_driver.cc.
std::shared_ptr<Device> InitialisedDevice();
CUresult InitialiseDevice();

// The calling thread's current context as it was set; it may be gone.
CUcontext& CurrentContextHandle();

// Calls `body(Device&)` once cuInit has been called.
template <typename Body>
CUresult OnDevice(Body&& body) {
  const auto device = InitialisedDevice();
  if (device == nullptr) return CUDA_ERROR_NOT_INITIALIZED;
  return body(*device);
}

// Calls `body(Context&)` with the calling thread's current context, unless a kernel's fault has ended it.
template <typename Body>
CUresult InContext(Body&& body) {
  return OnDevice([&](Device& device) {
    const CUcontext current = CurrentContextHandle();
    if (current == nullptr || current != device.context_handle()) return CUDA_ERROR_INVALID_CONTEXT;
    const auto context = device.context();
    if (context == nullptr) return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    if (device.fault() != CUDA_SUCCESS) return device.fault();
    return body(*context);
  });
}

// The same, with the stream behind `handle`: `body(Context&, Stream&)`.
template <typename Body>
CUresult OnStream(CUstream handle, Body&& body) {
  return InContext([&](Context& context) {
    const auto stream = context.FindStream(handle);
    return stream == nullptr ? CUDA_ERROR_INVALID_HANDLE : body(context, *stream);
  });
}

}  // namespace mignificient::cpu
