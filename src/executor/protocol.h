// The invocation channel between the orchestrator and an executor: packets over a SOCK_SEQPACKET socket, each a message
// of one fixed size and, behind it, its text, which most have not; and one sealed memfd that holds the payload and the
// result.
//
//   orchestrator                              executor
//     spawn: PROGRAM --channel-fd N --memory-fd M --payload-capacity B --result-capacity B
//            --function FILE --handler SYMBOL [--module NAME]...
//                                             <- kReady | kFailed        it can be invoked, or why not
//     payload into memory, kInvoke ->         <- kYielded (any number)   the function needs no GPU for now
//                                             <- kReturned | kThrew | kFailed
//     close the socket                        the executor exits
//
// PROGRAM is mignificient-executor for a C++ function; for a Python function an interpreter and
// python/mignificient_executor.py, which imports the modules. A Python file runs at the first invocation, when the GPU
// is its own, because many put a model there at the top level: a file that fails says so then.
//
// The executor is tenant code: the orchestrator copies a packet out before it looks at it, trusts no number in it, and
// never reads its own sizes back from the shared memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"

namespace mignificient::executor {

inline constexpr uint32_t kProtocolVersion = 3;

enum class MessageKind : uint32_t { kReady = 1, kFailed, kInvoke, kYielded, kReturned, kThrew };

enum class LoadFailure : uint32_t {
  kNone = 0,
  kLibrary,  // the file cannot be loaded; text: why, as dlerror or the exception says
  kHandler,  // it has no such function; text: its name
};

// What the executor knows, when the handler has returned, of the GPU work that its process has issued. Only a hint: the
// orchestrator looks at what the GPU server says too (wire::GatePage), and asks it to drain in every other case.
enum class GpuWork : uint32_t {
  kUnknown = 0,    // something is left, or went wrong
  kNone = 1,       // the process has no channel to the GPU server
  kCarriedOut = 2  // the dispatcher has carried out all that the process had written, and its streams are idle
};

struct Message {
  uint32_t version = kProtocolVersion;
  MessageKind kind{};
  LoadFailure failure{};      // kFailed
  uint32_t text_size = 0;     // bytes that follow. kFailed: see LoadFailure; kThrew: a sentence
  uint64_t invocation = 0;    // kInvoke; echoed in kYielded, kReturned, kThrew
  uint64_t payload_size = 0;  // kInvoke
  int64_t value = 0;          // kReturned: what the handler returned
  GpuWork gpu_work{};         // kReturned, kThrew
  uint32_t reserved = 0;
};
static_assert(sizeof(Message) == 48);  // python/mignificient/channel.py knows each offset
inline constexpr size_t kTextBytes = 1024;

// What a packet is received into.
struct Incoming {
  Message message;
  char text[kTextBytes];  // only what was received is ever looked at
};
static_assert(sizeof(Incoming) == sizeof(Message) + kTextBytes);

struct Received {
  Message message;
  std::string_view text;  // in the Incoming
};

// What a packet of `size` bytes that was received into `bytes` is. nullopt: the other side closed. kPeer: not a message
// of this version. `cut`: the packet was larger.
Result<std::optional<Received>> ParseMessage(const Incoming& bytes, size_t size, bool cut = false);

// As os::SendPacket. The text is cut to kTextBytes.
Result<> SendMessage(int socket, Message message, std::string_view text = {});
// As ParseMessage. kTimeout: none there (non-blocking).
Result<std::optional<Received>> ReceiveMessage(int socket, Incoming& into);

// Where payload and result lie in the memfd. The byte after the payload is zero.
struct Layout {
  uint64_t payload_capacity = 0;
  uint64_t result_capacity = 0;  // below 2 GiB: a handler's int must be able to name it

  uint64_t result_offset() const { return (payload_capacity + 1 + 4095) & ~uint64_t{4095}; }
  uint64_t total() const { return (result_offset() + result_capacity + 4095) & ~uint64_t{4095}; }
};
inline constexpr uint64_t kResultLimit = (uint64_t{1} << 31) - 1;

}  // namespace mignificient::executor
