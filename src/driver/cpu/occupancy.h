// How many blocks of a kernel a streaming multiprocessor of the presented GPU (a Hopper) would hold. The software GPU
// itself has no such limit; programs size their grids and buffers by these answers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "driver/cpu/exec/program.h"

namespace mignificient::cpu {

// Launch dimensions, as an H100 has them.
inline constexpr unsigned kMaxBlockX = 1024;
inline constexpr unsigned kMaxBlockY = 1024;
inline constexpr unsigned kMaxBlockZ = 64;
inline constexpr unsigned kMaxGridX = 0x7fffffff;
inline constexpr unsigned kMaxGridYZ = 65535;

inline constexpr unsigned kWarpThreads = 32;
inline constexpr unsigned kThreadsPerSm = 2048;
inline constexpr unsigned kBlocksPerSm = 32;
inline constexpr unsigned kRegistersPerSm = 65536;
inline constexpr uint64_t kSharedBytesPerSm = 228 * 1024;
inline constexpr uint64_t kReservedSharedBytes = 1024;  // the system's own, per block

// Registers per thread as reported. PTX declares virtual registers, of which a compiler keeps fewer: never so many that
// the largest block the kernel allows would not fit.
int ReportedRegisters(const Kernel& kernel);

// Blocks of `threads` threads that one multiprocessor holds; 0 where not even one fits.
int BlocksPerSm(const Kernel& kernel, uint64_t threads, uint64_t dynamic_shared_bytes);

// Dynamic shared memory per block so that `blocks` blocks fit; empty where they cannot.
std::optional<uint64_t> DynamicSharedFor(const Kernel& kernel, uint64_t blocks, uint64_t threads);

}  // namespace mignificient::cpu
