// Streams and events.
#include <utility>

#include "driver/cpu/entries.h"

namespace mignificient::cpu {
namespace {

constexpr unsigned kStreamNonBlocking = 1;
constexpr unsigned kEventKnownFlags = CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING;
constexpr unsigned kExternal = 1;  // of record and wait; means something in graph captures alone

// Priorities are accepted; every stream gets its turn.
CUresult StreamCreateWithPriority(CUstream* handle, unsigned flags, int) {
  return InContext([&](Context& context) {
    if (handle == nullptr || flags > kStreamNonBlocking) return CUDA_ERROR_INVALID_VALUE;
    const auto kind = flags == kStreamNonBlocking ? StreamKind::kNonBlocking : StreamKind::kBlocking;
    *handle = context.streams.Add(context.scheduler().CreateStream(kind));
    return CUDA_SUCCESS;
  });
}

// Returns at once; what is in the stream still runs.
CUresult StreamDestroy(CUstream handle) {
  return InContext([&](Context& context) {
    return context.streams.Remove(handle) == nullptr ? CUDA_ERROR_INVALID_HANDLE : CUDA_SUCCESS;
  });
}

CUresult StreamQuery(CUstream handle) {
  return OnStream(handle, [](Context& context, Stream& stream) {
    if (!context.scheduler().IsIdle(stream)) return CUDA_ERROR_NOT_READY;
    return context.Settled();
  });
}

CUresult StreamSynchronize(CUstream handle) {
  return OnStream(handle, [](Context& context, Stream& stream) {
    context.scheduler().Wait(context.scheduler().Mark(stream));
    return context.Settled();
  });
}

template <typename Body>
CUresult WithEvent(CUevent handle, Body&& body) {
  return InContext([&](Context& context) {
    const auto event = context.events.Find(handle);
    return event == nullptr ? CUDA_ERROR_INVALID_HANDLE : body(context, *event);
  });
}

Ticket Recorded(Event& event) {
  const std::lock_guard lock(event.mutex);
  return event.recorded;
}

CUresult StreamWaitEvent(CUstream stream_handle, CUevent handle, unsigned flags) {
  return WithEvent(handle, [&](Context& context, Event& event) {
    if (flags > kExternal) return CUDA_ERROR_INVALID_VALUE;
    const auto stream = context.FindStream(stream_handle);
    if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (const Ticket recorded = Recorded(event); recorded != nullptr) {
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
  return WithEvent(handle, [&](Context& context, Event& event) {
    if (flags > kExternal) return CUDA_ERROR_INVALID_VALUE;
    const auto stream = context.FindStream(stream_handle);
    if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    Ticket ticket = context.scheduler().Enqueue(*stream, {});
    const std::lock_guard lock(event.mutex);
    event.recorded = std::move(ticket);
    return CUDA_SUCCESS;
  });
}

CUresult EventRecord(CUevent handle, CUstream stream) {
  return EventRecordWithFlags(handle, stream, 0);
}

CUresult EventQuery(CUevent handle) {
  return WithEvent(handle, [](Context& context, Event& event) {
    if (!context.scheduler().IsDone(Recorded(event))) return CUDA_ERROR_NOT_READY;
    return context.Settled();
  });
}

CUresult EventSynchronize(CUevent handle) {
  return WithEvent(handle, [](Context& context, Event& event) {
    context.scheduler().Wait(Recorded(event));
    return context.Settled();
  });
}

CUresult EventElapsedTime(float* milliseconds, CUevent start_handle, CUevent end_handle) {
  return WithEvent(start_handle, [&](Context& context, Event& start) {
    const auto end = context.events.Find(end_handle);
    if (end == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (milliseconds == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (((start.flags | end->flags) & CU_EVENT_DISABLE_TIMING) != 0) return CUDA_ERROR_INVALID_HANDLE;
    const Ticket from = Recorded(start), to = Recorded(*end);
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
    context.scheduler().Enqueue(stream, [function, user_data] { function(user_data); });
    return CUDA_SUCCESS;
  });
}

CUresult StreamAddCallback(CUstream handle, CUstreamCallback callback, void* user_data, unsigned flags) {
  if (callback == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  return OnStream(handle, [&](Context& context, Stream& stream) {
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
