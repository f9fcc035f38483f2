// What the node is asked and what it answers; all that src/http knows of it besides Node.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mignificient::node {

enum class Language { kCpp, kPython };

// How many containers a function may have and how long they are kept; what a registered function says of itself.
struct Scaling {
  uint32_t concurrency = 0;     // invocations of the function that run at once; 0: no limit
  uint32_t min_containers = 0;  // started ahead and kept, wherever there is room
  uint32_t max_containers = 0;  // 0: one for each partition that had room when the others were busy
  std::optional<std::chrono::nanoseconds> swap_off_after, remove_after;  // idle for so long; empty: the configuration's
};

struct Request {
  std::string call_id;
  std::string user;
  std::string function;
  std::string handler;
  std::string path;  // canonical, allowed, exists
  Language language = Language::kCpp;
  std::vector<std::string> modules;  // of a Python function: imported before its file
  std::string ld_preload;            // allowed by the administrator, or empty
  std::string mig_instance = "any";
  uint64_t gpu_memory_mib = 0;
  std::chrono::nanoseconds timeout{};  // from `accepted` on
  std::chrono::steady_clock::time_point accepted;
  std::string payload;
  Scaling scaling;
  // Of a registered function's specification: invocations of different ones never share a container. 0: not registered.
  uint64_t revision = 0;
  // The longest wait for the turn from `accepted` on, where `timeout` is to count from the turn on only.
  std::optional<std::chrono::nanoseconds> patience;
};

enum class Outcome {
  kOk,
  kBadRequest,
  kForbidden,
  kNotFound,
  kPayloadTooLarge,
  kQueueFull,
  kFunctionError,
  kFunctionCrashed,
  kNoCapacity,
  kTimeout,
  kOutOfMemory,
  kInternal,
};

// Milliseconds; those that do not apply are empty.
struct Timing {
  std::optional<double> queue, spawn, context, attach, exec, gpu_copy, gpu_kernel, total;
};

struct Answer {
  Outcome outcome = Outcome::kOk;
  std::string body;          // kOk: the function's output
  std::string error;         // else: a sentence
  double retry_after_s = 0;  // kQueueFull: when it may be worth another try
  bool granted = false;      // it had a turn: the rest is meant
  bool cold = false;         // its container was started for it or while it waited
  Timing timing;
  std::string container;
  std::string partition;      // uuid
  std::string instance_size;  // of the partition
};

// Invocations that wait for a partition which the node does not have.
struct WantedPartition {
  std::string mig_instance;
  uint64_t memory_mib = 0;                      // what the partition must have: gpu-memory, and a context's
  size_t count = 0;                             // that could run at once; may be 0
  std::chrono::steady_clock::time_point since;  // the first of them was accepted
};

struct GpuUse {
  bool idle = false;      // nothing runs, starts or is kept there, and nobody waits who could be placed there
  uint64_t last_use = 0;  // grows with each use
};

struct PartitionInfo {
  std::string uuid, gpu_uuid, mig_size, instance_size, sharing_model;
  bool open = true;  // false: gone, unhealthy, or its GPU is partitioned anew: takes nothing
  uint64_t memory_mib = 0, free_mib = 0;
  size_t running = 0, waiting_for_gpu = 0;
  std::string owner;  // container that owns the GPU; empty: nobody
};

struct ContainerInfo {
  std::string id, user, function, status, partition, instance_size;
  uint64_t gpu_memory_mib = 0;
  uint64_t invocations = 0;
  int executor_pid = 0, gpu_server_pid = 0;  // the function's own process and its GPU server; 0: not running (any more)
  std::string log;
};

}  // namespace mignificient::node
