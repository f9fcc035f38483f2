// Streams and events.
#include <utility>

#include "driver/cpu/capture.h"
#include "driver/cpu/entries.h"

namespace mignificient::cpu {
namespace {

constexpr unsigned kEventKnownFlags = CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING;
constexpr unsigned kExternal = 1;  // of record and wait: a node of the graph; in captures alone

// Priorities are accepted; every stream gets its turn.
CUresult StreamCreateWithPriority(CUstream* handle, unsigned flags, int) {
  return InContext([&](Context& context) {
    if (handle == nullptr || flags > CU_STREAM_NON_BLOCKING) return CUDA_ERROR_INVALID_VALUE;
    const auto kind = flags == CU_STREAM_NON_BLOCKING ? StreamKind::kNonBlocking : StreamKind::kBlocking;
    *handle = context.streams.Add(context.scheduler().CreateStream(kind));
    return CUDA_SUCCESS;
  });
}

// Returns at once; what is in the stream still runs.
CUresult StreamDestroy(CUstream handle) {
  return InContext([&](Context& context) {
    const auto stream = context.streams.Remove(handle);
    if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    context.captures().Drop(*stream);
    return CUDA_SUCCESS;
  });
}

CUresult StreamQuery(CUstream handle) {
  return OnStream(handle, [](Context& context, Stream& stream) {
    if (const CUresult forbidden = context.captures().Forbid(stream); forbidden != CUDA_SUCCESS) return forbidden;
    if (!context.scheduler().IsIdle(stream)) return CUDA_ERROR_NOT_READY;
    return context.Settled();
  });
}

CUresult StreamSynchronize(CUstream handle) {
  return OnStream(handle, [](Context& context, Stream& stream) {
    if (const CUresult forbidden = context.captures().Forbid(stream); forbidden != CUDA_SUCCESS) return forbidden;
    context.scheduler().Wait(context.scheduler().Mark(stream));
    return context.Settled();
  });
}

template <typename Body>
CUresult WithEvent(CUevent handle, Body&& body) {
  return InContext([&](Context& context) {
    const auto event = context.events.Find(handle);
    return event == nullptr ? CUDA_ERROR_INVALID_HANDLE : body(context, event);
  });
}

// For what asks whether an event has happened: nothing captured ever does.
template <typename Body>
CUresult WithPlainEvent(CUevent handle, Body&& body) {
  return WithEvent(handle, [&](Context& context, const std::shared_ptr<Event>& event) {
    const CUresult forbidden = context.captures().ForbidEvent(*event);
    return forbidden != CUDA_SUCCESS ? forbidden : body(context, *event);
  });
}

CUresult StreamWaitEvent(CUstream stream_handle, CUevent handle, unsigned flags) {
  return WithEvent(handle, [&](Context& context, const std::shared_ptr<Event>& event) {
    if (flags > kExternal) return CUDA_ERROR_INVALID_VALUE;
    const auto stream = context.FindStream(stream_handle);
    if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (const auto captured = context.captures().Wait(*stream, handle, event, flags == kExternal)) return *captured;
    if (const Ticket recorded = event->Recorded(); recorded != nullptr) {
      context.scheduler().Enqueue(*stream, {}, std::span(&recorded, 1));
    }
    return CUDA_SUCCESS;
  });
}

CUresult EventCreate(CUevent* handle, unsigned flags) {
  return InContext([&](Context& context) {
    if (handle == nullptr || (flags & ~kEventKnownFlags) != 0) return CUDA_ERROR_INVALID_VALUE;
    auto event = std::make_shared<Event>();
    event->flags = flags;
    *handle = context.events.Add(std::move(event));
    return CUDA_SUCCESS;
  });
}

CUresult EventDestroy(CUevent handle) {
  return InContext([&](Context& context) {
    return context.events.Remove(handle) == nullptr ? CUDA_ERROR_INVALID_HANDLE : CUDA_SUCCESS;
  });
}

CUresult EventRecordWithFlags(CUevent handle, CUstream stream_handle, unsigned flags) {
  return WithEvent(handle, [&](Context& context, const std::shared_ptr<Event>& event) {
    if (flags > kExternal) return CUDA_ERROR_INVALID_VALUE;
    const auto stream = context.FindStream(stream_handle);
    if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (const auto captured = context.captures().Record(*stream, handle, event, flags == kExternal)) return *captured;
    event->Record(context.scheduler().Enqueue(*stream, {}));
    return CUDA_SUCCESS;
  });
}

CUresult EventRecord(CUevent handle, CUstream stream) {
  return EventRecordWithFlags(handle, stream, 0);
}

CUresult EventQuery(CUevent handle) {
  return WithPlainEvent(handle, [](Context& context, Event& event) {
    if (!context.scheduler().IsDone(event.Recorded())) return CUDA_ERROR_NOT_READY;
    return context.Settled();
  });
}

CUresult EventSynchronize(CUevent handle) {
  return WithPlainEvent(handle, [](Context& context, Event& event) {
    context.scheduler().Wait(event.Recorded());
    return context.Settled();
  });
}

CUresult EventElapsedTime(float* milliseconds, CUevent start_handle, CUevent end_handle) {
  return WithPlainEvent(start_handle, [&](Context& context, Event& start) {
    const auto end = context.events.Find(end_handle);
    if (end == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (milliseconds == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (const CUresult forbidden = context.captures().ForbidEvent(*end); forbidden != CUDA_SUCCESS) return forbidden;
    if (((start.flags | end->flags) & CU_EVENT_DISABLE_TIMING) != 0) return CUDA_ERROR_INVALID_HANDLE;
    const Ticket from = start.Recorded(), to = end->Recorded();
    if (from == nullptr || to == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    auto& scheduler = context.scheduler();
    if (!scheduler.IsDone(from) || !scheduler.IsDone(to)) return CUDA_ERROR_NOT_READY;
    *milliseconds =
        std::chrono::duration<float, std::milli>(scheduler.CompletedAt(to) - scheduler.CompletedAt(from)).count();
    return CUDA_SUCCESS;
  });
}

// Runs on a thread of the scheduler, in stream order.
CUresult LaunchHostFunc(CUstream handle, CUhostFn function, void* user_data) {
  if (function == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return OnStream(handle, [&](Context& context, Stream& stream) {
    const CUDA_HOST_NODE_PARAMS host{function, user_data};
    if (const auto captured = context.captures().Take(stream, [&] { return HostNode{host}; })) return *captured;
    context.scheduler().Enqueue(stream, [function, user_data] { function(user_data); });
    return CUDA_SUCCESS;
  });
}

CUresult StreamAddCallback(CUstream handle, CUstreamCallback callback, void* user_data, unsigned flags) {
  if (callback == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  return OnStream(handle, [&](Context& context, Stream& stream) {
    if (const CUresult forbidden = context.captures().Forbid(stream); forbidden != CUDA_SUCCESS) return forbidden;
    const auto device = InitialisedDevice();
    context.scheduler().Enqueue(stream, [=] { callback(handle, device->fault(), user_data); });
    return CUDA_SUCCESS;
  });
}

}  // namespace

void FillStreamEntries(DriverTable& table) {
  table.cuStreamCreateWithPriority = StreamCreateWithPriority;
  table.cuStreamDestroy_v2 = StreamDestroy;
  table.cuStreamQuery = StreamQuery;
  table.cuStreamSynchronize = StreamSynchronize;
  table.cuStreamWaitEvent = StreamWaitEvent;
  table.cuLaunchHostFunc = LaunchHostFunc;
  table.cuStreamAddCallback = StreamAddCallback;
  table.cuEventCreate = EventCreate;
  table.cuEventDestroy_v2 = EventDestroy;
  table.cuEventRecord = EventRecord;
  table.cuEventRecordWithFlags = EventRecordWithFlags;
  table.cuEventQuery = EventQuery;
  table.cuEventSynchronize = EventSynchronize;
  table.cuEventElapsedTime_v2 = EventElapsedTime;
}

}  // namespace mignificient::cpu
