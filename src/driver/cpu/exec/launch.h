// Executing a kernel: a grid of blocks, each block's warps in turns on one worker, 32 lanes per step.
//
// Scheduling promises. Warps of one block make progress independently: a warp that spins yields to the
// others, and so do diverged lanes of one warp. Blocks start in increasing linear order, as many at a
// time as there are workers; a block may wait for a block with a smaller index, never for a later one,
// unless the launch is cooperative: then every block is resident and takes turns, on the calling thread alone.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "driver/cpu/exec/device_heap.h"
#include "driver/cpu/exec/memory_map.h"
#include "driver/cpu/exec/program.h"
#include "driver/cpu/exec/texture.h"
#include "driver/cpu/exec/worker_pool.h"

namespace mignificient::cpu {

// What the device offers; a launch beyond it is kInvalidLaunch.
inline constexpr uint32_t kMaxThreadsPerBlock = 1024;
inline constexpr uint32_t kMaxSharedBytes = 227 * 1024;  // static + dynamic, per block

// Receives the text of each printf and of each failed assert, whole, one call at a time.
using PrintfSink = std::function<void(std::string_view)>;

struct Launch {
  const Kernel* kernel = nullptr;  // outlives the run, and so does its program
  Dim3 grid;
  Dim3 block;
  uint32_t dynamic_shared_bytes = 0;
  std::span<const std::byte> params;  // kernel->parameter_bytes() bytes, laid out as kernel->parameters() says
  std::shared_ptr<const MemoryMap> memory;
  PrintfSink printf;                          // may be empty: output is dropped
  const std::atomic<bool>* cancel = nullptr;  // set from any thread: the run stops soon with kCancelled
  bool cooperative = false;                   // every block resident at once (grid-wide barriers)
  const TextureTable* textures = nullptr;     // what handles of textures and surfaces name
  DeviceHeap* heap = nullptr;                 // of malloc; null: there is no room
  uint64_t workspace = 0;                     // set by Run
};

enum class LaunchStatus {
  kOk,
  kInvalidLaunch,  // nothing was executed: dimensions, shared bytes, parameters or an unbound symbol
  kIllegalAddress,
  kMisaligned,
  kTrap,    // trap, brkpt
  kAssert,  // __assertfail; its text went to the sink
  kStackOverflow,
  kIllegalInstruction,  // e.g. an indirect call to something that is not a function
  kDeadlock,            // every live thread of a block waits at barriers that cannot complete
  kCancelled,
};

std::string_view LaunchStatusName(LaunchStatus status);

struct LaunchResult {
  LaunchStatus status = LaunchStatus::kOk;
  std::string message;  // a sentence with thread, block, kernel and PTX line; empty when ok
};

// Executes the grid and returns when it is done or stopped. Memory effects are visible to the caller.
// The first fault stops the other blocks; what they wrote before stays written.
LaunchResult Run(const Launch& launch, WorkerPool& pool);

}  // namespace mignificient::cpu
