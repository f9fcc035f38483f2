#include "remoting/client/host_function.h"

#include <pthread.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "os/futex.h"
#include "os/signals.h"
#include "remoting/client/call.h"
#include "remoting/client/capture.h"
#include "remoting/client/channel.h"
#include "remoting/wire/commands.h"

namespace mignificient::client {
namespace {

constexpr size_t kAskAfter = 4096;  // functions that are kept, beyond those that were kept after the last question

struct Kept {
  std::mutex lock;
  uint64_t last = 0;
  std::map<uint64_t, HostFunction> functions;
  size_t ask_at = kAskAfter;  // so many: time to ask which have ended
  bool thread_started = false;
};

// Leaked on purpose: the thread outlives the program's destructors.
Kept& TheKept() {
  static Kept& kept = *new Kept;
  return kept;
}

bool TimeToAsk() {
  const std::lock_guard lock(TheKept().lock);
  return TheKept().functions.size() >= TheKept().ask_at;
}

void RunKept(uint64_t id, CUresult status) {
  std::optional<HostFunction> function = FindHostFunction(id);
  if (!function) return;  // forgotten by the program while the device ran: nothing is left to call
  if (!function->repeats) ForgetHostFunction(id);
  if (function->callback != nullptr)
    function->callback(function->stream, status, function->user_data);
  else
    function->function(function->user_data);
}

void* Serve(void*) {
  wire::HostCallBox& box = TheChannel()->host_calls();
  for (uint32_t done = 0;;) {
    // Acquires id and status, which the server released with `asked`.
    const uint32_t asked = box.asked.load(std::memory_order_acquire);
    if (asked == done) {
      os::FutexWait(box.asked, asked);
      continue;
    }
    RunKept(box.id.load(std::memory_order_relaxed), static_cast<CUresult>(box.status.load(std::memory_order_relaxed)));
    done = asked;
    // Releases what the function wrote; acquired by the server's thread that waits for it.
    box.ended.store(asked, std::memory_order_release);
    os::FutexWakeAll(box.ended);
  }
}

// The program's signal handlers run on the program's threads.
CUresult StartThread() {
  const os::SignalsBlocked blocked;
  pthread_t thread;
  if (::pthread_create(&thread, nullptr, Serve, nullptr) != 0) return CUDA_ERROR_OUT_OF_MEMORY;
  ::pthread_detach(thread);
  return CUDA_SUCCESS;
}

CUresult Launch(CUstream stream, HostFunction function) {
  if (const CUresult ready = ReadyOn(stream); ready != CUDA_SUCCESS) return ready;
  function.repeats = IsCapturing(stream);
  uint64_t id = 0;
  if (const CUresult kept = KeepHostFunction(function, id); kept != CUDA_SUCCESS) return kept;
  const auto kind =
      function.callback != nullptr ? wire::HostFunctionKind::kCallback : wire::HostFunctionKind::kFunction;
  const wire::HostFunctionBody body{StreamName(stream), id, kind, function.repeats};
  const CUresult issued = IssueBody(static_cast<uint16_t>(wire::Command::kHostFunction), body);
  if (issued != CUDA_SUCCESS) ForgetHostFunction(id);
  return issued;
}

CUresult LaunchFunction(CUstream stream, CUhostFn function, void* user_data) {
  if (function == nullptr) return InvalidValue();
  return Launch(stream, {.function = function, .user_data = user_data});
}

CUresult AddCallback(CUstream stream, CUstreamCallback callback, void* user_data, unsigned flags) {
  if (callback == nullptr || flags != 0) return InvalidValue();
  return Launch(stream, {.callback = callback, .stream = stream, .user_data = user_data});
}

}  // namespace

CUresult KeepHostFunction(const HostFunction& function, uint64_t& id) {
  Kept& kept = TheKept();
  if (function.repeats && TimeToAsk()) ForgetEndedHostFunctions();
  const std::lock_guard lock(kept.lock);
  if (!kept.thread_started) {
    if (const CUresult started = StartThread(); started != CUDA_SUCCESS) return started;
    kept.thread_started = true;
  }
  id = ++kept.last;
  kept.functions.emplace(id, function);
  return CUDA_SUCCESS;
}

std::optional<HostFunction> FindHostFunction(uint64_t id) {
  Kept& kept = TheKept();
  const std::lock_guard lock(kept.lock);
  const auto found = kept.functions.find(id);
  return found == kept.functions.end() ? std::nullopt : std::optional(found->second);
}

void ForgetHostFunction(uint64_t id) {
  Kept& kept = TheKept();
  const std::lock_guard lock(kept.lock);
  const auto forgotten = kept.functions.extract(id);
}

void ForgetEndedHostFunctions() {
  Kept& kept = TheKept();
  const auto reply = std::make_unique<wire::HostCallsEndedReply>();
  do {
    reply->count = 0;
    const CUresult result = Call(static_cast<uint16_t>(wire::Command::kHostCallsEnded), {},
                                 std::as_writable_bytes(std::span(reply.get(), 1)));
    if (result != CUDA_SUCCESS) return;
    for (size_t i = 0; i < std::min<size_t>(reply->count, std::size(reply->ids)); ++i)
      ForgetHostFunction(reply->ids[i]);
  } while (reply->count > 0);
  const std::lock_guard lock(kept.lock);
  kept.ask_at = kept.functions.size() + kAskAfter;
}

MIG_EXPORT CUresult cuLaunchHostFunc(CUstream stream, CUhostFn function, void* user_data) {
  return LaunchFunction(stream, function, user_data);
}
MIG_EXPORT CUresult cuLaunchHostFunc_ptsz(CUstream stream, CUhostFn function, void* user_data) {
  return LaunchFunction(PerThread(stream), function, user_data);
}
MIG_EXPORT CUresult cuStreamAddCallback(CUstream stream, CUstreamCallback callback, void* user_data, unsigned flags) {
  return AddCallback(stream, callback, user_data, flags);
}
MIG_EXPORT CUresult cuStreamAddCallback_ptsz(CUstream stream, CUstreamCallback callback, void* user_data,
                                             unsigned flags) {
  return AddCallback(PerThread(stream), callback, user_data, flags);
}

}  // namespace mignificient::client
