// Copies between the host and the device. Sources and targets on the host are inside the region or pinned memory, both
// registered with the device, or travel inside the command.

#include "remoting/server/connection.h"

namespace mignificient::server {

bool Connection::DispatchCopy(wire::Command command, uint16_t slot, std::span<const std::byte> body) {
  const auto* copy = Body<wire::CopyBody>(body);
  if (copy == nullptr) return Misuse("Copy command is too short.");
  if (!PassGate(ClassOfCopy(copy->bytes))) return false;
  waits_.Pin();
  CUstream stream = nullptr;
  if (!ResolveStream(copy->stream, stream)) {
    if (command == wire::Command::kCopyFromChunk || command == wire::Command::kCopyToChunk) {
      if (copy->chunk >= wire::kStagingChunks) return Misuse("Chunk is out of range.");
      header().chunks[copy->chunk].Finish(CUDA_ERROR_INVALID_HANDLE);
    }
    Answer(slot, CUDA_ERROR_INVALID_HANDLE);
    return true;
  }
  TouchedStream(stream);
  const bool to_host = command == wire::Command::kCopyToChunk || command == wire::Command::kCopyToReply ||
                       command == wire::Command::kCopyToHost;
  Observe({to_host ? wire::ActivityKind::kCopyOut : wire::ActivityKind::kCopyIn, stream, copy->bytes});
  switch (command) {
    case wire::Command::kCopyInline:
      return CopyInline(slot, *copy, body, stream);
    case wire::Command::kCopyFromChunk:
    case wire::Command::kCopyToChunk:
      return CopyChunk(command, *copy, stream);
    case wire::Command::kCopyToReply:
      return CopyToReply(slot, *copy, stream);
    default:
      return CopyPinned(command, slot, *copy, stream);
  }
}

bool Connection::CopyInline(uint16_t slot, const wire::CopyBody& copy, std::span<const std::byte> bytes,
                            CUstream stream) {
  if (copy.bytes > bytes.size()) return Misuse(fmt::format("Copy of {} bytes carries {}.", copy.bytes, bytes.size()));
  // The driver has read pageable memory when it returns, so our copy of the command may be overwritten.
  Answer(slot, driver().cuMemcpyHtoDAsync_v2(copy.device, bytes.data(), copy.bytes, stream));
  return true;
}

bool Connection::CopyChunk(wire::Command command, const wire::CopyBody& copy, CUstream stream) {
  if (copy.chunk >= wire::kStagingChunks || copy.offset > wire::kChunkBytes ||
      copy.bytes > wire::kChunkBytes - copy.offset)
    return Misuse(fmt::format("Copy of {} bytes leaves chunk {}.", copy.bytes, copy.chunk));
  std::byte* host = region_.data() + wire::kChunkOffset + uint64_t{copy.chunk} * wire::kChunkBytes + copy.offset;
  CUresult result = staging_.Pin(copy.chunk);
  if (result == CUDA_SUCCESS)
    result = command == wire::Command::kCopyFromChunk
                 ? driver().cuMemcpyHtoDAsync_v2(copy.device, host, copy.bytes, stream)
                 : driver().cuMemcpyDtoHAsync_v2(host, copy.device, copy.bytes, stream);
  ring::Completion& completion = header().chunks[copy.chunk];
  if (result == CUDA_SUCCESS) {
    waits_.AddStream(completion, stream,
                     command == wire::Command::kCopyToChunk ? Waits::Purpose::kAnswer : Waits::Purpose::kRoom);
    return true;
  }
  // Nobody waits for the result of a host-to-device chunk, so the error is also an asynchronous one.
  if (command == wire::Command::kCopyFromChunk) Defer(result);
  NoteSticky(result);
  completion.Finish(result);
  return true;
}

bool Connection::CopyToReply(uint16_t slot, const wire::CopyBody& copy, CUstream stream) {
  if (slot >= wire::kReplySlots || copy.bytes > wire::kReplyBytes)
    return Misuse(fmt::format("Copy of {} bytes does not fit a reply ({}).", copy.bytes, wire::kReplyBytes));
  const CUresult result = driver().cuMemcpyDtoHAsync_v2(reply_data(slot), copy.device, copy.bytes, stream);
  if (result == CUDA_SUCCESS)
    waits_.AddStream(header().replies[slot], stream, Waits::Purpose::kSynchronize);
  else
    Answer(slot, result);
  return true;
}

bool Connection::CopyPinned(wire::Command command, uint16_t slot, const wire::CopyBody& copy, CUstream stream) {
  if (!InPinned(copy.host, copy.bytes)) {
    Answer(slot, CUDA_ERROR_INVALID_VALUE);
    return true;
  }
  void* host = reinterpret_cast<void*>(copy.host);
  Answer(slot, command == wire::Command::kCopyFromHost
                   ? driver().cuMemcpyHtoDAsync_v2(copy.device, host, copy.bytes, stream)
                   : driver().cuMemcpyDtoHAsync_v2(host, copy.device, copy.bytes, stream));
  return true;
}

}  // namespace mignificient::server
