#include "device/nvml_status.h"

#include <fmt/ranges.h>

#include <vector>

namespace mignificient::device {
namespace {

struct Known {
  NvmlStatus status;
  std::string_view name;
  std::string_view text;  // as nvmlErrorString words it
  Code code;
};

constexpr Known kKnown[] = {
    {NvmlStatus::kSuccess, "NVML_SUCCESS", "Success", Code::kInternal},
    {NvmlStatus::kInvalidArgument, "NVML_ERROR_INVALID_ARGUMENT", "Invalid Argument", Code::kInvalidArgument},
    {NvmlStatus::kNotSupported, "NVML_ERROR_NOT_SUPPORTED", "Not Supported", Code::kUnsupported},
    {NvmlStatus::kNoPermission, "NVML_ERROR_NO_PERMISSION", "Insufficient Permissions", Code::kForbidden},
    {NvmlStatus::kNotFound, "NVML_ERROR_NOT_FOUND", "Not Found", Code::kNotFound},
    {NvmlStatus::kInsufficientSize, "NVML_ERROR_INSUFFICIENT_SIZE", "Insufficient Size", Code::kUnavailable},
    {NvmlStatus::kTimeout, "NVML_ERROR_TIMEOUT", "Timeout", Code::kTimeout},
    {NvmlStatus::kGpuIsLost, "NVML_ERROR_GPU_IS_LOST", "GPU is lost", Code::kUnavailable},
    {NvmlStatus::kResetRequired, "NVML_ERROR_RESET_REQUIRED", "GPU requires reset", Code::kUnavailable},
    {NvmlStatus::kInUse, "NVML_ERROR_IN_USE", "In use by another client", Code::kExhausted},
    {NvmlStatus::kInsufficientResources, "NVML_ERROR_INSUFFICIENT_RESOURCES", "Insufficient Resources",
     Code::kExhausted},
    {NvmlStatus::kUnknown, "NVML_ERROR_UNKNOWN", "Unknown Error", Code::kUnavailable},
};

const Known* Find(NvmlStatus status) {
  for (const Known& known : kKnown)
    if (known.status == status) return &known;
  return nullptr;
}

}  // namespace

std::string NvmlStatusName(NvmlStatus status) {
  const Known* known = Find(status);
  return known != nullptr ? std::string(known->name) : fmt::format("NVML_ERROR_{}", static_cast<int>(status));
}

Result<NvmlStatus> NvmlStatusNamed(std::string_view name) {
  std::vector<std::string_view> names;
  for (const Known& known : kKnown) {
    if (known.name == name) return known.status;
    names.push_back(known.name);
  }
  return Fail(Code::kInvalidArgument, "\"{}\" is no status of NVML; allowed is {}.", name, fmt::join(names, ", "));
}

Error NvmlError(NvmlStatus status, std::string_view function) {
  const Known* known = Find(status);
  return {known != nullptr ? known->code : Code::kUnavailable,
          fmt::format("{} fails: {} ({}).", function, known != nullptr ? known->text : "Unknown Error",
                      NvmlStatusName(status))};
}

}  // namespace mignificient::device
