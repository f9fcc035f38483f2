#include "driver/cpu/occupancy.h"

#include <algorithm>

#include "driver/cpu/exec/launch.h"

namespace mignificient::cpu {
namespace {

constexpr uint64_t kRegisterUnit = 256;       // registers are given to a warp in such pieces
constexpr uint64_t kSharedGranularity = 128;  // bytes

uint64_t Warps(uint64_t threads) {
  return (threads + kWarpThreads - 1) / kWarpThreads;
}

uint64_t BlocksByThreads(const Kernel& kernel, uint64_t threads) {
  const uint64_t warps = Warps(threads);
  const uint64_t warp_registers = static_cast<uint64_t>(ReportedRegisters(kernel)) * kWarpThreads;
  const uint64_t warp_share = (warp_registers + kRegisterUnit - 1) / kRegisterUnit * kRegisterUnit;
  return std::min<uint64_t>({kBlocksPerSm, kThreadsPerSm / kWarpThreads / warps, kRegistersPerSm / warp_share / warps});
}

}  // namespace

int ReportedRegisters(const Kernel& kernel) {
  const uint64_t warps = Warps(std::clamp(kernel.max_threads(), 1u, kMaxThreadsPerBlock));
  const uint64_t most = std::min<uint64_t>(255, kRegistersPerSm / (warps * kWarpThreads) / 8 * 8);
  return static_cast<int>(std::clamp<uint64_t>(kernel.register_count(), 4, most));
}

int BlocksPerSm(const Kernel& kernel, uint64_t threads, uint64_t dynamic_shared_bytes) {
  const uint64_t shared = kernel.static_shared_bytes() + dynamic_shared_bytes;
  if (threads == 0 || threads > kMaxThreadsPerBlock || shared > kMaxSharedBytes) return 0;
  const uint64_t by_shared = kSharedBytesPerSm / (shared + kReservedSharedBytes);
  return static_cast<int>(std::min(BlocksByThreads(kernel, threads), by_shared));
}

std::optional<uint64_t> DynamicSharedFor(const Kernel& kernel, uint64_t blocks, uint64_t threads) {
  if (blocks == 0 || threads == 0 || threads > kMaxThreadsPerBlock || blocks > BlocksByThreads(kernel, threads)) {
    return std::nullopt;
  }
  const uint64_t share = std::min<uint64_t>(kSharedBytesPerSm / blocks, kMaxSharedBytes);
  if (share < kernel.static_shared_bytes()) return std::nullopt;
  return (share - kernel.static_shared_bytes()) / kSharedGranularity * kSharedGranularity;
}

}  // namespace mignificient::cpu
