// Kernel launches. Parameters arrive packed; the layout that splits them is the server's own.

#include <algorithm>
#include <cstring>

#include "remoting/server/connection.h"

namespace mignificient::server {
namespace {

// Launch attributes that are plain values. Those that carry handles, or that reach beyond the launch, are not passed
// on.
bool IsValue(int id) {
  constexpr int kIgnore = 0, kCooperative = 2, kClusterDimension = 4, kClusterPolicy = 5,
                kProgrammaticSerialization = 6, kPriority = 8, kMemSyncMap = 9, kMemSyncDomain = 10,
                kPreferredCluster = 11, kSharedCarveout = 14;
  constexpr int kValues[] = {kIgnore,   kCooperative, kClusterDimension, kClusterPolicy,    kProgrammaticSerialization,
                             kPriority, kMemSyncMap,  kMemSyncDomain,    kPreferredCluster, kSharedCarveout};
  return std::find(std::begin(kValues), std::end(kValues), id) != std::end(kValues);
}

}  // namespace

bool Connection::Launch(uint16_t slot, std::span<const std::byte> body) {
  const auto* launch = Body<wire::LaunchBody>(body);
  if (launch == nullptr || launch->attribute_count > wire::kMaxLaunchAttributes ||
      launch->param_bytes > wire::kMaxKernelParamBytes ||
      body.size() < launch->attribute_count * sizeof(CUlaunchAttribute) + launch->param_bytes)
    return Misuse("Launch command is malformed.");
  if (!PassGate(GateClass::kKernel)) return false;
  waits_.Pin();
  Kernel* kernel = FindKernel(launch->function);
  CUstream stream = nullptr;
  if (kernel == nullptr || !ResolveStream(launch->stream, stream)) {
    Answer(slot, CUDA_ERROR_INVALID_HANDLE);
    return true;
  }
  if (launch->param_bytes != kernel->param_bytes)
    return Misuse(
        fmt::format("Launch carries {} parameter bytes (expected {}).", launch->param_bytes, kernel->param_bytes));
  CUlaunchAttribute attributes[wire::kMaxLaunchAttributes];
  std::memcpy(attributes, body.data(), launch->attribute_count * sizeof(CUlaunchAttribute));
  for (uint32_t i = 0; i < launch->attribute_count; ++i) {
    if (IsValue(attributes[i].id)) continue;
    Answer(slot, CUDA_ERROR_NOT_SUPPORTED);
    return true;
  }
  const std::byte* params = body.data() + launch->attribute_count * sizeof(CUlaunchAttribute);
  TouchedStream(stream);
  const CUresult result = LaunchNow(*kernel, *launch, attributes, params, stream);
  if (slot != wire::kNoReply || result != CUDA_SUCCESS) Answer(slot, result);
  return true;
}

CUresult Connection::LaunchNow(Kernel& kernel, const wire::LaunchBody& launch, CUlaunchAttribute* attributes,
                               const std::byte* params, CUstream stream) {
  launch_params_.clear();
  for (const auto& param : kernel.params) launch_params_.push_back(const_cast<std::byte*>(params) + param.offset);
  // The driver takes a CUkernel wherever it takes a CUfunction.
  const auto function = kernel.function != nullptr ? kernel.function : reinterpret_cast<CUfunction>(kernel.kernel);
  const auto& [gx, gy, gz] = launch.grid;
  const auto& [bx, by, bz] = launch.block;
  if (launch.flags & wire::kLaunchCooperative)
    return driver().cuLaunchCooperativeKernel(function, gx, gy, gz, bx, by, bz, launch.shared_bytes, stream,
                                              launch_params_.data());
  if (launch.attribute_count == 0)
    return driver().cuLaunchKernel(function, gx, gy, gz, bx, by, bz, launch.shared_bytes, stream, launch_params_.data(),
                                   nullptr);
  const CUlaunchConfig config{gx, gy, gz, bx, by, bz, launch.shared_bytes, stream, attributes, launch.attribute_count};
  return driver().cuLaunchKernelEx(&config, function, launch_params_.data(), nullptr);
}

}  // namespace mignificient::server
