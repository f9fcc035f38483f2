// Streams, events, and everything that waits for them.

#include <algorithm>

#include "remoting/server/connection.h"
#include "remoting/server/memory_ops.h"

namespace mignificient::server {
namespace {

constexpr size_t kRetiredLimit = 256;  // streams destroyed while busy; beyond it the client waits

}  // namespace

bool Connection::DispatchStream(wire::Command command, uint16_t slot, std::span<const std::byte> body) {
  using enum wire::Command;
  if (command == kContextSynchronize) {
    if (slot == wire::kNoReply) return Misuse("Synchronisation asks for no reply.");
    waits_.AddStreams(header().replies[slot], ContextStreams(), Waits::Purpose::kSynchronize);
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
  if (command == kStreamMemoryOps) return RunMemoryOps(slot, body);
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
    case kContextRecordEvent:
    case kContextWaitEvent:
      return JoinContext(command, slot, handle->handle);
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
  if (streams.empty()) streams.push_back(legacy_);
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
    waits_.AddStream(header().replies[slot], stream, Waits::Purpose::kSynchronize);
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
    waits_.AddEvent(header().replies[slot], event, Waits::Purpose::kSynchronize);
  return true;
}

bool Connection::CreateStream(const wire::StreamCreateBody& body) {
  CUstream stream = nullptr;
  CUresult result = (body.flags & CU_STREAM_NON_BLOCKING) == 0 ? UseLegacyStreamOfContext() : CUDA_SUCCESS;
  if (result == CUDA_SUCCESS) result = driver().cuStreamCreateWithPriority(&stream, body.flags, body.priority);
  if (result != CUDA_SUCCESS) {
    Defer(result);
    return true;
  }
  if (streams_.Insert(body.handle, stream)) {
    std::erase_if(context_waits_, [this](CUevent event) {
      return driver().cuEventQuery(event) != CUDA_ERROR_NOT_READY && driver().cuEventDestroy_v2(event) == CUDA_SUCCESS;
    });
    for (const CUevent event : context_waits_) Defer(driver().cuStreamWaitEvent(stream, event, 0));
    return true;
  }
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
  waits_.LetGoOfStreams();
  const auto stream = streams_.Remove(name);
  if (!stream) {
    Defer(CUDA_ERROR_INVALID_HANDLE);
    return true;
  }
  // Its work goes on after it is destroyed, and a drain or a fence must still see it: so it stays until it is idle.
  const bool captures = !capturing_.empty() && Captures(*stream);  // then nothing runs in it
  const bool busy = !captures && driver().cuStreamQuery(*stream) == CUDA_ERROR_NOT_READY;
  if (!busy || retired_.size() >= kRetiredLimit) {
    if (busy) Defer(driver().cuStreamSynchronize(*stream));
    std::erase(busy_, *stream);
    std::erase(capturing_, *stream);
    Defer(driver().cuStreamDestroy_v2(*stream));
    return true;
  }
  RetireStream(*stream);
  return true;
}

void Connection::RetireStream(CUstream stream) {
  retired_.push_back(stream);
  TouchedStream(stream);
  waits_.After({stream}, [this, stream] { EndRetired(stream); });
}

void Connection::EndRetired(CUstream stream) {
  waits_.LetGoOfStreams();
  std::erase(busy_, stream);
  std::erase(retired_, stream);
  Defer(driver().cuStreamDestroy_v2(stream));
}

bool Connection::RecordEvent(uint16_t slot, const wire::EventRecordBody& body) {
  CUevent event = nullptr;
  CUstream stream = nullptr;
  if (!ResolveEvent(body.event, event) || !ResolveStream(body.stream, stream)) {
    Answer(slot, CUDA_ERROR_INVALID_HANDLE);
    return true;
  }
  TouchedStream(stream);
  const CUresult result = body.flags == 0
                              ? driver().cuEventRecord(event, stream)
                              : driver().cuEventRecordWithFlags(event, stream, static_cast<unsigned>(body.flags));
  if (result == CUDA_SUCCESS) waits_.NoteRecorded(event);
  Answer(slot, result);
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
  // Whether it repeats is not the client's to say: what a graph may still run is not forgotten here.
  if (body.kind == wire::HostFunctionKind::kFunction && !capturing_.empty() && Captures(stream)) {
    Answer(slot, CaptureHostFunction(stream, body.id));
    return true;
  }
  void* const call = host_calls_.Add(body.id);
  if (call == nullptr) {
    Answer(slot, CUDA_ERROR_OUT_OF_MEMORY);
    return true;
  }
  const CUresult result = body.kind == wire::HostFunctionKind::kCallback
                              ? driver().cuStreamAddCallback(stream, HostCalls::Callback, call, 0)
                              : driver().cuLaunchHostFunc(stream, HostCalls::Function, call);
  if (result != CUDA_SUCCESS) host_calls_.Remove(call);
  Answer(slot, result);
  return true;
}

CUresult Connection::CaptureHostFunction(CUstream stream, uint64_t id) {
  const HostCalls::Ref call = host_calls_.Keep(id, HostCalls::Kind::kProgram);
  if (call == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
  const CaptureState state = StateOf(stream);
  const CUDA_HOST_NODE_PARAMS node = HostCalls::NodeOf(call);
  const CUresult result = driver().cuLaunchHostFunc(stream, node.function, node.user_data);
  if (result == CUDA_SUCCESS && state.graph != nullptr) graph_calls_.Add(graphs_.RootOf(state.graph), call);
  return result;
}

// --- Events of the whole context: of this connection's streams, not of others that share the server's context.

bool Connection::JoinContext(wire::Command command, uint16_t slot, uint64_t event_name) {
  CUevent event = nullptr;
  waits_.Pin();
  CUresult result = CUDA_SUCCESS;
  if (!ResolveEvent(event_name, event))
    result = CUDA_ERROR_INVALID_HANDLE;
  else if (!capturing_.empty())
    result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  else if (joining_ == nullptr)
    result = driver().cuStreamCreateWithPriority(&joining_, CU_STREAM_NON_BLOCKING, 0);
  if (result == CUDA_SUCCESS)
    result = command == wire::Command::kContextRecordEvent ? RecordContext(event) : WaitInContext(event);
  Answer(slot, result);
  return true;
}

CUresult Connection::RecordContext(CUevent event) {
  for (const CUstream stream : BusyStreams()) {
    CUevent reached = nullptr;
    CUresult result = driver().cuEventCreate(&reached, CU_EVENT_DISABLE_TIMING);
    if (result != CUDA_SUCCESS) return result;
    result = driver().cuEventRecord(reached, stream);
    if (result == CUDA_SUCCESS) result = driver().cuStreamWaitEvent(joining_, reached, 0);
    driver().cuEventDestroy_v2(reached);  // what waits for it still does
    if (result != CUDA_SUCCESS) return result;
  }
  TouchedStream(joining_);
  return driver().cuEventRecord(event, joining_);
}

CUresult Connection::WaitInContext(CUevent event) {
  constexpr size_t kMostWaits = 1024;  // for events that do not happen
  if (context_waits_.size() >= kMostWaits) return CUDA_ERROR_OUT_OF_MEMORY;
  CUevent reached = nullptr;  // the client may record or destroy its event again
  CUresult result = driver().cuEventCreate(&reached, CU_EVENT_DISABLE_TIMING);
  if (result != CUDA_SUCCESS) return result;
  context_waits_.push_back(reached);
  result = driver().cuStreamWaitEvent(joining_, event, 0);
  if (result == CUDA_SUCCESS) result = driver().cuEventRecord(reached, joining_);
  TouchedStream(joining_);
  const auto wait = [&](CUstream stream) {
    if (result == CUDA_SUCCESS) result = driver().cuStreamWaitEvent(stream, reached, 0);
    return false;
  };
  wait(legacy_);
  streams_.RemoveIf([&](CUstream stream) { return wait(stream); });
  return result;
}

void Connection::DestroyJoining() {
  for (const CUevent event : context_waits_) driver().cuEventDestroy_v2(event);
  if (joining_ != nullptr) driver().cuStreamDestroy_v2(joining_);
}

bool Connection::RunMemoryOps(uint16_t slot, std::span<const std::byte> body) {
  const auto* operations = Body<wire::MemoryOpsBody>(body);
  std::vector<CUstreamBatchMemOpParams> copy;
  if (operations == nullptr || !TakeMemoryOps(body, operations->count, copy))
    return Misuse("Memory operations of a stream are malformed.");
  if (!PassGate(GateClass::kKernel)) return false;
  waits_.Pin();
  CUstream stream = nullptr;
  if (!ResolveStream(operations->stream, stream)) {
    Answer(slot, CUDA_ERROR_INVALID_HANDLE);
    return true;
  }
  TouchedStream(stream);
  Observe({wire::ActivityKind::kMemoryOperation, stream});
  Answer(slot, driver().cuStreamBatchMemOp_v2(stream, operations->count, copy.data(), operations->flags));
  return true;
}

}  // namespace mignificient::server
