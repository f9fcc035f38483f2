// Streams, events, and everything that waits for them.

#include <algorithm>

#include "remoting/server/connection.h"

namespace mignificient::server {

bool Connection::DispatchStream(wire::Command command, uint16_t slot, std::span<const std::byte> body) {
  using enum wire::Command;
  if (command == kContextSynchronize) {
    if (slot == wire::kNoReply) return Misuse("Synchronisation asks for no reply.");
    waits_.AddStreams(header().replies[slot], ContextStreams(), Waits::Flush::kYes);
    return true;
  }
  if (command == kStreamCreate) {
    const auto* create = Body<wire::StreamCreateBody>(body);
    return create != nullptr ? CreateStream(*create) : Misuse("Stream command is too short.");
  }
  if (command == kEventCreate) {
    const auto* create = Body<wire::EventCreateBody>(body);
    return create != nullptr ? CreateEvent(*create) : Misuse("Event command is too short.");
  }
  if (command == kEventRecord) {
    const auto* record = Body<wire::EventRecordBody>(body);
    return record != nullptr ? RecordEvent(slot, *record) : Misuse("Event command is too short.");
  }
  if (command == kHostFunction) {
    const auto* function = Body<wire::HostFunctionBody>(body);
    return function != nullptr ? RunHostFunction(slot, *function) : Misuse("Host function command is too short.");
  }
  const auto* handle = Body<wire::HandleBody>(body);
  if (handle == nullptr) return Misuse("Stream or event command is too short.");
  switch (command) {
    case kStreamDestroy:
      return DestroyStream(handle->handle);
    case kEventDestroy:
      if (const auto event = events_.Remove(handle->handle))
        waits_.Retire(*event);
      else
        Defer(CUDA_ERROR_INVALID_HANDLE);
      return true;
    case kStreamQuery:
    case kStreamSynchronize:
      return AskStream(command, slot, handle->handle);
    default:
      return AskEvent(command, slot, handle->handle);
  }
}

std::vector<CUstream> Connection::ContextStreams() {
  std::vector<CUstream> streams = BusyStreams();
  // Idle or not, the context is synchronised once, so that what kernels printed appears.
  if (streams.empty()) streams.push_back(nullptr);
  return streams;
}

bool Connection::AskStream(wire::Command command, uint16_t slot, uint64_t name) {
  CUstream stream = nullptr;
  if (slot == wire::kNoReply) return Misuse("Question about a stream asks for no reply.");
  if (!ResolveStream(name, stream))
    Answer(slot, CUDA_ERROR_INVALID_HANDLE);
  else if (command == wire::Command::kStreamQuery)
    Answer(slot, driver().cuStreamQuery(stream));
  else
    waits_.AddStream(header().replies[slot], stream, Waits::Flush::kYes);
  return true;
}

bool Connection::AskEvent(wire::Command command, uint16_t slot, uint64_t name) {
  CUevent event = nullptr;
  if (slot == wire::kNoReply) return Misuse("Question about an event asks for no reply.");
  if (!ResolveEvent(name, event))
    Answer(slot, CUDA_ERROR_INVALID_HANDLE);
  else if (command == wire::Command::kEventQuery)
    Answer(slot, driver().cuEventQuery(event));
  else
    waits_.AddEvent(header().replies[slot], event, Waits::Flush::kYes);
  return true;
}

bool Connection::CreateStream(const wire::StreamCreateBody& body) {
  CUstream stream = nullptr;
  const CUresult result = driver().cuStreamCreateWithPriority(&stream, body.flags, body.priority);
  if (result != CUDA_SUCCESS) {
    Defer(result);
    return true;
  }
  if (streams_.Insert(body.handle, stream)) return true;
  driver().cuStreamDestroy_v2(stream);
  return Misuse(fmt::format("Stream name ({:#x}) is in use or out of range.", body.handle));
}

bool Connection::CreateEvent(const wire::EventCreateBody& body) {
  CUevent event = nullptr;
  const CUresult result = driver().cuEventCreate(&event, static_cast<unsigned>(body.flags));
  if (result != CUDA_SUCCESS) {
    Defer(result);
    return true;
  }
  if (events_.Insert(body.handle, event)) return true;
  driver().cuEventDestroy_v2(event);
  return Misuse(fmt::format("Event name ({:#x}) is in use or out of range.", body.handle));
}

bool Connection::DestroyStream(uint64_t name) {
  waits_.Pin();  // what waits for the stream waits for an event from now on
  const auto stream = streams_.Remove(name);
  if (!stream) {
    Defer(CUDA_ERROR_INVALID_HANDLE);
    return true;
  }
  // Its work goes on after it is destroyed, and a drain or a fence must still see it: the legacy stream waits for it
  // unless it is non-blocking, so wait here in that rare case that it is busy.
  if (driver().cuStreamQuery(*stream) == CUDA_ERROR_NOT_READY) Defer(driver().cuStreamSynchronize(*stream));
  std::erase(busy_, *stream);
  Defer(driver().cuStreamDestroy_v2(*stream));
  return true;
}

bool Connection::RecordEvent(uint16_t slot, const wire::EventRecordBody& body) {
  CUevent event = nullptr;
  CUstream stream = nullptr;
  if (!ResolveEvent(body.event, event) || !ResolveStream(body.stream, stream)) {
    Answer(slot, CUDA_ERROR_INVALID_HANDLE);
    return true;
  }
  TouchedStream(stream);
  Answer(slot, body.flags == 0 ? driver().cuEventRecord(event, stream)
                               : driver().cuEventRecordWithFlags(event, stream, static_cast<unsigned>(body.flags)));
  return true;
}

bool Connection::RunHostFunction(uint16_t slot, const wire::HostFunctionBody& body) {
  CUstream stream = nullptr;
  if (!ResolveStream(body.stream, stream)) {
    Answer(slot, CUDA_ERROR_INVALID_HANDLE);
    return true;
  }
  waits_.Pin();
  TouchedStream(stream);
  void* const call = host_calls_.Add(body.id, body.repeats != 0);
  const CUresult result = body.kind == wire::HostFunctionKind::kCallback
                              ? driver().cuStreamAddCallback(stream, HostCalls::Callback, call, 0)
                              : driver().cuLaunchHostFunc(stream, HostCalls::Function, call);
  if (result != CUDA_SUCCESS) host_calls_.Remove(call);
  Answer(slot, result);
  return true;
}

}  // namespace mignificient::server
