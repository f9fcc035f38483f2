#include "driver/cpu/kernel_launch.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/log.h"
#include "driver/cpu/exec/launch.h"
#include "driver/cpu/occupancy.h"

namespace mignificient::cpu {
namespace {

CUresult FaultOf(LaunchStatus status) {
  switch (status) {
    case LaunchStatus::kOk:
      return CUDA_SUCCESS;
    case LaunchStatus::kIllegalAddress:
      return CUDA_ERROR_ILLEGAL_ADDRESS;
    case LaunchStatus::kMisaligned:
      return CUDA_ERROR_MISALIGNED_ADDRESS;
    case LaunchStatus::kAssert:
      return CUDA_ERROR_ASSERT;
    case LaunchStatus::kStackOverflow:
      return CUDA_ERROR_HARDWARE_STACK_ERROR;
    case LaunchStatus::kIllegalInstruction:
      return CUDA_ERROR_ILLEGAL_INSTRUCTION;
    case LaunchStatus::kDeadlock:
      return CUDA_ERROR_LAUNCH_TIMEOUT;  // a GPU would hang
    case LaunchStatus::kCancelled:
      return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    case LaunchStatus::kTrap:
    case LaunchStatus::kInvalidLaunch:
      break;
  }
  return CUDA_ERROR_LAUNCH_FAILED;
}

bool GoodShape(const KernelLaunch& launch) {
  const Kernel& kernel = *launch.function->kernel;
  const Dim3& grid = launch.grid;
  const Dim3& block = launch.block;
  if (grid.count() == 0 || block.count() == 0) return false;
  if (grid.x > kMaxGridX || grid.y > kMaxGridYZ || grid.z > kMaxGridYZ) return false;
  if (block.x > kMaxBlockX || block.y > kMaxBlockY || block.z > kMaxBlockZ) return false;
  if (block.count() > std::min(kernel.max_threads(), kMaxThreadsPerBlock)) return false;
  const auto& info = kernel.info();
  const auto& required = info.required_block;
  return !info.has_required_block || (block.x == required.x && block.y == required.y && block.z == required.z);
}

std::optional<std::vector<std::byte>> FromPointers(const Kernel& kernel, void** params) {
  std::vector<std::byte> buffer(kernel.parameter_bytes());
  if (params == nullptr && !kernel.parameters().empty()) return std::nullopt;
  for (size_t i = 0; i < kernel.parameters().size(); ++i) {
    const auto& parameter = kernel.parameters()[i];
    if (params[i] == nullptr) return std::nullopt;
    std::memcpy(buffer.data() + parameter.offset, params[i], parameter.size);
  }
  return buffer;
}

// `extra`: { marker, value, ..., end }. A buffer that is too short is filled with zeros, as an H100 was seen to accept.
CUresult FromBuffer(const Kernel& kernel, void** extra, std::vector<std::byte>* buffer) {
  constexpr int kMaxMarkers = 8;
  const void* data = nullptr;
  size_t bytes = 0;
  for (int i = 0; reinterpret_cast<uintptr_t>(extra[0]) != kLaunchParamEnd; ++i, extra += 2) {
    const auto marker = reinterpret_cast<uintptr_t>(extra[0]);
    if (i == kMaxMarkers) return CUDA_ERROR_INVALID_VALUE;
    if (marker == kLaunchParamBufferPointer) {
      data = extra[1];
    } else if (marker == kLaunchParamBufferSize && extra[1] != nullptr) {
      std::memcpy(&bytes, extra[1], sizeof(bytes));
    } else {
      return CUDA_ERROR_INVALID_VALUE;
    }
  }
  if (bytes > kernel.parameter_bytes()) return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
  if (bytes > 0 && data == nullptr) return CUDA_ERROR_INVALID_VALUE;
  buffer->resize(kernel.parameter_bytes());
  if (bytes > 0) std::memcpy(buffer->data(), data, bytes);
  return CUDA_SUCCESS;
}

}  // namespace

CUresult CheckShape(const KernelLaunch& launch, const CpuDriverOptions& options) {
  if (!GoodShape(launch)) return CUDA_ERROR_INVALID_VALUE;
  if (launch.dynamic_shared_bytes > static_cast<uint32_t>(launch.function->max_dynamic_shared))
    return CUDA_ERROR_INVALID_VALUE;
  if (!launch.cooperative) return CUDA_SUCCESS;
  const auto per_sm = BlocksPerSm(*launch.function->kernel, launch.block.count(), launch.dynamic_shared_bytes);
  const uint64_t resident = static_cast<uint64_t>(per_sm) * options.sms;
  return launch.grid.count() > resident ? CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE : CUDA_SUCCESS;
}

CUresult PackParams(const Kernel& kernel, void** params, void** extra, std::vector<std::byte>* packed) {
  if (params != nullptr && extra != nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (extra != nullptr) return FromBuffer(kernel, extra, packed);
  auto gathered = FromPointers(kernel, params);
  if (!gathered) return CUDA_ERROR_INVALID_VALUE;
  *packed = std::move(*gathered);
  return CUDA_SUCCESS;
}

// The memory map is the one of the moment the kernel starts.
void Execute(Context& context, const KernelLaunch& launch) {
  if (context.Stopped()) return;
  auto& device = context.device();
  const Kernel& kernel = *launch.function->kernel;
  DeviceHeap* const heap = kernel.info().uses_heap ? context.heap() : nullptr;  // before the memory map is taken
  const Launch run{.kernel = &kernel,
                   .grid = launch.grid,
                   .block = launch.block,
                   .dynamic_shared_bytes = launch.dynamic_shared_bytes,
                   .params = launch.params,
                   .memory = device.memory().Snapshot(),
                   .printf =
                       [&](std::string_view text) {
                         context.printed.store(true, std::memory_order_relaxed);
                         device.printer().Append(text);
                       },
                   .cancel = &context.cancelled(),
                   .cooperative = launch.cooperative,
                   .textures = &context.textures,
                   .heap = heap};
  const LaunchResult result = Run(run, device.pool());
  if (result.status == LaunchStatus::kOk || result.status == LaunchStatus::kCancelled) return;
  device.SetFault(FaultOf(result.status));
  log::Warning("kernel_fault",
               {{"kernel", kernel.name()}, {"status", LaunchStatusName(result.status)}, {"reason", result.message}});
}

}  // namespace mignificient::cpu
