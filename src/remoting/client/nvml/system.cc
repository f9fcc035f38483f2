// What NVML says of the system: versions, texts of errors, names of processes. Of the host it says nothing.

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <span>
#include <string>

#include "remoting/client/nvml/session.h"
#include "remoting/client/versions.h"

namespace mignificient::nvml {
namespace {

int CudaVersion(const wire::View& view) {
  return std::min(client::kApiVersion, view.device.driver_version);
}

Return GetCudaVersion(int* version) {
  if (version == nullptr) return kInvalidArgument;
  wire::View view;
  if (const auto look = wire::LookThroughDoor())  // this question needs no nvmlInit
    view = *look;
  else
    return kDriverNotLoaded;
  *version = CudaVersion(view);
  return kSuccess;
}

// The first word of its command line, empty if there is no such process.
std::string ProgramOf(unsigned pid) {
  std::string program;
  FILE* file = std::fopen(fmt::format("/proc/{}/cmdline", pid).c_str(), "re");
  if (file == nullptr) return program;
  for (int c = std::fgetc(file); c > 0; c = std::fgetc(file)) program.push_back(static_cast<char>(c));
  std::fclose(file);
  return program;
}

}  // namespace

MIG_EXPORT const char* nvmlErrorString(int code) {
  static constexpr const char* kTexts[] = {
      "Success",
      "Uninitialized",
      "Invalid Argument",
      "Not Supported",
      "Insufficient Permissions",
      "Already Initialized",
      "Not Found",
      "Insufficient Size",
      "Insufficient External Power",
      "Driver Not Loaded",
      "Timeout",
      "Interrupt Request Issue",
      "NVML Shared Library Not Found",
      "Function Not Found",
      "Corrupted infoROM",
      "GPU is lost",
      "GPU requires reset",
      "Operating system error",
      "Driver/library version mismatch",
      "In use by another client",
      "Insufficient Memory",
      "No data",
      "vGPU ECC is not supported",
      "Insufficient Resources",
      "Frequency is not supported",
      "Argument version mismatch",
      "Deprecated",
      "Not ready",
      "GPU not found",
      "Invalid state",
  };
  return code >= 0 && code < static_cast<int>(std::size(kTexts)) ? kTexts[code] : "Unknown Error";
}

MIG_EXPORT int nvmlSystemGetCudaDriverVersion(int* version) {
  return GetCudaVersion(version);
}
MIG_EXPORT int nvmlSystemGetCudaDriverVersion_v2(int* version) {
  return GetCudaVersion(version);
}

MIG_EXPORT int nvmlSystemGetDriverVersion(char* text, unsigned bytes) {
  wire::View view;
  if (const Return result = Look(view); result != kSuccess) return result;
  if (view.driver_text[0] == '\0') return kNotSupported;
  return CopyText(view.driver_text, text, bytes);
}

// "13.580.159.04": the CUDA version it belongs to, and the driver's.
MIG_EXPORT int nvmlSystemGetNVMLVersion(char* text, unsigned bytes) {
  wire::View view;
  if (const Return result = Look(view); result != kSuccess) return result;
  return CopyText(fmt::format("{}.{}", CudaVersion(view) / 1000, view.driver_text), text, bytes);
}

// Of the container's own processes only.
MIG_EXPORT int nvmlSystemGetProcessName(unsigned pid, char* text, unsigned bytes) {
  wire::View view;
  if (const Return result = Look(view); result != kSuccess) return result;
  if (text == nullptr || bytes == 0) return kInvalidArgument;
  const std::span pids(view.pids, view.channels);
  if (std::find(pids.begin(), pids.end(), pid) == pids.end()) return kNotFound;
  const std::string program = ProgramOf(pid);
  if (program.empty()) return kNotFound;
  return CopyText(std::string_view(program).substr(0, bytes - 1), text, bytes);
}

// Confidential computing is off. NCCL does not start without an answer.
MIG_EXPORT int nvmlSystemGetConfComputeState(ConfidentialState* state) {
  if (const Return result = Initialized(); result != kSuccess) return result;
  if (state == nullptr) return kInvalidArgument;
  *state = {};
  return kSuccess;
}
MIG_EXPORT int nvmlSystemGetConfComputeSettings(ConfidentialSettings* settings) {
  if (const Return result = Initialized(); result != kSuccess) return result;
  if (settings == nullptr) return kInvalidArgument;
  if (settings->version != StructVersion<ConfidentialSettings>(1)) return kArgumentVersionMismatch;
  *settings = {.version = settings->version};
  return kSuccess;
}

MIG_EXPORT int nvmlUnitGetCount(unsigned* count) {
  if (const Return result = Initialized(); result != kSuccess) return result;
  if (count == nullptr) return kInvalidArgument;
  *count = 0;
  return kSuccess;
}

}  // namespace mignificient::nvml
