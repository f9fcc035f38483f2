// A container: the executor of one user and function and its session in a GPU server (node/gpu_server.h), their
// channels, their end.
//
//   Starting -> Idle <-> Running -> Ending -> Gone
//
// Lives on the node's loop (one thread). Both processes are spawned at once; the container is started when the GPU
// server serves the executor's door and the function's library is loaded. Whatever goes wrong ends the executor and the
// session: the first reason counts, Gone follows when the one is reaped and the other closed. A GPU server of its own
// is killed with it and reaped by then.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <variant>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/result.h"
#include "device/inventory.h"
#include "executor/protocol.h"
#include "node/gpu_server.h"
#include "node/logs.h"
#include "node/request.h"
#include "remoting/wire/activity.h"
#include "remoting/wire/control.h"

namespace mignificient::node {

struct ContainerSpec {
  std::string id;  // "c-7"
  std::string user, function, handler, path, ld_preload;
  Language language = Language::kCpp;
  std::vector<std::string> modules;  // Python
  uint64_t gpu_memory_mib = 0;
  device::Partition partition;
};

// The same for all containers of a node.
struct ContainerSetup {
  std::string executor_program, keeper_program, library_folder, log_folder;
  std::string python;  // the interpreter of Python functions; empty: there is none
  executor::Layout layout;
  uint64_t log_bytes = 0;
  std::chrono::nanoseconds start_timeout{};
  GpuServerSetup gpu_server;
  bool measure_gpu = false;  // have GPU servers tell what ran on the device and when
};

// Time that copies and kernels took on the device, each stream counted for itself.
struct GpuTime {
  double copy_ms = 0, kernel_ms = 0;
};

struct EndReason {
  enum class Kind {
    kStart,    // a process could not be started, or did not get ready
    kLibrary,  // the function's file cannot be loaded
    kHandler,  // it has no such handler
    kExecutorDied,
    kGpuServerDied,
    kOutOfMemory,
    kMisuse,  // a tenant's process broke a protocol
    kTimeout,
    kKilled,         // on request
    kEvicted,        // idle, and its memory is needed
    kUnusable,       // its GPU context is broken, or its session is over
    kPartitionLost,  // its GPU or partition is gone, or not to be used any more
    kShutdown,
  } kind;
  std::string sentence;
  bool others_fault = false;  // it had not started, and what it shares a GPU server with is what ended it
  std::string log_tail = {};  // what the function had printed by then; the container's to fill
};

// What an invocation that runs in it hears.
struct Returned {
  int64_t value;
};
struct Threw {
  std::string sentence;
};
struct YieldAsked {};
struct WorkDrained {
  uint64_t tag;  // of Drain
};
struct WaitsAtGate {};  // the gate as it is now does not let its next command pass
// The container's own: it must not be used again (see unusable). Heard when nothing runs in it, too.
struct BecameUnusable {};
using ContainerEvent = std::variant<Returned, Threw, YieldAsked, WorkDrained, WaitsAtGate, BecameUnusable>;

class Container {
 public:
  struct Listener {
    std::function<void()> started;
    std::function<void(LogExtent)> logged;                           // its log has grown
    std::function<void(ContainerEvent)> event;                       // of the invocation that Run was called for
    std::function<void(const EndReason&)> ending;                    // once
    std::function<void()> gone;                                      // once, last; nothing of it is left
    std::function<void(const wire::ActivityRecord&)> activity = {};  // only with measure_gpu
    std::function<void(uint64_t)> activity_lost = {};                // so many records; only with measure_gpu
  };

  virtual ~Container() = default;

  // Never fails here: what goes wrong is told to the listener, never before Start has returned.
  static std::shared_ptr<Container> Start(boost::asio::any_io_executor executor, GpuServers& servers,
                                          ContainerSpec spec, std::shared_ptr<const ContainerSetup> setup,
                                          Listener listener);

  // Before Run: whether what is run in it now can succeed. False: it is being ended, or about to be, since one of its
  // processes has gone or it is unusable. What the function has printed until now is not of that invocation.
  virtual bool Prepare() = 0;
  // Writes the payload and tells the function to run, behind the gate as it is.
  virtual void Run(uint64_t invocation, const std::string& payload) = 0;
  // Asks the GPU server to hold the gate and say WorkDrained (wire::Hold); the gate holds until SetGate. Instead of
  // what was asked for before. Returns the tag that WorkDrained will carry.
  virtual uint64_t Drain(wire::Hold hold, std::chrono::microseconds idle = {}) = 0;
  virtual void SetGate(wire::GateState state) = 0;
  // Once the function has returned, while no Drain is under way: locks the gate where it is plain, without asking
  // anybody, that nothing of the function is left on the GPU or on its way there, and nothing has gone wrong
  // (wire::GatePage). False, and the gate is as it was: Drain tells.
  virtual bool LockQuiet() = 0;
  // The first `size` bytes of the result area, copied, in the memory of `into` where that is enough. `size` must be
  // within the capacity.
  virtual std::string ReadResult(uint64_t size, std::string into) const = 0;
  // Since the last call, of work that is drained. Empty unless measured.
  virtual std::optional<GpuTime> TakeGpuTime() = 0;
  // Ends the executor and the session. Only the first call counts.
  virtual void End(EndReason reason) = 0;

  virtual const ContainerSpec& spec() const = 0;
  virtual bool started() const = 0;
  // The session is over although the processes live: the container must not be used again. Empty: usable.
  virtual const std::string& unusable() const = 0;
  // Times of the start: spawn, context, attach.
  virtual Timing start_timing() const = 0;
  // What the function printed since the last Prepare, at most 4 KiB.
  virtual std::string LogTail() = 0;
  virtual std::string log_path() const = 0;
  virtual int keeper_pid() const = 0;  // the executor's parent, which ends as it ends (apps/keeper.cc); 0: not running
  virtual int executor_pid() = 0;      // of the program that runs the function; 0: not (yet) running
  virtual int gpu_server_pid() const = 0;
};

}  // namespace mignificient::node
