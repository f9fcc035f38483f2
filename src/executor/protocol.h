// The invocation channel between the orchestrator and an executor: packets of one fixed size over a SOCK_SEQPACKET
// socket, and one sealed memfd that holds the payload and the result.
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

inline constexpr uint32_t kProtocolVersion = 2;

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
  uint32_t text_size = 0;     // bytes of `text` that are meant
  uint64_t invocation = 0;    // kInvoke; echoed in kYielded, kReturned, kThrew
  uint64_t payload_size = 0;  // kInvoke
  int64_t value = 0;          // kReturned: what the handler returned
  GpuWork gpu_work{};         // kReturned, kThrew
  uint32_t reserved = 0;
  char text[1024] = {};  // kFailed: see LoadFailure; kThrew: a sentence
};
static_assert(sizeof(Message) == 1072);  // python/mignificient/channel.py knows each offset

void SetText(Message& message, std::string_view text);  // cut to fit
std::string_view Text(const Message& message);          // never beyond the array, whatever text_size says

// What a packet of `size` bytes that was received into `bytes` is. nullopt: the other side closed. kPeer: not a message
// of this version. `cut`: the packet was larger.
Result<std::optional<Message>> ParseMessage(const Message& bytes, size_t size, bool cut = false);

// As os::SendPacket.
Result<> SendMessage(int socket, const Message& message);
// As ParseMessage. kTimeout: none there (non-blocking).
Result<std::optional<Message>> ReceiveMessage(int socket);

// Where payload and result lie in the memfd. The byte after the payload is zero.
struct Layout {
  uint64_t payload_capacity = 0;
  uint64_t result_capacity = 0;  // below 2 GiB: a handler's int must be able to name it

  uint64_t result_offset() const { return (payload_capacity + 1 + 4095) & ~uint64_t{4095}; }
  uint64_t total() const { return (result_offset() + result_capacity + 4095) & ~uint64_t{4095}; }
};
inline constexpr uint64_t kResultLimit = (uint64_t{1} << 31) - 1;

}  // namespace mignificient::executor
