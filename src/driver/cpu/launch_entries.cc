// Launching kernels, and occupancy.
#include <cstring>
#include <vector>

#include "driver/cpu/capture.h"
#include "driver/cpu/entries.h"
#include "driver/cpu/kernel_launch.h"
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

CUresult Start(CUfunction handle, const Request& request, void** params, void** extra) {
  return InContext([&](Context& context) {
    KernelLaunch launch{.function = context.functions.Find(handle),
                        .grid = request.grid,
                        .block = request.block,
                        .dynamic_shared_bytes = request.dynamic_shared_bytes,
                        .cooperative = request.cooperative};
    if (launch.function == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (launch.function->kernel == nullptr) return CUDA_ERROR_NOT_SUPPORTED;
    const auto stream = context.FindStream(request.stream);
    if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    std::vector<std::shared_ptr<Event>> events;
    for (const CUevent event : request.record_after) {
      events.push_back(context.events.Find(event));
      if (events.back() == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    }
    const CUresult good = CheckShape(launch, context.device().options());
    if (good != CUDA_SUCCESS) return good;
    const CUresult packed = PackParams(*launch.function->kernel, params, extra, &launch.params);
    if (packed != CUDA_SUCCESS) return packed;
    if (const auto captured = context.captures().Take(*stream, [&] { return KernelNode{handle, launch, {}}; })) {
      return *captured;
    }
    const Ticket done =
        context.scheduler().Enqueue(*stream, [&context, launch = std::move(launch)] { Execute(context, launch); });
    for (const auto& event : events) event->Record(done);
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
