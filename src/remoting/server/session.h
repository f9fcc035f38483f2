// A session: what one container may use of this server's device. Shared by the connections of the container's processes
// and the control thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "driver/driver_table.h"
#include "remoting/server/activity.h"
#include "remoting/server/stream_marks.h"
#include "remoting/wire/attach.h"
#include "remoting/wire/control.h"

namespace mignificient::server {

// What every connection of the process shares. Built once by main.
struct Device {
  const DriverTable* driver = nullptr;
  CUcontext context = nullptr;
  CUdevice ordinal = 0;
  uint64_t granule_bytes = 0;
  wire::DeviceInfo info;               // total_bytes: of the partition
  std::string driver_text;             // "580.159.04"
  bool shared = false;                 // by the sessions of several containers
  bool launch_lanes = false;           // there are processors for threads that launch (launch_lanes.h)
  std::shared_ptr<StreamMarks> marks;  // null: none are set
};

struct Session {
  Session(uint32_t session_id, uint64_t budget, wire::Gate session_gate)
      : id(session_id), budget_bytes(budget), gate(std::move(session_gate)) {}

  const uint32_t id;
  const uint64_t budget_bytes;
  wire::Gate gate;
  std::unique_ptr<ActivityLog>
      activity;  // null: the owner does not ask when what ran; set before there are connections
  std::atomic<uint64_t> mapped_bytes{0};  // device memory, never above the budget
  std::atomic<uint64_t> pinned_bytes{0};  // host memory
  // Futex word: 1 while a connection that was alone may still be sent maps that its client did not ask for. Nobody else
  // takes of the budget meanwhile.
  std::atomic<uint32_t> settling{0};
  std::atomic<uint64_t> copies{0};
  std::atomic<uint64_t> kernels{0};
  std::atomic<uint32_t> waiting_word{0};  // what the gate was when a connection last came to it and could not pass
  std::atomic<uint32_t> held_turn{0};     // of the gate, at the last drain: who connects later holds, too
  std::atomic<uint32_t> device_error{0};  // the first CUresult that said that the context is broken

  // Takes `bytes` of `total`, or nothing. Release with fetch_sub.
  static bool Take(std::atomic<uint64_t>& used, uint64_t bytes, uint64_t total) {
    uint64_t current = used.load(std::memory_order_relaxed);
    do {
      if (bytes > total || current > total - bytes) return false;
    } while (!used.compare_exchange_weak(current, current + bytes, std::memory_order_relaxed));
    return true;
  }
};

// Why a connection ended, for the owner.
struct ConnectionEnd {
  wire::SessionEnd reason = wire::SessionEnd::kClientGone;
  std::string text;
};

}  // namespace mignificient::server
