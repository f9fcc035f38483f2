// Initialisation, devices and contexts.
#include <algorithm>
#include <cstring>

#include "abi/error_text.h"
#include "driver/cpu/attributes.h"
#include "driver/cpu/capture.h"
#include "driver/cpu/entries.h"

namespace mignificient::cpu {
namespace {

constexpr int kDriverVersion = 13000;
constexpr unsigned kContextApiVersion = 3020;  // of every context, since CUDA 3.2
constexpr int kGreatestPriority = -5;
constexpr unsigned kKnownContextFlags = 0xff;

template <typename Body>
CUresult OnDevice(CUdevice ordinal, Body&& body) {
  return cpu::OnDevice([&](Device& device) { return ordinal != 0 ? CUDA_ERROR_INVALID_DEVICE : body(device); });
}

CUresult Init(unsigned flags) {
  return flags != 0 ? CUDA_ERROR_INVALID_VALUE : InitialiseDevice();
}

CUresult DriverGetVersion(int* version) {
  if (version == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *version = kDriverVersion;
  return CUDA_SUCCESS;
}

CUresult DeviceGetCount(int* count) {
  return cpu::OnDevice([&](Device&) {
    if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *count = 1;
    return CUDA_SUCCESS;
  });
}

CUresult DeviceGet(CUdevice* device, int ordinal) {
  return OnDevice(ordinal, [&](Device&) {
    if (device == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *device = 0;
    return CUDA_SUCCESS;
  });
}

CUresult DeviceGetName(char* name, int length, CUdevice ordinal) {
  return OnDevice(ordinal, [&](Device& device) {
    if (name == nullptr || length <= 0) return CUDA_ERROR_INVALID_VALUE;
    const auto& full = device.options().name;
    const size_t bytes = std::min(full.size(), static_cast<size_t>(length) - 1);
    std::memcpy(name, full.data(), bytes);
    name[bytes] = '\0';
    return CUDA_SUCCESS;
  });
}

CUresult DeviceGetUuid(CUuuid* uuid, CUdevice ordinal) {
  return OnDevice(ordinal, [&](Device& device) {
    if (uuid == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *uuid = device.options().uuid;
    return CUDA_SUCCESS;
  });
}

CUresult DeviceTotalMem(size_t* bytes, CUdevice ordinal) {
  return OnDevice(ordinal, [&](Device& device) {
    if (bytes == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *bytes = device.options().memory_bytes;
    return CUDA_SUCCESS;
  });
}

CUresult DeviceGetAttribute(int* value, int attribute, CUdevice ordinal) {
  return OnDevice(ordinal, [&](Device& device) {
    const auto answer = DeviceAttribute(attribute, device.options());
    if (value == nullptr || !answer) return CUDA_ERROR_INVALID_VALUE;
    *value = *answer;
    return CUDA_SUCCESS;
  });
}

CUresult GetErrorName(CUresult error, const char** name) {
  if (name == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const auto* text = FindErrorText(error);
  *name = text == nullptr ? nullptr : text->name;
  return text == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult GetErrorString(CUresult error, const char** string) {
  if (string == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const auto* text = FindErrorText(error);
  *string = text == nullptr ? nullptr : text->text;
  return text == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult PrimaryCtxRetain(CUcontext* context, CUdevice ordinal) {
  return OnDevice(ordinal, [&](Device& device) {
    if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const CUresult retained = device.RetainContext();
    if (retained == CUDA_SUCCESS) *context = device.context_handle();
    return retained;
  });
}

CUresult PrimaryCtxRelease(CUdevice ordinal) {
  return OnDevice(ordinal, [](Device& device) { return device.ReleaseContext(); });
}

// Scheduling hints for the waiting host thread; ours always sleeps.
CUresult PrimaryCtxSetFlags(CUdevice ordinal, unsigned flags) {
  return OnDevice(ordinal,
                  [&](Device&) { return flags > kKnownContextFlags ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS; });
}

CUresult CtxSetCurrent(CUcontext context) {
  return cpu::OnDevice([&](Device& device) {
    if (context != nullptr && context != device.context_handle()) return CUDA_ERROR_INVALID_CONTEXT;
    CurrentContextHandle() = context;
    return CUDA_SUCCESS;
  });
}

CUresult CtxGetCurrent(CUcontext* context) {
  return cpu::OnDevice([&](Device& device) {
    if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const CUcontext current = CurrentContextHandle();
    *context = current == device.context_handle() ? current : nullptr;
    return CUDA_SUCCESS;
  });
}

CUresult CtxSynchronize() {
  return InContext([](Context& context) {
    if (const CUresult forbidden = context.captures().ForbidAll(); forbidden != CUDA_SUCCESS) return forbidden;
    context.scheduler().WaitAll();
    return context.Settled();
  });
}

CUresult CtxGetLimit(size_t* value, int limit) {
  return InContext([&](Context& context) {
    if (value == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (limit < 0 || limit >= CU_LIMIT_COUNT) return CUDA_ERROR_UNSUPPORTED_LIMIT;
    *value = context.limits[static_cast<size_t>(limit)];
    return CUDA_SUCCESS;
  });
}

constexpr size_t kMaxStackBytes = 512 * 1024;  // of a thread: what all of its local memory may have

// Remembered, and otherwise without effect: stacks and the printf buffer grow as needed.
CUresult CtxSetLimit(int limit, size_t value) {
  return InContext([&](Context& context) {
    if (limit < 0 || limit >= CU_LIMIT_COUNT) return CUDA_ERROR_UNSUPPORTED_LIMIT;
    if (limit == CU_LIMIT_STACK_SIZE && value > kMaxStackBytes) return CUDA_ERROR_INVALID_VALUE;
    if (limit == CU_LIMIT_PRINTF_FIFO_SIZE && context.printed.load(std::memory_order_relaxed))
      return CUDA_ERROR_INVALID_VALUE;
    context.limits[static_cast<size_t>(limit)] = value;
    return CUDA_SUCCESS;
  });
}

CUresult CtxGetStreamPriorityRange(int* least, int* greatest) {
  return InContext([&](Context&) {
    if (least != nullptr) *least = 0;
    if (greatest != nullptr) *greatest = kGreatestPriority;
    return CUDA_SUCCESS;
  });
}

CUresult CtxGetApiVersion(CUcontext context, unsigned* version) {
  return cpu::OnDevice([&](Device& device) {
    const CUcontext asked = context != nullptr ? context : CurrentContextHandle();
    if (version == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (asked != device.context_handle()) return CUDA_ERROR_INVALID_CONTEXT;
    *version = kContextApiVersion;
    return CUDA_SUCCESS;
  });
}

}  // namespace

void FillDeviceEntries(DriverTable& table) {
  table.cuInit = Init;
  table.cuDriverGetVersion = DriverGetVersion;
  table.cuDeviceGetCount = DeviceGetCount;
  table.cuDeviceGet = DeviceGet;
  table.cuDeviceGetName = DeviceGetName;
  table.cuDeviceGetUuid_v2 = DeviceGetUuid;
  table.cuDeviceTotalMem_v2 = DeviceTotalMem;
  table.cuDeviceGetAttribute = DeviceGetAttribute;
  table.cuGetErrorName = GetErrorName;
  table.cuGetErrorString = GetErrorString;
  table.cuDevicePrimaryCtxRetain = PrimaryCtxRetain;
  table.cuDevicePrimaryCtxRelease_v2 = PrimaryCtxRelease;
  table.cuDevicePrimaryCtxSetFlags_v2 = PrimaryCtxSetFlags;
  table.cuCtxSetCurrent = CtxSetCurrent;
  table.cuCtxGetCurrent = CtxGetCurrent;
  table.cuCtxSynchronize = CtxSynchronize;
  table.cuCtxGetLimit = CtxGetLimit;
  table.cuCtxSetLimit = CtxSetLimit;
  table.cuCtxGetStreamPriorityRange = CtxGetStreamPriorityRange;
  table.cuCtxGetApiVersion = CtxGetApiVersion;
}

}  // namespace mignificient::cpu
