// What an NVML function answers, as our errors.
#pragma once

#include <string_view>

#include "base/result.h"

namespace mignificient::device {

// nvmlReturn_t, as far as we tell them apart.
enum class NvmlStatus : int {
  kSuccess = 0,
  kInvalidArgument = 2,
  kNotSupported = 3,
  kNoPermission = 4,
  kNotFound = 6,
  kInsufficientSize = 7,
  kTimeout = 10,
  kGpuIsLost = 15,
  kResetRequired = 16,
  kInUse = 19,
  kInsufficientResources = 23,
  kUnknown = 999,
};

// "NVML_ERROR_IN_USE"; "NVML_ERROR_<number>" for one that is not listed above.
std::string NvmlStatusName(NvmlStatus status);
// The status of that name. kInvalidArgument, naming the known ones, where there is none.
Result<NvmlStatus> NvmlStatusNamed(std::string_view name);

// `nvmlGpuInstanceDestroy fails: In use by another client (NVML_ERROR_IN_USE).` kInUse and kInsufficientResources
// become kExhausted, kNoPermission kForbidden, kNotSupported kUnsupported, kNotFound kNotFound, kInvalidArgument
// kInvalidArgument, all others kUnavailable.
Error NvmlError(NvmlStatus status, std::string_view function);

}  // namespace mignificient::device
