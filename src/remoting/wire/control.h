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

// Who may use the GPU now. The owner writes it; the GPU server reads it before each copy-class or kernel-class command.
enum class GateState : uint32_t {
  kLocked = 0,   // nothing starts on the device
  kCpuOnly = 1,  // as kLocked; says that the function itself may run
  kMemcpy = 2,   // copies only
  kFull = 3,
};

// One page of sealed shared memory between the owner and the GPU server; tenants never see it. The state lies in the
// low eight bits of `word`; the others count how often it was set, so that the server can tell a gate that was set
// again.
//
// `in_flight` lets the owner see without a message that there is nothing to drain. The server counts in it the
// session's connections and those of them that may have work on the device, and says that something has gone wrong:
//   - A connection is counted before its client can write a command, until it has torn down.
//   - A connection counts as busy before a command of it passes the gate, until its dispatcher has seen that all its
//     streams are idle, between commands. A command that waits at the gate counts, too.
//   - kTroubled stays once a connection ended for another reason than its client's going, or the context is broken.
// The owner closes the gate, then looks. The dispatcher counts itself, then looks at the gate. All four accesses are
// seq_cst, so one of the two sees the other (Dekker): either the dispatcher finds the gate closed, or the owner finds
// it busy. So where the owner finds nobody busy behind a closed gate, nothing is on the device or on its way there,
// until it sets the gate again. What lies in a ring and has not been read is not counted. The owner may call an
// invocation over only where each client has said that all it had written is carried out (executor::GpuWork). A client
// that lies, or a thread that writes on, has commands that meet the closed gate, as if they had been written after the
// end: in their own container's next turn.
struct GatePage {
  std::atomic<uint32_t> word;  // futex word: the server sleeps on it, the owner wakes it
  alignas(64) std::atomic<uint32_t> in_flight;
};
inline constexpr uint32_t kOneBusy = 1;             // bits 0 to 7: how many connections may have work on the device
inline constexpr uint32_t kOneConnection = 1 << 8;  // bits 8 to 15: how many there are
inline constexpr uint32_t kTroubled = 1u << 31;
static_assert(kMostChannels < 256);
constexpr GateState GateStateOf(uint32_t word) {
  return static_cast<GateState>(word & 0xff);
}
constexpr uint32_t GateTurnOf(uint32_t word) {  // never 0, unless it was set 2^24 times
  return word >> 8;
}

class Gate {
 public:
  static Result<Gate> Create(GateState initial);
  static Result<Gate> FromFd(os::UniqueFd fd);

  int fd() const { return fd_.get(); }
  void Set(GateState state);  // and wakes whoever waits; the owner only
  // The owner only: closes the gate of a session with `connections` connections, none of which has anything to drain.
  // False, and the gate is as it was, where that is not so.
  bool CloseQuiet(uint32_t connections);
  GateState Get() const { return GateStateOf(word().load(std::memory_order_acquire)); }
  std::atomic<uint32_t>& word() const;
  std::atomic<uint32_t>& in_flight() const;  // the server only

 private:
  void Store(GateState state);
  Gate(os::UniqueFd fd, os::Mapping mapping) : fd_(std::move(fd)), mapping_(std::move(mapping)) {}
  os::UniqueFd fd_;
  os::Mapping mapping_;
};

}  // namespace mignificient::wire
