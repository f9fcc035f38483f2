// Kernel launches: pack the parameters by the kernel's layout into the command, and return. What CUDA reports at the
// launch itself (dimensions, resources) is checked here; the rest surfaces at a later call.

#include <cstring>
#include <new>

#include "remoting/client/call.h"
#include "remoting/client/capture.h"
#include "remoting/client/channel.h"
#include "remoting/client/events.h"
#include "remoting/client/function.h"
#include "remoting/client/managed_variables.h"
#include "remoting/wire/commands.h"
#include "remoting/wire/launch_attributes.h"
#include "remoting/wire/launch_shape.h"

namespace mignificient::client {
namespace {

// A launch as the program asks for it.
struct Arguments {
  CUfunction function;
  unsigned grid[3];
  unsigned block[3];
  unsigned shared_bytes;
  wire::LaunchFlags flags;
  CUstream stream;
  std::span<const CUlaunchAttribute> attributes;
  void** params;
  void** extra;
};

uint64_t ThreadsPerBlock(const Arguments& arguments) {
  return uint64_t{arguments.block[0]} * arguments.block[1] * arguments.block[2];
}

// From 1 to `most`. 0 - 1 is above every limit.
bool InRange(unsigned dimension, int most) {
  return dimension - 1 < static_cast<unsigned>(most);
}

[[gnu::always_inline]] inline CUresult CheckShape(const Arguments& arguments) {
  const int* attributes = TheChannel()->welcome().device.attributes;
#pragma GCC unroll 3  // or the shape would have to be in memory
  for (int i = 0; i < 3; ++i)
    if (!InRange(arguments.grid[i], attributes[CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X + i]) ||
        !InRange(arguments.block[i], attributes[CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X + i])) [[unlikely]]
      return CUDA_ERROR_INVALID_VALUE;
  const auto most = static_cast<unsigned>(attributes[CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK]);
  return ThreadsPerBlock(arguments) > most ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

// A launch may use this much dynamic shared memory without asking the server first whether the kernel is allowed to.
constexpr unsigned kDefaultSharedBytes = 48 * 1024;

// What a launch of clusters or a cooperative one may be refused for, as one number: not 0. 0 for other launches. A grid
// counts where all of it must be resident at once.
[[gnu::noinline]] uint64_t SumOfTogetherness(Arguments arguments) {
  const auto& [function, grid, block, shared_bytes, flags, stream, attributes, params, extra] = arguments;
  const auto mix = [](uint64_t sum, uint64_t value) { return (sum ^ value) * 0x100000001b3 + 1; };
  bool cooperative = (flags & wire::kLaunchCooperative) != 0, clusters = false;
  uint64_t sum = mix(mix(mix(block[0], block[1]), block[2]), shared_bytes);
  for (const CUlaunchAttribute& attribute : attributes) {
    uint32_t words[3];
    std::memcpy(words, attribute.value, sizeof words);
    cooperative |= attribute.id == wire::kCooperativeAttribute && words[0] != 0;
    if (attribute.id != wire::kClusterDimensionAttribute && attribute.id != wire::kPreferredClusterAttribute) continue;
    clusters = true;
    for (int i = 0; i < 3; ++i) sum = mix(mix(sum, words[i]), words[i] == 0 ? 0 : grid[i] % words[i]);
  }
  if (cooperative) sum = mix(mix(mix(sum, grid[0]), grid[1]), grid[2]);
  return cooperative || clusters ? sum | 1 : 0;
}
inline uint64_t Togetherness(const Arguments& arguments) {
  const bool plain = arguments.attributes.empty() && (arguments.flags & wire::kLaunchCooperative) == 0;
  return plain ? 0 : SumOfTogetherness(arguments);
}

// Whether the launch may fail for what the kernel is, so that its answer is the driver's to give: it has several codes
// for a block with more threads than the kernel's registers or launch bounds allow. What was accepted once is not asked
// again.
[[gnu::always_inline]] inline bool MayBeRefused(const Function& function, uint64_t threads, uint32_t shared_bytes,
                                                uint64_t togetherness) {
  return threads > function.max_threads ||
         (shared_bytes > kDefaultSharedBytes &&
          shared_bytes > function.proven_shared_bytes.load(std::memory_order_relaxed)) ||
         (togetherness != 0 && togetherness != function.proven_togetherness.load(std::memory_order_relaxed));
}

// What a launch needs once it is known to be one.
struct Checked {
  const Function& function;
  ParamSource source;
};

// Straight into the ring, each word once.
[[gnu::always_inline]] inline bool Write(const Arguments& arguments, const Checked& checked, uint16_t slot) {
  const auto& grid = arguments.grid;
  const auto& block = arguments.block;
  const uint64_t stream = StreamName(arguments.stream);
  const size_t attribute_bytes = arguments.attributes.size_bytes();
  const uint32_t param_bytes = checked.function.param_bytes;
  return TheChannel()->WriteWith(static_cast<uint16_t>(wire::Command::kLaunch), slot,
                                 sizeof(wire::LaunchBody) + attribute_bytes + param_bytes, [&](std::byte* space) {
                                   ::new (space) wire::LaunchBody{
                                       .function = reinterpret_cast<uint64_t>(arguments.function),
                                       .stream = stream,
                                       .grid = {grid[0], grid[1], grid[2]},
                                       .block = {block[0], block[1], block[2]},
                                       .shared_bytes = arguments.shared_bytes,
                                       .flags = arguments.flags,
                                       .attribute_count = static_cast<uint32_t>(arguments.attributes.size()),
                                       .param_bytes = param_bytes,
                                   };
                                   space += sizeof(wire::LaunchBody);
                                   if (attribute_bytes > 0)
                                     std::memcpy(space, arguments.attributes.data(), attribute_bytes);
                                   PackParams(checked.function, checked.source, space + attribute_bytes);
                                 });
}

CUresult LaunchDescribed(Arguments arguments);

// Waits for the server's answer, and remembers what it has accepted.
[[gnu::noinline, gnu::cold]] CUresult LaunchAndWait(Arguments arguments, Checked checked, uint32_t shared,
                                                    uint64_t togetherness) {
  const Function& function = checked.function;
  if (!function.described) return LaunchDescribed(arguments);
  const bool may_be_refused = MayBeRefused(function, ThreadsPerBlock(arguments), shared, togetherness);
  Channel& channel = *TheChannel();
  const uint16_t slot = channel.AcquireSlot(0);
  channel.reply(slot).Arm();
  if (!Write(arguments, checked, slot)) return CUDA_ERROR_DEVICE_UNAVAILABLE;
  const CUresult result = channel.Wait(channel.reply(slot));
  if (!channel.reply(slot).Done()) return result;
  channel.ReleaseSlot(slot);
  if (result != CUDA_SUCCESS || !may_be_refused) return result;
  if (shared > kDefaultSharedBytes) function.proven_shared_bytes.store(shared, std::memory_order_relaxed);
  if (togetherness != 0) function.proven_togetherness.store(togetherness, std::memory_order_relaxed);
  return result;
}

// In line in each entry point, so that what the program has passed in registers stays there until it is in the ring.
[[gnu::always_inline]] inline CUresult Launch(const Arguments& arguments) {
  if (const CUresult ready = ReadyOn(arguments.stream); ready != CUDA_SUCCESS) return ready;
  BeforeLaunch(arguments.stream);
  const Function* function = FindFunction(arguments.function);
  if (function == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (const CUresult shape = CheckShape(arguments); shape != CUDA_SUCCESS) return shape;
  Checked checked{*function, {}};
  if (const CUresult found = FindParams(*function, arguments.params, arguments.extra, checked.source);
      found != CUDA_SUCCESS)
    return found;
  const uint32_t shared = arguments.shared_bytes + function->static_shared_bytes;
  const uint64_t togetherness = Togetherness(arguments);
  if (MayBeRefused(*function, ThreadsPerBlock(arguments), shared, togetherness) || AnyCapture()) [[unlikely]]
    return LaunchAndWait(arguments, checked, shared, togetherness);
  return Write(arguments, checked, wire::kNoReply) ? CUDA_SUCCESS : CUDA_ERROR_DEVICE_UNAVAILABLE;
}

// The first launch of a library's kernel: now it must be known what it takes.
[[gnu::noinline, gnu::cold]] CUresult LaunchDescribed(Arguments arguments) {
  const Function* function = FindFunction(arguments.function);
  if (function == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  const CUresult described = Described(function);
  return described == CUDA_SUCCESS ? Launch(arguments) : described;
}

CUresult LaunchEx(const CUlaunchConfig* config, CUfunction function, void** params, void** extra, CUstream stream) {
  if (config == nullptr || config->attribute_count > wire::kMaxLaunchAttributes) return InvalidValue();
  if (config->attribute_count > 0 && config->attributes == nullptr) return InvalidValue();
  for (unsigned i = 0; i < config->attribute_count; ++i) {
    const int id = config->attributes[i].id;
    if (wire::KindOfAttribute(id) == wire::AttributeKind::kEvent) {
      CUevent event = nullptr;
      std::memcpy(&event, config->attributes[i].value, sizeof event);
      NoteRecordedElsewhere(event);
    }
    if (wire::KindOfAttribute(id) != wire::AttributeKind::kRefused) continue;
    return id == wire::kDeviceUpdatableNode ? Refused("cuLaunchKernelEx with a device-updatable node") : InvalidValue();
  }
  return Launch({.function = function,
                 .grid = {config->grid_x, config->grid_y, config->grid_z},
                 .block = {config->block_x, config->block_y, config->block_z},
                 .shared_bytes = config->shared_bytes,
                 .flags = wire::kLaunchPlain,
                 .stream = stream,
                 .attributes = {config->attributes, config->attribute_count},
                 .params = params,
                 .extra = extra});
}

}  // namespace

MIG_EXPORT CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                                   unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                                   CUstream stream, void** params, void** extra) {
  return Launch({.function = function,
                 .grid = {grid_x, grid_y, grid_z},
                 .block = {block_x, block_y, block_z},
                 .shared_bytes = shared_bytes,
                 .flags = wire::kLaunchPlain,
                 .stream = stream,
                 .attributes = {},
                 .params = params,
                 .extra = extra});
}

MIG_EXPORT CUresult cuLaunchKernel_ptsz(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                                        unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                                        CUstream stream, void** params, void** extra) {
  return cuLaunchKernel(function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes, PerThread(stream),
                        params, extra);
}

MIG_EXPORT CUresult cuLaunchKernelEx(const CUlaunchConfig* config, CUfunction function, void** params, void** extra) {
  return LaunchEx(config, function, params, extra, config == nullptr ? nullptr : config->stream);
}

MIG_EXPORT CUresult cuLaunchKernelEx_ptsz(const CUlaunchConfig* config, CUfunction function, void** params,
                                          void** extra) {
  return LaunchEx(config, function, params, extra, PerThread(config == nullptr ? nullptr : config->stream));
}

MIG_EXPORT CUresult cuLaunchCooperativeKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                                              unsigned block_x, unsigned block_y, unsigned block_z,
                                              unsigned shared_bytes, CUstream stream, void** params) {
  return Launch({.function = function,
                 .grid = {grid_x, grid_y, grid_z},
                 .block = {block_x, block_y, block_z},
                 .shared_bytes = shared_bytes,
                 .flags = wire::kLaunchCooperative,
                 .stream = stream,
                 .attributes = {},
                 .params = params,
                 .extra = nullptr});
}

MIG_EXPORT CUresult cuLaunchCooperativeKernel_ptsz(CUfunction function, unsigned grid_x, unsigned grid_y,
                                                   unsigned grid_z, unsigned block_x, unsigned block_y,
                                                   unsigned block_z, unsigned shared_bytes, CUstream stream,
                                                   void** params) {
  return cuLaunchCooperativeKernel(function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes,
                                   PerThread(stream), params);
}

}  // namespace mignificient::client
