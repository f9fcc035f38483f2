// The control protocol between the owner of a GPU server (the orchestrator, or `mignificient run`) and the server:
// packets of one fixed size over a SOCK_SEQPACKET socket, both sides trusted, same build on both ends.
//
//   owner                                   GPU server
//     spawn: mignificient-gpu-server --control-fd N --driver cuda|cpu --device ORDINAL|UUID [--memory BYTES]
//                                           <- kReady | kFailed     context exists, or why not
//     kOpenSession + {door, gate page} ->   <- kSessionOpened       (only means: callers at the door are served)
//                                           <- kAttached            a client process went through the door
//                                           <- kWaiting             a command waits at the gate
//     kDrain ->                             <- kDrained             see Hold: GPU work is complete, the gate holds;
//                                                                   GatePage often tells without
//     kCloseSession ->                      <- kSessionEnded        also unasked: see SessionEnd
//     close the socket                      the server exits
//
// The owner makes the door (wire/door.h) and hands its listener over. Each client process that comes in gets a channel
// of its own (wire/attach.h), so that children of a program find the GPU too.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "os/mapping.h"
#include "os/socket.h"
#include "remoting/wire/attach.h"
#include "remoting/wire/gate_page.h"

namespace mignificient::wire {

enum class ControlKind : uint32_t {
  kReady = 1,
  kFailed,
  kOpenSession,
  kSessionOpened,
  kAttached,
  kDrain,
  kDrained,
  kCloseSession,
  kSessionEnded,
  kWaiting,
};

// From which command on the gate holds, whatever its state, until the owner sets it again; kDrained follows when all
// that passed before is complete. A later kDrain replaces one that is not answered.
enum class Hold : uint32_t {
  kIssued = 0,  // after the commands issued by now
  kIdle,        // once there have been no command and no work for idle_us
  kNow,         // before the next command
};

enum class SessionEnd : uint32_t {
  kClosed = 0,   // asked for
  kClientGone,   // of one connection: its process has gone; the session goes on
  kMisuse,       // a client broke the protocol
  kOutOfMemory,  // the budget or the device's memory is exhausted beyond what the client can be told
  kDeviceError,  // the context is broken (illegal address and the like): sticky for every call that follows
};

struct ControlMessage {
  ControlKind kind{};
  uint32_t session = 0;       // chosen by the owner in kOpenSession, echoed by the server
  SessionEnd end{};           // kSessionEnded
  uint32_t pid = 0;           // kAttached: the client's process
  uint64_t budget_bytes = 0;  // kOpenSession: device memory the session may hold
  uint64_t context_us = 0;    // kReady: time to initialise the driver and create the context
  uint64_t total_bytes = 0;   // kReady: device memory of the partition
  uint64_t free_bytes = 0;    // kReady
  uint64_t used_bytes = 0;    // kDrained, kSessionEnded: device memory the session holds
  uint64_t copies = 0;        // kDrained: commands since the session was opened
  uint64_t kernels = 0;       // kDrained
  uint64_t drain_tag = 0;     // kDrain, echoed in kDrained
  Hold hold{};                // kDrain
  uint32_t idle_us = 0;       // kDrain with Hold::kIdle
  uint32_t gate_word = 0;     // kWaiting: what the gate was when the command came to it
  char text[256] = {};        // kReady: device name; kOpenSession: the door's key; kFailed, kSessionEnded: a sentence
};

// Blocking (or kTimeout / kExhausted on a non-blocking socket). fds: kOpenSession carries {door, gate page},
// and an activity ring (wire/activity.h) where the owner wants to know what ran on the device and when.
Result<> SendControl(int socket, const ControlMessage& message, std::span<const int> fds = {});

struct ReceivedControl {
  ControlMessage message;
  std::vector<os::UniqueFd> fds;
};
// nullopt: the other side closed the socket.
Result<std::optional<ReceivedControl>> ReceiveControl(int socket);

void SetText(ControlMessage& message, std::string_view text);  // cut to fit

static_assert(kMostChannels < 256);  // what GatePage::in_flight can count

// A gate page in sealed memory of its own, one end of it.
class Gate {
 public:
  static Result<Gate> Create(GateState initial);
  static Result<Gate> FromFd(os::UniqueFd fd);

  int fd() const { return fd_.get(); }
  GatePage& page() const { return *reinterpret_cast<GatePage*>(mapping_.data()); }
  void Set(GateState state) { page().Set(state); }
  bool CloseQuiet(uint32_t connections) { return page().CloseQuiet(connections); }
  GateState Get() const { return page().Get(); }
  std::atomic<uint32_t>& word() const { return page().word; }
  std::atomic<uint32_t>& in_flight() const { return page().in_flight; }  // the server only

 private:
  Gate(os::UniqueFd fd, os::Mapping mapping) : fd_(std::move(fd)), mapping_(std::move(mapping)) {}
  os::UniqueFd fd_;
  os::Mapping mapping_;
};

}  // namespace mignificient::wire
