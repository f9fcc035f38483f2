// Launching kernels, and occupancy.
#include <algorithm>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/log.h"
#include "driver/cpu/entries.h"
#include "driver/cpu/exec/launch.h"
#include "driver/cpu/occupancy.h"

namespace mignificient::cpu {
namespace {

// CUlaunchAttributeID. Those not named are hints that change nothing here, or unknown.
enum LaunchAttribute : int {
  kIgnore = 0,
  kAccessPolicyWindow = 1,
  kCooperative = 2,
  kSynchronizationPolicy = 3,
  kClusterDimension = 4,
  kClusterSchedulingPolicy = 5,
  kProgrammaticStreamSerialization = 6,  // may start early; never has to
  kProgrammaticEvent = 7,
  kPriority = 8,
  kMemSyncDomainMap = 9,
  kMemSyncDomain = 10,
  kPreferredClusterDimension = 11,
  kLaunchCompletionEvent = 12,
  kPreferredSharedMemoryCarveout = 14,
  kNvlinkCentricScheduling = 16,
};

// A launch as the program asked for it.
struct Request {
  Dim3 grid;
  Dim3 block;
  uint32_t dynamic_shared_bytes = 0;
  CUstream stream = nullptr;
  bool cooperative = false;
  std::vector<CUevent> record_after;
};

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

bool GoodShape(const Request& request, const Kernel& kernel) {
  const Dim3& grid = request.grid;
  const Dim3& block = request.block;
  if (grid.count() == 0 || block.count() == 0) return false;
  if (grid.x > kMaxGridX || grid.y > kMaxGridYZ || grid.z > kMaxGridYZ) return false;
  if (block.x > kMaxBlockX || block.y > kMaxBlockY || block.z > kMaxBlockZ) return false;
  if (block.count() > std::min(kernel.max_threads(), kMaxThreadsPerBlock)) return false;
  const auto& info = kernel.info();
  const auto& required = info.required_block;
  return !info.has_required_block || (block.x == required.x && block.y == required.y && block.z == required.z);
}

CUresult Check(const Request& request, const Function& function, const CpuDriverOptions& options) {
  if (!GoodShape(request, *function.kernel)) return CUDA_ERROR_INVALID_VALUE;
  if (request.dynamic_shared_bytes > static_cast<uint32_t>(function.max_dynamic_shared))
    return CUDA_ERROR_INVALID_VALUE;
  if (!request.cooperative) return CUDA_SUCCESS;
  const auto per_sm = BlocksPerSm(*function.kernel, request.block.count(), request.dynamic_shared_bytes);
  const uint64_t resident = static_cast<uint64_t>(per_sm) * options.sms;
  return request.grid.count() > resident ? CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE : CUDA_SUCCESS;
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

CUresult Gather(const Kernel& kernel, void** params, void** extra, std::vector<std::byte>* buffer) {
  if (params != nullptr && extra != nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (extra != nullptr) return FromBuffer(kernel, extra, buffer);
  auto gathered = FromPointers(kernel, params);
  if (!gathered) return CUDA_ERROR_INVALID_VALUE;
  *buffer = std::move(*gathered);
  return CUDA_SUCCESS;
}

// On a stream's thread. The memory map is the one of the moment the kernel starts.
void Execute(Context& context, const Function& function, const Request& request, std::span<const std::byte> params) {
  if (context.Stopped()) return;
  auto& device = context.device();
  const Launch launch{.kernel = function.kernel,
                      .grid = request.grid,
                      .block = request.block,
                      .dynamic_shared_bytes = request.dynamic_shared_bytes,
                      .params = params,
                      .memory = device.memory().Snapshot(),
                      .printf = [&](std::string_view text) { device.printer().Append(text); },
                      .cancel = &context.cancelled(),
                      .cooperative = request.cooperative};
  const LaunchResult result = Run(launch, device.pool());
  if (result.status == LaunchStatus::kOk || result.status == LaunchStatus::kCancelled) return;
  device.SetFault(FaultOf(result.status));
  log::Warning(
      "kernel_fault",
      {{"kernel", function.kernel->name()}, {"status", LaunchStatusName(result.status)}, {"reason", result.message}});
}

CUresult Start(CUfunction handle, const Request& request, void** params, void** extra) {
  return InContext([&](Context& context) {
    const auto function = context.functions.Find(handle);
    if (function == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (function->kernel == nullptr) return CUDA_ERROR_NOT_SUPPORTED;
    const auto stream = context.FindStream(request.stream);
    if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    std::vector<std::shared_ptr<Event>> events;
    for (const CUevent event : request.record_after) {
      events.push_back(context.events.Find(event));
      if (events.back() == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    }
    const CUresult good = Check(request, *function, context.device().options());
    if (good != CUDA_SUCCESS) return good;
    std::vector<std::byte> buffer;
    const CUresult gathered = Gather(*function->kernel, params, extra, &buffer);
    if (gathered != CUDA_SUCCESS) return gathered;
    const Ticket done = context.scheduler().Enqueue(*stream, [&context, function, request, buffer = std::move(buffer)] {
      Execute(context, *function, request, buffer);
    });
    for (const auto& event : events) {
      const std::lock_guard lock(event->mutex);
      event->recorded = done;
    }
    return CUDA_SUCCESS;
  });
}

CUresult LaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                      unsigned block_y, unsigned block_z, unsigned shared_bytes, CUstream stream, void** params,
                      void** extra) {
  return Start(function,
               {.grid = {grid_x, grid_y, grid_z},
                .block = {block_x, block_y, block_z},
                .dynamic_shared_bytes = shared_bytes,
                .stream = stream},
               params, extra);
}

CUresult LaunchCooperativeKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                                 unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                                 CUstream stream, void** params) {
  return Start(function,
               {.grid = {grid_x, grid_y, grid_z},
                .block = {block_x, block_y, block_z},
                .dynamic_shared_bytes = shared_bytes,
                .stream = stream,
                .cooperative = true},
               params, nullptr);
}

template <typename T>
T ValueOf(const CUlaunchAttribute& attribute) {
  T value;
  std::memcpy(&value, attribute.value, sizeof(value));
  return value;
}

// 1 where none is asked for.
uint64_t ClusterBlocks(const CUlaunchConfig& config) {
  for (unsigned i = 0; i < config.attribute_count; ++i) {
    if (config.attributes[i].id != kClusterDimension) continue;
    const auto cluster = ValueOf<Dim3>(config.attributes[i]);
    return cluster.count();
  }
  return 1;
}

CUresult Apply(const CUlaunchAttribute& attribute, Request* request) {
  switch (attribute.id) {
    case kCooperative:
      request->cooperative = ValueOf<int>(attribute) != 0;
      return CUDA_SUCCESS;
    case kProgrammaticEvent:
    case kLaunchCompletionEvent:  // the kernel's end is later than it has to be, and right
      request->record_after.push_back(ValueOf<CUevent>(attribute));
      return CUDA_SUCCESS;
    case kClusterDimension:
      return ValueOf<Dim3>(attribute).count() <= 1 ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
    case kIgnore:
    case kAccessPolicyWindow:
    case kSynchronizationPolicy:
    case kClusterSchedulingPolicy:
    case kProgrammaticStreamSerialization:
    case kPriority:
    case kMemSyncDomainMap:
    case kMemSyncDomain:
    case kPreferredClusterDimension:
    case kPreferredSharedMemoryCarveout:
    case kNvlinkCentricScheduling:
      return CUDA_SUCCESS;
  }
  return CUDA_ERROR_NOT_SUPPORTED;
}

CUresult LaunchKernelEx(const CUlaunchConfig* config, CUfunction function, void** params, void** extra) {
  if (config == nullptr || (config->attribute_count != 0 && config->attributes == nullptr)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  Request request{.grid = {config->grid_x, config->grid_y, config->grid_z},
                  .block = {config->block_x, config->block_y, config->block_z},
                  .dynamic_shared_bytes = config->shared_bytes,
                  .stream = config->stream};
  for (unsigned i = 0; i < config->attribute_count; ++i) {
    if (const CUresult applied = Apply(config->attributes[i], &request); applied != CUDA_SUCCESS) return applied;
  }
  return Start(function, request, params, extra);
}

template <typename Body>
CUresult WithKernel(CUfunction handle, Body&& body) {
  return InContext([&](Context& context) {
    return context.WithFunction(handle, [&](Function& function) { return body(*function.kernel); });
  });
}

CUresult MaxActiveBlocks(int* blocks, CUfunction handle, int block_size, size_t dynamic_shared_bytes, unsigned) {
  return WithKernel(handle, [&](const Kernel& kernel) {
    if (blocks == nullptr || block_size <= 0) return CUDA_ERROR_INVALID_VALUE;
    *blocks = BlocksPerSm(kernel, static_cast<uint64_t>(block_size), dynamic_shared_bytes);
    return CUDA_SUCCESS;
  });
}

CUresult AvailableDynamicShared(size_t* bytes, CUfunction handle, int blocks, int block_size) {
  return WithKernel(handle, [&](const Kernel& kernel) {
    if (bytes == nullptr || blocks <= 0 || block_size <= 0) return CUDA_ERROR_INVALID_VALUE;
    const auto available = DynamicSharedFor(kernel, static_cast<uint64_t>(blocks), static_cast<uint64_t>(block_size));
    if (!available) return CUDA_ERROR_INVALID_VALUE;
    *bytes = *available;
    return CUDA_SUCCESS;
  });
}

// Without clusters none can be active.
CUresult MaxActiveClusters(int* clusters, CUfunction handle, const CUlaunchConfig* config) {
  return WithKernel(handle, [&](const Kernel&) {
    if (clusters == nullptr || config == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (config->attribute_count != 0 && config->attributes == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (ClusterBlocks(*config) > 1) return CUDA_ERROR_NOT_SUPPORTED;
    *clusters = 0;
    return CUDA_SUCCESS;
  });
}

}  // namespace

void FillLaunchEntries(DriverTable& table) {
  table.cuLaunchKernel = LaunchKernel;
  table.cuLaunchKernelEx = LaunchKernelEx;
  table.cuLaunchCooperativeKernel = LaunchCooperativeKernel;
  table.cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags = MaxActiveBlocks;
  table.cuOccupancyAvailableDynamicSMemPerBlock = AvailableDynamicShared;
  table.cuOccupancyMaxActiveClusters = MaxActiveClusters;
}

}  // namespace mignificient::cpu
