// What a driver entry point of the client is made of: check that the GPU is there, write a command, perhaps wait.
// Generated entry points (gen/client_forward.inc) and hand-written ones use these and nothing deeper.
//
// Thread safety: every function may be called from any thread of the client's process.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "abi/cuda.h"
#include "remoting/client/context_table.h"
#include "remoting/wire/attach.h"

#define MIG_EXPORT extern "C" __attribute__((visibility("default")))

namespace mignificient::client {

// Attaches to the GPU server if this process has not yet (cuInit). CUDA_ERROR_NO_DEVICE when there is no door,
// CUDA_ERROR_SYSTEM_NOT_READY when the server does not answer, CUDA_ERROR_OUT_OF_MEMORY when it has no channel left,
// CUDA_ERROR_NOT_INITIALIZED in a child that was forked after its parent had attached.
CUresult Attach();

// CUDA_SUCCESS when cuInit has succeeded and the calling thread has a current context; else CUDA's error for it
// (NOT_INITIALIZED, INVALID_CONTEXT, CONTEXT_IS_DESTROYED), or the sticky error of the context, or the deferred error
// of an earlier asynchronous call, which is reported once.
CUresult Ready();

// Whether this process has attached. Changed by Attach() and by forks alone.
enum class Attached : uint32_t { kNo, kYes, kForked };
extern constinit std::atomic<Attached> attached;

// The one word that every call looks at: 0 while the process is attached, its server is there and no error is to be
// reported. It is the channel's `deferred_error`, and one that is never 0 before there is a channel and once it is of
// no use.
extern constinit std::atomic<const std::atomic<uint32_t>*> trouble;
extern constinit const std::atomic<uint32_t> no_channel;

// As Ready(), without a current context.
inline CUresult Initialized() {
  if (attached.load(std::memory_order_acquire) != Attached::kYes) [[unlikely]]
    return CUDA_ERROR_NOT_INITIALIZED;
  return CUDA_SUCCESS;
}

// The device as the server described it. Valid once Attach() has succeeded.
const wire::DeviceInfo& Device();

// Writes a command and returns. `body` is what follows the CommandHeader, `tail` (may be empty) follows body.
CUresult Post(uint16_t opcode, std::span<const std::byte> body, std::span<const std::byte> tail = {});

// As Post, for work on a stream. While a stream is captured it waits for the answer, which then belongs to this call:
// what may not be captured is told at once, as CUDA does.
CUresult Issue(uint16_t opcode, std::span<const std::byte> body, std::span<const std::byte> tail = {});

// Writes a command and waits for its reply, of which the first `reply.size()` bytes are copied to `reply` when the
// result is CUDA_SUCCESS. reply.size() <= wire::kReplyBytes.
CUresult Call(uint16_t opcode, std::span<const std::byte> body, std::span<std::byte> reply,
              std::span<const std::byte> tail = {});

template <typename Body>
CUresult PostBody(uint16_t opcode, const Body& body) {
  return Post(opcode, std::as_bytes(std::span(&body, 1)));
}
template <typename Body>
CUresult IssueBody(uint16_t opcode, const Body& body) {
  return Issue(opcode, std::as_bytes(std::span(&body, 1)));
}
template <typename Body, typename Reply>
CUresult CallBody(uint16_t opcode, const Body& body, Reply& reply) {
  return Call(opcode, std::as_bytes(std::span(&body, 1)), std::as_writable_bytes(std::span(&reply, 1)));
}

// The stream as an entry point's `_ptsz`/`_ptds` form means it: null becomes the per-thread stream.
inline CUstream PerThread(CUstream stream) {
  return stream == nullptr ? CuStreamPerThread() : stream;
}

// The calling thread's per-thread default stream, made at its first use; it goes with the thread. Defined in stream.cc.
uint64_t ThreadStreamName();

// How the server knows the stream: by its handle, 0 or 1 for the legacy default stream.
inline uint64_t StreamName(CUstream stream) {
  return stream == CuStreamPerThread() ? ThreadStreamName() : reinterpret_cast<uint64_t>(stream);
}

// Whether the program may use the handle as a stream. Defined in stream.cc.
bool IsStream(CUstream stream);

// CUDA_ERROR_INVALID_VALUE for an address that the program has reserved and mapped nothing at. Defined in
// virtual_memory.cc.
CUresult CheckAddress(CUdeviceptr address);

// CUDA_ERROR_INVALID_VALUE for [address, address + bytes) of the device's window that does not lie in one allocation of
// the program's, or in mappings side by side that it may use. A stream that captures is not told, as in CUDA. Memory
// outside of the window is the server's to know. Defined in memory.cc.
CUresult CheckRange(CUdeviceptr address, uint64_t bytes, CUstream stream);
// What `height` rows of `width` elements reach over; 2^64 - 1 for more than there can be.
inline uint64_t RowBytes(uint64_t pitch, uint64_t width, uint64_t element, uint64_t height) {
  uint64_t rows = 0, row = 0, bytes = 0;
  if (width == 0 || height == 0) return 0;
  const bool over = __builtin_mul_overflow(pitch, height - 1, &rows) || __builtin_mul_overflow(width, element, &row) ||
                    __builtin_add_overflow(rows, row, &bytes);
  return over ? ~uint64_t{0} : bytes;
}

// Logs once per name and process that a refused entry point was called; returns CUDA_ERROR_NOT_SUPPORTED, and before
// cuInit CUDA_ERROR_NOT_INITIALIZED, as everything does then.
CUresult Refused(const char* name);

// One device, one server context; the program may have several handles to it (primary, created).
inline CUcontext CurrentContext() {  // null: none
  return current_stack.top;
}
inline bool CurrentContextLives() {  // false also for none
  return Contexts().Find(current_stack.top) != nullptr;
}

// As Ready(), which asks it where not all is well.
[[gnu::cold]] CUresult WhyNotReady();

inline CUresult Ready() {
  // The word's address acquires the channel; the word itself carries nothing else along.
  const std::atomic<uint32_t>& word = *trouble.load(std::memory_order_acquire);
  if (word.load(std::memory_order_relaxed) == 0 && CurrentContextLives()) [[likely]]
    return CUDA_SUCCESS;
  return WhyNotReady();
}

// As Ready(), for a call that names an object and so needs no current context.
inline CUresult ReadyAnywhere() {
  return CurrentContext() == nullptr ? Initialized() : Ready();
}

// Whether a handle of the program's is a name of that kind. Whether it names something is the server's to know.
template <typename Object>
bool IsA(wire::HandleKind kind, const Object* handle) {
  return wire::UnpackHandle(reinterpret_cast<uint64_t>(handle)).kind == kind;
}

// As Ready(), for a call on a stream: one that the program made names its context; the default streams are those of the
// current one. CUDA_ERROR_INVALID_HANDLE for what is no stream.
inline CUresult ReadyOn(CUstream stream) {
  if (stream == nullptr || stream == CuStreamLegacy() || stream == CuStreamPerThread()) return Ready();
  const CUresult ready = ReadyAnywhere();
  if (ready != CUDA_SUCCESS) return ready;
  return IsA(wire::HandleKind::kStream, stream) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

// CUDA_ERROR_INVALID_VALUE for an argument that is wrong whatever the state, behind what comes before it in CUDA too.
inline CUresult InvalidValue() {
  const CUresult ready = ReadyAnywhere();
  return ready == CUDA_SUCCESS ? CUDA_ERROR_INVALID_VALUE : ready;
}

}  // namespace mignificient::client
