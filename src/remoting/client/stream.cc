// Streams, events, and waiting. Streams and events are named by the client, so creating and destroying them does not
// wait for the server.

#include <algorithm>

#include "remoting/client/call.h"
#include "remoting/client/capture.h"
#include "remoting/client/channel.h"
#include "remoting/client/context.h"
#include "remoting/client/handle_names.h"
#include "remoting/client/managed_variables.h"
#include "remoting/client/memory_pool.h"
#include "remoting/client/thread_owned.h"
#include "remoting/wire/commands.h"

namespace mignificient::client {
namespace {

using wire::Command;

struct StreamInfo {
  unsigned flags;
  int priority;
  CUcontext context;
};
struct EventInfo {
  unsigned flags;
};

constexpr unsigned kStreamNonBlocking = 1;
constexpr unsigned kEventFlags = 7;  // blocking sync, disable timing, interprocess

// Leaked on purpose: exit handlers destroy streams.
HandleNames<StreamInfo>& Streams() {
  static auto& names = *new HandleNames<StreamInfo>(wire::HandleKind::kStream);
  return names;
}
HandleNames<EventInfo>& Events() {
  static auto& names = *new HandleNames<EventInfo>(wire::HandleKind::kEvent);
  return names;
}

template <typename T>
uint64_t Name(T handle) {
  return reinterpret_cast<uint64_t>(handle);
}

template <typename Body>
CUresult PostCommand(Command command, const Body& body) {
  return PostBody(static_cast<uint16_t>(command), body);
}

CUresult Create(unsigned flags, int priority, CUcontext context, uint64_t& name) {
  name = Streams().Create({flags, priority, context});
  return PostCommand(Command::kStreamCreate, wire::StreamCreateBody{name, flags, priority});
}

void Destroy(uint64_t name) {
  PostCommand(Command::kStreamDestroy, wire::HandleBody{name});
  Streams().Destroy(name);
}

// The per-thread default stream of one thread: an ordinary blocking stream, as CUDA defines it.
struct ThreadStream {
  uint64_t name = 0;
  ~ThreadStream() {
    if (name != 0 && Initialized() == CUDA_SUCCESS) Destroy(name);
  }
};

// After, and waiting for, a stream or an event.
CUresult Ask(Command command, uint64_t handle) {
  if (TheChannel()->KnownIdle()) return CUDA_SUCCESS;
  const wire::HandleBody body{handle};
  return Call(static_cast<uint16_t>(command), std::as_bytes(std::span(&body, 1)), {});
}

bool IsDefault(CUstream stream) {
  return Name(stream) <= 2;
}

// The stream, or what CUDA presents for the default streams.
std::optional<StreamInfo> Describe(CUstream stream) {
  if (IsDefault(stream)) return StreamInfo{0, 0, CurrentContext()};
  return Streams().Find(Name(stream));
}

CUresult CheckStream(CUstream stream) {
  if (const CUresult ready = ReadyOn(stream); ready != CUDA_SUCCESS) return ready;
  return Describe(stream) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult CheckEvent(CUevent event) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  return Events().Find(Name(event)) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult Record(CUevent event, CUstream stream, unsigned flags) {
  if (const CUresult checked = CheckStream(stream); checked != CUDA_SUCCESS) return checked;
  if (!Events().Find(Name(event))) return CUDA_ERROR_INVALID_HANDLE;
  constexpr unsigned kExternal = 1;  // a node of its own, in a capture alone
  if (flags > kExternal) return CUDA_ERROR_INVALID_VALUE;
  if (flags == kExternal && !IsCapturing(stream)) return CUDA_ERROR_ILLEGAL_STATE;
  return IssueBody(static_cast<uint16_t>(Command::kEventRecord),
                   wire::EventRecordBody{Name(event), StreamName(stream), flags});
}

// CUDA lowers a priority that is out of range to the nearest one.
int Clamp(int priority) {
  const wire::DeviceInfo& device = Device();
  return std::clamp(priority, device.greatest_priority, device.least_priority);
}

// To ask after a stream, and to wait for one, are among the calls that a capture in global mode forbids.
CUresult CheckAsk(CUstream stream) {
  const CUresult checked = CheckStream(stream);
  return checked == CUDA_SUCCESS ? CheckCapturePermits() : checked;
}

CUresult Query(CUstream stream) {
  const CUresult checked = CheckAsk(stream);
  return checked == CUDA_SUCCESS ? AfterWait(Ask(Command::kStreamQuery, StreamName(stream))) : checked;
}

// The answer to a wait, at which pools give memory back. What was refused of the work before it comes now, not with a
// call after it.
template <typename Wait>
CUresult Settled(Wait wait) {
  const CUresult waited = TheMemoryPools().Synchronize(wait);
  return AfterWait(waited == CUDA_SUCCESS ? TheChannel()->TakeDeferredError() : waited);
}

CUresult Synchronize(CUstream stream) {
  const CUresult checked = CheckAsk(stream);
  if (checked != CUDA_SUCCESS) return checked;
  return Settled([stream] { return Ask(Command::kStreamSynchronize, StreamName(stream)); });
}

CUresult SynchronizeContext() {
  if (const CUresult permitted = CheckNoCapture(); permitted != CUDA_SUCCESS) return permitted;
  return Settled([&channel = *TheChannel()] {
    if (channel.KnownIdle()) return CUDA_SUCCESS;
    const uint64_t before = channel.idleness().written();
    const CUresult result = Call(static_cast<uint16_t>(Command::kContextSynchronize), {}, {});
    if (result == CUDA_SUCCESS) channel.idleness().Complete(before);
    return result;
  });
}

template <typename T, typename Get>
CUresult Answer(CUstream stream, T* out, Get get) {
  if (const CUresult ready = ReadyOn(stream); ready != CUDA_SUCCESS) return ready;
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const auto info = Describe(stream);
  if (!info) return CUDA_ERROR_INVALID_HANDLE;
  *out = get(*info);
  return CUDA_SUCCESS;
}

}  // namespace

bool IsStream(CUstream stream) {
  return IsDefault(stream) || Streams().Find(Name(stream));
}

uint64_t ThreadStreamName() {
  uint64_t& name = ThreadOwned<ThreadStream>::Get().name;
  if (name == 0) Create(0, 0, CurrentContext(), name);
  return name;
}

MIG_EXPORT CUresult cuStreamCreateWithPriority(CUstream* stream, unsigned flags, int priority) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  if (stream == nullptr || (flags & ~kStreamNonBlocking) != 0) return CUDA_ERROR_INVALID_VALUE;
  uint64_t name = 0;
  const CUresult result = Create(flags, Clamp(priority), CurrentContext(), name);
  *stream = reinterpret_cast<CUstream>(name);
  return result;
}

MIG_EXPORT CUresult cuStreamCreate(CUstream* stream, unsigned flags) {
  return cuStreamCreateWithPriority(stream, flags, 0);
}

MIG_EXPORT CUresult cuStreamDestroy_v2(CUstream stream) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (!Streams().Find(Name(stream))) return CUDA_ERROR_INVALID_HANDLE;
  ForgetCapture(stream);
  Destroy(Name(stream));
  return CUDA_SUCCESS;
}

