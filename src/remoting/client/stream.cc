// Streams, events, and waiting. Streams and events are named by the client, so creating and destroying them does not
// wait for the server.

#include <algorithm>

#include "remoting/client/call.h"
#include "remoting/client/capture.h"
#include "remoting/client/channel.h"
#include "remoting/client/completion.h"
#include "remoting/client/context.h"
#include "remoting/client/events.h"
#include "remoting/client/handle_names.h"
#include "remoting/client/managed_variables.h"
#include "remoting/client/memory_pool.h"
#include "remoting/client/thread_owned.h"
#include "remoting/wire/commands.h"

namespace mignificient::client {
namespace {

using wire::Command;

struct StreamTraits {
  unsigned flags;
  int priority;
  CUcontext context;
};
struct StreamInfo {
  StreamTraits traits{};
  StreamState state{};
};
struct EventInfo {
  unsigned flags = 0;
  EventState state{};
};

constexpr unsigned kInterprocess = 4;
constexpr unsigned kEventFlags = 7;  // those, and blocking sync

// Leaked on purpose: exit handlers destroy streams.
HandleNames<StreamInfo>& Streams() {
  static auto& names = *new HandleNames<StreamInfo>(wire::HandleKind::kStream);
  return names;
}
HandleNames<EventInfo>& Events() {
  static auto& names = *new HandleNames<EventInfo>(wire::HandleKind::kEvent);
  return names;
}

constinit StreamState legacy_stream;
constinit LastRecord last_record;
constinit thread_local uint32_t remembered = 0;  // answers that were given without asking

// Now and then one asks although the answer is known, so that who does so in a loop learns of what went wrong.
bool AskAnyway() {
  constexpr uint32_t kAskEvery = 1024;
  return ++remembered % kAskEvery == 0;
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
  name = Streams().Create(StreamTraits{flags, priority, context});
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

CUresult CallCommand(Command command, uint64_t handle) {
  const wire::HandleBody body{handle};
  return Call(static_cast<uint16_t>(command), std::as_bytes(std::span(&body, 1)), {});
}

// By the server's name for a stream; null where that is none.
StreamState* StateOf(uint64_t name) {
  if (name <= Name(CuStreamLegacy())) return &legacy_stream;
  StreamInfo* const info = Streams().Find(name);
  return info == nullptr ? nullptr : &info->state;
}

// After, and waiting for, a stream.
enum class Ask { kQuery, kWait };
CUresult AskStream(Ask ask, CUstream stream) {
  Channel& channel = *TheChannel();
  if (channel.KnownIdle()) return CUDA_SUCCESS;
  const uint64_t name = StreamName(stream);
  StreamState* const state = StateOf(name);
  const uint64_t before = channel.idleness().written();
  const bool settled = state != nullptr && state->Settled(before);
  const bool known = settled || (ask == Ask::kQuery && state != nullptr && state->Idle(before));
  if (known && !AskAnyway()) return CUDA_SUCCESS;
  // What is known may be a moment away still for the driver, so it is waited for.
  const bool wait = ask == Ask::kWait || known;
  const CUresult result = CallCommand(wait ? Command::kStreamSynchronize : Command::kStreamQuery, name);
  if (result != CUDA_SUCCESS || state == nullptr || channel.idleness().written() != before + 1) return result;
  settled ? state->FoundSettled(before + 1) : state->FoundIdle(before + 1);
  return result;
}

// After, and waiting for, an event.
CUresult AskEvent(Ask ask, CUevent event, EventInfo& info) {
  using By = EventState::By;
  Channel& channel = *TheChannel();
  if (channel.KnownIdle()) return CUDA_SUCCESS;
  const bool known = info.state.Known(ask == Ask::kWait ? By::kWait : By::kQuery);
  if (known && !AskAnyway()) return CUDA_SUCCESS;
  const bool wait = ask == Ask::kWait || known;  // see AskStream
  const uint64_t asked = info.state.Asked(), before = channel.idleness().written();
  const CUresult result = CallCommand(wait ? Command::kEventSynchronize : Command::kEventQuery, Name(event));
  if (result != CUDA_SUCCESS) return result;
  info.state.Complete(asked, wait ? By::kWait : By::kQuery);
  uint64_t stream = 0;
  if (wait && channel.idleness().written() == before + 1 && last_record.Was(before, Name(event), stream))
    if (StreamState* const state = StateOf(stream)) state->FoundSettled(before + 1);
  return result;
}

bool IsDefault(CUstream stream) {
  return Name(stream) <= 2;
}

// The stream, or what CUDA presents for the default streams.
std::optional<StreamTraits> Describe(CUstream stream) {
  if (IsDefault(stream)) return StreamTraits{0, 0, CurrentContext()};
  const StreamInfo* const info = Streams().Find(Name(stream));
  return info == nullptr ? std::nullopt : std::optional(info->traits);
}

CUresult CheckStream(CUstream stream) {
  if (const CUresult ready = ReadyOn(stream); ready != CUDA_SUCCESS) return ready;
  return IsStream(stream) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult FindEvent(CUevent event, EventInfo*& info) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  info = Events().Find(Name(event));
  return info == nullptr ? CUDA_ERROR_INVALID_HANDLE : CUDA_SUCCESS;
}

// Writes the record of an event, and notes what is known of it. In a settled stream it is complete at once, and leaves
// the stream settled and an idle context idle; a moment still passes until the device has taken its time, so that of an
// event with a time is asked for.
CUresult IssueRecord(const wire::EventRecordBody& body, EventInfo& info) {
  Idleness& idleness = TheChannel()->idleness();
  StreamState* const state = StateOf(body.stream);
  const uint64_t before = idleness.written();
  const bool idle = idleness.Known();
  const bool settled = idle || (state != nullptr && state->Settled(before));
  const bool captures = AnyCapture();
  const CUresult result = IssueBody(static_cast<uint16_t>(Command::kEventRecord), body);
  const bool alone = result == CUDA_SUCCESS && !captures && idleness.written() == before + 1;
  const bool at_once = alone && settled && (info.flags & CU_EVENT_DISABLE_TIMING) != 0;
  info.state.Recorded(at_once);
  if (alone) last_record.Wrote(idleness, before, body.event, body.stream);
  if (at_once && idle) idleness.Complete(before);
  if (at_once && state != nullptr) state->FoundSettled(before + 1);
  return result;
}

CUresult Record(CUevent event, CUstream stream, unsigned flags) {
  if (const CUresult checked = CheckStream(stream); checked != CUDA_SUCCESS) return checked;
  EventInfo* const info = Events().Find(Name(event));
  if (info == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  constexpr unsigned kExternal = 1;  // a node of its own, in a capture alone
  if (flags > kExternal) return CUDA_ERROR_INVALID_VALUE;
  if (flags == kExternal && !IsCapturing(stream)) return CUDA_ERROR_ILLEGAL_STATE;
  if (flags == kExternal) info->state.RecordedElsewhere();
  return IssueRecord({Name(event), StreamName(stream), flags}, *info);
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
  return checked == CUDA_SUCCESS ? AfterWait(AskStream(Ask::kQuery, stream)) : checked;
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
  return Settled([stream] { return AskStream(Ask::kWait, stream); });
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
  const auto traits = Describe(stream);
  if (!traits) return CUDA_ERROR_INVALID_HANDLE;
  *out = get(*traits);
  return CUDA_SUCCESS;
}

}  // namespace

bool IsStream(CUstream stream) {
  return IsDefault(stream) || Streams().Find(Name(stream)) != nullptr;
}

void NoteRecordedElsewhere(CUevent event) {
  if (EventInfo* const info = Events().Find(Name(event))) info->state.RecordedElsewhere();
}

uint64_t ThreadStreamName() {
  uint64_t& name = ThreadOwned<ThreadStream>::Get().name;
  if (name == 0) Create(0, 0, CurrentContext(), name);
  return name;
}

MIG_EXPORT CUresult cuStreamCreateWithPriority(CUstream* stream, unsigned flags, int priority) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  if (stream == nullptr || (flags & ~CU_STREAM_NON_BLOCKING) != 0) return CUDA_ERROR_INVALID_VALUE;
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
  if (Streams().Find(Name(stream)) == nullptr) return CUDA_ERROR_INVALID_HANDLE;
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
  return Answer(stream, priority, [](const StreamTraits& traits) { return traits.priority; });
}
MIG_EXPORT CUresult cuStreamGetPriority_ptsz(CUstream stream, int* priority) {
  return cuStreamGetPriority(stream, priority);
}
MIG_EXPORT CUresult cuStreamGetFlags(CUstream stream, unsigned* flags) {
  return Answer(stream, flags, [](const StreamTraits& traits) { return traits.flags; });
}
MIG_EXPORT CUresult cuStreamGetFlags_ptsz(CUstream stream, unsigned* flags) {
  return cuStreamGetFlags(stream, flags);
}
MIG_EXPORT CUresult cuStreamGetCtx(CUstream stream, CUcontext* context) {
  return Answer(stream, context, [](const StreamTraits& traits) { return traits.context; });
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
  return Answer(stream, green, [](const StreamTraits&) { return nullptr; });
}
MIG_EXPORT CUresult cuStreamGetDevice(CUstream stream, CUdevice* device) {
  return Answer(stream, device, [](const StreamTraits&) { return 0; });
}
MIG_EXPORT CUresult cuStreamGetDevice_ptsz(CUstream stream, CUdevice* device) {
  return cuStreamGetDevice(stream, device);
}
MIG_EXPORT CUresult cuStreamGetId(CUstream stream, unsigned long long* id) {
  return Answer(stream, id,
                [stream](const StreamTraits&) { return StreamName(stream == nullptr ? CuStreamLegacy() : stream); });
}
MIG_EXPORT CUresult cuStreamGetId_ptsz(CUstream stream, unsigned long long* id) {
  return cuStreamGetId(PerThread(stream), id);
}

MIG_EXPORT CUresult cuEventCreate(CUevent* event, unsigned flags) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  if (event == nullptr || (flags & ~kEventFlags) != 0) return CUDA_ERROR_INVALID_VALUE;
  if (flags & kInterprocess)
    return flags & CU_EVENT_DISABLE_TIMING ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
  const uint64_t name = Events().Create(flags);
  *event = reinterpret_cast<CUevent>(name);
  return PostCommand(Command::kEventCreate, wire::EventCreateBody{name, flags});
}

MIG_EXPORT CUresult cuEventDestroy_v2(CUevent event) {
  EventInfo* info = nullptr;
  if (const CUresult found = FindEvent(event, info); found != CUDA_SUCCESS) return found;
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
  EventInfo* info = nullptr;
  CUresult checked = FindEvent(event, info);
  if (checked == CUDA_SUCCESS) checked = CheckCapturePermits();
  return checked == CUDA_SUCCESS ? AfterWait(AskEvent(Ask::kQuery, event, *info)) : checked;
}
MIG_EXPORT CUresult cuEventSynchronize(CUevent event) {
  EventInfo* info = nullptr;
  if (const CUresult found = FindEvent(event, info); found != CUDA_SUCCESS) return found;
  return Settled([event, info] { return AskEvent(Ask::kWait, event, *info); });
}

namespace {

CUresult PostToContext(Command command, CUcontext context, CUevent event, EventInfo*& info) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (context == nullptr || ResolveContext(context) != CUDA_SUCCESS) return CUDA_ERROR_INVALID_CONTEXT;
  if (const CUresult found = FindEvent(event, info); found != CUDA_SUCCESS) return found;
  return PostCommand(command, wire::HandleBody{Name(event)});
}

}  // namespace

MIG_EXPORT CUresult cuCtxRecordEvent(CUcontext context, CUevent event) {
  EventInfo* info = nullptr;
  const CUresult result = PostToContext(Command::kContextRecordEvent, context, event, info);
  if (info != nullptr) info->state.Recorded(false);
  return result;
}
MIG_EXPORT CUresult cuCtxWaitEvent(CUcontext context, CUevent event) {
  EventInfo* info = nullptr;
  return PostToContext(Command::kContextWaitEvent, context, event, info);
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
