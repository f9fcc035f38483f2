// Kernel launches. Parameters arrive packed; the layout that splits them is the server's own.

#include <cstring>
#include <utility>

#include "remoting/server/connection.h"
#include "remoting/wire/launch_attributes.h"

namespace mignificient::server {

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
    const CUresult resolved = ResolveLaunchAttribute(attributes[i]);
    if (resolved == CUDA_SUCCESS) continue;
    Answer(slot, resolved);
    return true;
  }
  const std::byte* params = body.data() + launch->attribute_count * sizeof(CUlaunchAttribute);
  TouchedStream(stream);
  Observe({.kind = wire::ActivityKind::kKernel,
           .stream = stream,
           .blocks = uint64_t{launch->grid[0]} * launch->grid[1] * launch->grid[2],
           .function = kernel->function,
           .kernel = kernel->kernel});
  if (!std::exchange(kernel->launched, true)) waits_.NoteNewKernels();
  if (TakesLane(*kernel, *launch, slot, stream)) {
    lanes_->Launch(FunctionOf(*kernel), *launch, kernel->params, params, stream);
    return true;
  }
  const CUresult result = LaunchNow(*kernel, *launch, attributes, params, stream);
  if (slot != wire::kNoReply || result != CUDA_SUCCESS) Answer(slot, result);
  return true;
}

// From the client's names to what the driver takes.
CUresult Connection::ResolveLaunchAttribute(CUlaunchAttribute& attribute) {
  switch (wire::KindOfAttribute(attribute.id)) {
    case wire::AttributeKind::kValue:
      return CUDA_SUCCESS;
    case wire::AttributeKind::kEvent: {
      uint64_t name = 0;
      CUevent event = nullptr;
      std::memcpy(&name, attribute.value, sizeof name);
      if (!ResolveEvent(name, event)) return CUDA_ERROR_INVALID_HANDLE;
      std::memcpy(attribute.value, &event, sizeof event);
      return CUDA_SUCCESS;
    }
    case wire::AttributeKind::kRefused:
      break;
  }
  return CUDA_ERROR_NOT_SUPPORTED;
}

bool Connection::ResolveAttribute(int32_t id, int& out) {
  out = id;
  return wire::KindOfAttribute(id) == wire::AttributeKind::kValue;
}

// What waits for an answer, is measured or captured, or must be in order with other streams is launched here, behind
// what is in the lanes.
bool Connection::TakesLane(const Kernel& kernel, const wire::LaunchBody& launch, uint16_t slot, CUstream stream) {
  if (lanes_ == nullptr) return false;
  const bool plain = slot == wire::kNoReply && launch.attribute_count == 0 && launch.flags == 0 &&
                     !IsLegacyStream(launch.stream) && activity_ == nullptr && capturing_.empty() &&
                     launch.param_bytes <= LaunchLanes::kMostParamBytes &&
                     kernel.params.size() <= LaunchLanes::kMostParams;
  if (plain) return lanes_->Wants(stream, consumer_.SeesMore());
  lanes_->Join();
  return false;
}

// The driver takes a CUkernel wherever it takes a CUfunction.
CUfunction Connection::FunctionOf(const Kernel& kernel) {
  return kernel.function != nullptr ? kernel.function : reinterpret_cast<CUfunction>(kernel.kernel);
}

CUresult Connection::LaunchNow(Kernel& kernel, const wire::LaunchBody& launch, CUlaunchAttribute* attributes,
                               const std::byte* params, CUstream stream) {
  launch_params_.clear();
  for (const auto& param : kernel.params) launch_params_.push_back(const_cast<std::byte*>(params) + param.offset);
  const CUfunction function = FunctionOf(kernel);
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