// The forms of CUDA 2 take the same arguments.
MIG_EXPORT CUresult cuStreamDestroy(CUstream stream) {
  return cuStreamDestroy_v2(stream);
}

MIG_EXPORT CUresult cuStreamQuery(CUstream stream) {
  return Query(stream);
}
MIG_EXPORT CUresult cuStreamQuery_ptsz(CUstream stream) {
  return Query(PerThread(stream));
}
MIG_EXPORT CUresult cuStreamSynchronize(CUstream stream) {
  return Synchronize(stream);
}
MIG_EXPORT CUresult cuStreamSynchronize_ptsz(CUstream stream) {
  return Synchronize(PerThread(stream));
}

MIG_EXPORT CUresult cuStreamGetPriority(CUstream stream, int* priority) {
  return Answer(stream, priority, [](const StreamInfo& info) { return info.priority; });
}
MIG_EXPORT CUresult cuStreamGetPriority_ptsz(CUstream stream, int* priority) {
  return cuStreamGetPriority(stream, priority);
}
MIG_EXPORT CUresult cuStreamGetFlags(CUstream stream, unsigned* flags) {
  return Answer(stream, flags, [](const StreamInfo& info) { return info.flags; });
}
MIG_EXPORT CUresult cuStreamGetFlags_ptsz(CUstream stream, unsigned* flags) {
  return cuStreamGetFlags(stream, flags);
}
MIG_EXPORT CUresult cuStreamGetCtx(CUstream stream, CUcontext* context) {
  return Answer(stream, context, [](const StreamInfo& info) { return info.context; });
}
MIG_EXPORT CUresult cuStreamGetCtx_ptsz(CUstream stream, CUcontext* context) {
  return cuStreamGetCtx(stream, context);
}
// No green contexts: every stream is of an ordinary one.
MIG_EXPORT CUresult cuStreamGetCtx_v2(CUstream stream, CUcontext* context, void** green) {
  if (green == nullptr) return InvalidValue();
  const CUresult result = cuStreamGetCtx(stream, context);
  if (result == CUDA_SUCCESS) *green = nullptr;
  return result;
}
MIG_EXPORT CUresult cuStreamGetCtx_v2_ptsz(CUstream stream, CUcontext* context, void** green) {
  return cuStreamGetCtx_v2(stream, context, green);
}
MIG_EXPORT CUresult cuStreamGetGreenCtx(CUstream stream, void** green) {
  return Answer(stream, green, [](const StreamInfo&) { return nullptr; });
}
MIG_EXPORT CUresult cuStreamGetDevice(CUstream stream, CUdevice* device) {
  return Answer(stream, device, [](const StreamInfo&) { return 0; });
}
MIG_EXPORT CUresult cuStreamGetDevice_ptsz(CUstream stream, CUdevice* device) {
  return cuStreamGetDevice(stream, device);
}
MIG_EXPORT CUresult cuStreamGetId(CUstream stream, unsigned long long* id) {
  return Answer(stream, id,
                [stream](const StreamInfo&) { return StreamName(stream == nullptr ? CuStreamLegacy() : stream); });
}
MIG_EXPORT CUresult cuStreamGetId_ptsz(CUstream stream, unsigned long long* id) {
  return cuStreamGetId(PerThread(stream), id);
}

MIG_EXPORT CUresult cuEventCreate(CUevent* event, unsigned flags) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  if (event == nullptr || (flags & ~kEventFlags) != 0) return CUDA_ERROR_INVALID_VALUE;
  constexpr unsigned kDisableTiming = 2, kInterprocess = 4;
  if (flags & kInterprocess) return flags & kDisableTiming ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
  const uint64_t name = Events().Create({flags});
  *event = reinterpret_cast<CUevent>(name);
  return PostCommand(Command::kEventCreate, wire::EventCreateBody{name, flags});
}

MIG_EXPORT CUresult cuEventDestroy_v2(CUevent event) {
  if (const CUresult checked = CheckEvent(event); checked != CUDA_SUCCESS) return checked;
  const CUresult result = PostCommand(Command::kEventDestroy, wire::HandleBody{Name(event)});
  Events().Destroy(Name(event));
  return result;
}

MIG_EXPORT CUresult cuEventDestroy(CUevent event) {
  return cuEventDestroy_v2(event);
}

MIG_EXPORT CUresult cuEventRecord(CUevent event, CUstream stream) {
  return Record(event, stream, 0);
}
MIG_EXPORT CUresult cuEventRecord_ptsz(CUevent event, CUstream stream) {
  return Record(event, PerThread(stream), 0);
}
MIG_EXPORT CUresult cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned flags) {
  return Record(event, stream, flags);
}
MIG_EXPORT CUresult cuEventRecordWithFlags_ptsz(CUevent event, CUstream stream, unsigned flags) {
  return Record(event, PerThread(stream), flags);
}

MIG_EXPORT CUresult cuEventQuery(CUevent event) {
  CUresult checked = CheckEvent(event);
  if (checked == CUDA_SUCCESS) checked = CheckCapturePermits();
  return checked == CUDA_SUCCESS ? AfterWait(Ask(Command::kEventQuery, Name(event))) : checked;
}
MIG_EXPORT CUresult cuEventSynchronize(CUevent event) {
  const CUresult checked = CheckEvent(event);
  if (checked != CUDA_SUCCESS) return checked;
  return Settled([event] { return Ask(Command::kEventSynchronize, Name(event)); });
}

namespace {

CUresult PostToContext(Command command, CUcontext context, CUevent event) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (context == nullptr || ResolveContext(context) != CUDA_SUCCESS) return CUDA_ERROR_INVALID_CONTEXT;
  if (const CUresult checked = CheckEvent(event); checked != CUDA_SUCCESS) return checked;
  return PostCommand(command, wire::HandleBody{Name(event)});
}

}  // namespace

MIG_EXPORT CUresult cuCtxRecordEvent(CUcontext context, CUevent event) {
  return PostToContext(Command::kContextRecordEvent, context, event);
}
MIG_EXPORT CUresult cuCtxWaitEvent(CUcontext context, CUevent event) {
  return PostToContext(Command::kContextWaitEvent, context, event);
}

MIG_EXPORT CUresult cuCtxSynchronize() {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  const CUresult permitted = CheckCapturePermits();
  return permitted == CUDA_SUCCESS ? SynchronizeContext() : permitted;
}

MIG_EXPORT CUresult cuCtxSynchronize_v2(CUcontext context) {
  if (context == nullptr) return cuCtxSynchronize();
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (const CUresult found = ResolveContext(context); found != CUDA_SUCCESS) return found;
  const CUresult permitted = CheckCapturePermits();
  return permitted == CUDA_SUCCESS ? SynchronizeContext() : permitted;
}

}  // namespace mignificient::client
