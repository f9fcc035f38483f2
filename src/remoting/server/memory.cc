// Extents of device memory, and host memory shared with the client.

#include <sys/socket.h>

#include "os/futex.h"
#include "os/socket.h"
#include "remoting/server/connection.h"

namespace mignificient::server {
namespace {

constexpr size_t kDescriptorLimit = 64;  // sent ahead and not yet used

}  // namespace

bool Connection::DispatchMemory(wire::Command command, uint16_t slot, std::span<const std::byte> body) {
  switch (command) {
    case wire::Command::kMapExtent:
      if (const auto* extent = Body<wire::ExtentBody>(body)) return MapExtent(slot, *extent);
      break;
    case wire::Command::kUnmapExtent:
      if (const auto* extent = Body<wire::ExtentBody>(body)) return UnmapExtent(slot, *extent);
      break;
    case wire::Command::kFence:
      if (const auto* fence = Body<wire::FenceBody>(body)) return Fence(slot, *fence);
      break;
    case wire::Command::kMemoryInfo: {
      const wire::MemoryInfoReply info{session_->budget_bytes, session_->mapped_bytes.load(std::memory_order_relaxed)};
      Answer(slot, CUDA_SUCCESS, std::as_bytes(std::span(&info, 1)));
      return true;
    }
    case wire::Command::kPinHost:
      if (const auto* pin = Body<wire::PinHostBody>(body)) {
        Answer(slot, PinHost(*pin));
        return true;
      }
      break;
    case wire::Command::kUnpinHost:
      if (const auto* unpin = Body<wire::UnpinHostBody>(body)) return UnpinHost(slot, unpin->address);
      break;
    case wire::Command::kMemCreate:
      if (const auto* create = Body<wire::MemCreateBody>(body)) return CreateMemory(slot, create->bytes);
      break;
    case wire::Command::kMemRelease:
      if (const auto* handle = Body<wire::HandleBody>(body)) {
        Answer(slot, allocations_.Remove(handle->handle) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
        return true;
      }
      break;
    case wire::Command::kMemMap:
      if (const auto* map = Body<wire::MemMapBody>(body)) {
        const auto* memory = allocations_.Find(map->handle);
        Answer(slot, memory == nullptr ? CUDA_ERROR_INVALID_VALUE
                                       : window_->Map(map->address, map->bytes, map->offset, *memory));
        return true;
      }
      break;
    case wire::Command::kMemUnmap:
      if (const auto* extent = Body<wire::ExtentBody>(body)) {
        Answer(slot, window_->Unmap(extent->address, extent->bytes));
        return true;
      }
      break;
    case wire::Command::kMemSetAccess:
      if (const auto* access = Body<wire::MemAccessBody>(body)) {
        Answer(slot, window_->SetAccess(access->address, access->bytes, access->flags));
        return true;
      }
      break;
    case wire::Command::kGraphFree:
      if (const auto* free = Body<wire::GraphFreeBody>(body)) {
        Answer(slot, FreeGraphMemory(*free));
        return true;
      }
      break;
    default:
      break;
  }
  return Misuse("Memory command is too short.");
}

// --- The budget, while a client that was alone learns that it is not ------------------------------------------------

void Connection::SetShared(bool shared) {
  if (std::exchange(shared_, shared) == shared) return;
  if (shared) session_->settling.store(1);
  // Pairs with the client's fence between a map that it sends without asking and its look at this word: either it sees
  // the word, or the map is published by now.
  header().shared.store(shared);
  if (!shared) return;
  settle_.store(true);
  attention_.fetch_add(1, std::memory_order_release);
  os::FutexWakeAll(attention_);
  if (ended_.load()) EndSettle();
}

void Connection::ServeSettle() {
  if (!settle_.load(std::memory_order_acquire)) [[likely]]
    return;
  std::atomic_thread_fence(std::memory_order_seq_cst);  // see SetShared
  if (!settle_position_) settle_position_ = consumer_.published();
  if (consumer_.position() < *settle_position_) return;
  settle_position_.reset();
  EndSettle();
}

void Connection::EndSettle() {
  if (!settle_.exchange(false)) return;
  session_->settling.store(0, std::memory_order_release);
  os::FutexWakeAll(session_->settling);
}

bool Connection::AwaitSettled() {
  // The one that settles does not wait for itself.
  while (session_->settling.load(std::memory_order_acquire) != 0 && !settle_.load(std::memory_order_acquire)) {
    const uint32_t attention = attention_.load(std::memory_order_acquire);
    if (stop_.load(std::memory_order_acquire)) return false;
    PollWaits(Waits::Look::kSlept);
    ServeDrain();  // the other one may wait at the gate
    const os::FutexExpectation words[] = {{&session_->settling, 1}, {&attention_, attention}};
    constexpr std::chrono::microseconds kPoll{500};
    const bool polls = !waits_.empty() || Draining();
    os::FutexWaitAny(words, polls ? std::optional<std::chrono::nanoseconds>(kPoll) : std::nullopt);
  }
  return true;
}

bool Connection::MapExtent(uint16_t slot, const wire::ExtentBody& body) {
  if (slot != wire::kNoReply) {
    if (!AwaitSettled()) return false;
    if (window_->IsExtent(body.address, body.bytes)) {
      Answer(slot, CUDA_SUCCESS);  // sent without asking, and then asked about, since another process had come
      return true;
    }
  }
  const CUresult result = window_->Map(body.address, body.bytes);
  if (result == CUDA_ERROR_INVALID_VALUE)
    return Misuse(
        fmt::format("Extent [{:#x}, +{}) is not free whole granules of the window.", body.address, body.bytes));
  // A client that is not alone asks about a map that it has sent without asking. One that is alone, or was when it sent
  // it, has been told that it has this memory, so nothing that follows can be right.
  const bool asks = header().shared.load(std::memory_order_relaxed) != 0 && !settle_.load(std::memory_order_acquire);
  if (result == CUDA_ERROR_OUT_OF_MEMORY && slot == wire::kNoReply) {
    if (asks) return true;
    return End(wire::SessionEnd::kOutOfMemory,
               fmt::format("Mapping {} bytes of device memory fails ({} of {} bytes are mapped).", body.bytes,
                           session_->mapped_bytes.load(), session_->budget_bytes));
  }
  Answer(slot, result);
  return true;
}

bool Connection::UnmapExtent(uint16_t slot, const wire::ExtentBody& body) {
  const CUresult result = window_->Unmap(body.address, body.bytes);
  if (result != CUDA_SUCCESS)
    return Misuse(fmt::format("Extent [{:#x}, +{}) is not mapped.", body.address, body.bytes));
  Answer(slot, result);
  return true;
}

bool Connection::Fence(uint16_t slot, const wire::FenceBody& body) {
  if (body.now != 0) {
    Answer(slot, QuietNow() ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY);
    return true;
  }
  if (slot != wire::kNoReply) {
    waits_.AddStreams(header().replies[slot], BusyStreams(), Waits::Purpose::kAnswer);
    return true;
  }
  if (fences_ == wire::kMaxFences) return Misuse(fmt::format("More than {} fences are pending.", wire::kMaxFences));
  ++fences_;
  waits_.After(BusyStreams(), [this, epoch = body.epoch] {
    --fences_;
    header().fence_passed.store(epoch, std::memory_order_release);
  });
  return true;
}

bool Connection::CreateMemory(uint16_t slot, uint64_t bytes) {
  if (slot == wire::kNoReply) return Misuse("Creation of memory asks for no reply.");
  if (!AwaitSettled()) return false;
  std::shared_ptr<Physical> memory;
  CUresult result = allocations_.full() ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
  if (result == CUDA_SUCCESS) result = Physical::Create(device_, *session_, bytes, memory);
  return AnswerName(slot, result, result == CUDA_SUCCESS ? *allocations_.Add(std::move(memory)) : 0);
}

CUresult Connection::FreeGraphMemory(const wire::GraphFreeBody& body) {
  CUstream stream = nullptr;
  if (!graph_addresses_.contains(body.address)) return CUDA_ERROR_INVALID_VALUE;
  if (!ResolveStream(body.stream, stream)) return CUDA_ERROR_INVALID_HANDLE;
  waits_.Pin();
  TouchedStream(stream);
  return driver().cuMemFreeAsync(body.address, stream);
}

void Connection::Quiesce() {
  for (const CUstream stream : busy_) driver().cuStreamSynchronize(stream);
  busy_.clear();
}

os::UniqueFd Connection::TakeDescriptor(uint64_t tag) {
  while (!descriptors_.contains(tag) && descriptors_.size() < kDescriptorLimit) {
    wire::DescriptorPacket packet;
    // Sent before the command was published, so it is here, or it never will be.
    auto received = os::ReceivePacket(socket_.get(), std::as_writable_bytes(std::span(&packet, 1)));
    if (!received || received->size != sizeof packet || received->fds.size() != 1) return {};
    descriptors_.insert_or_assign(packet.tag, std::move(received->fds[0]));
  }
  const auto it = descriptors_.find(tag);
  if (it == descriptors_.end()) return {};
  os::UniqueFd fd = std::move(it->second);
  descriptors_.erase(it);
  return fd;
}

CUresult Connection::PinHost(const wire::PinHostBody& body) {
  const os::UniqueFd fd = TakeDescriptor(body.tag);
  if (!fd) return CUDA_ERROR_INVALID_VALUE;
  const auto size = os::SealedSize(fd.get());
  constexpr uint64_t kPage = 4096;
  // Where the null pointers of this process lead, with an offset: a server with many rights could have memory there.
  constexpr uint64_t kLowest = 64 << 10;
  if (!size || *size != body.bytes || body.bytes == 0 || body.address % kPage != 0 || body.bytes % kPage != 0)
    return CUDA_ERROR_INVALID_VALUE;
  if (body.address < kLowest || body.address + body.bytes < body.address) return CUDA_ERROR_MAP_FAILED;
  // Pinned memory is the host's, so it is bounded too: by as much again as the device memory.
  if (!Session::Take(session_->pinned_bytes, body.bytes, session_->budget_bytes)) return CUDA_ERROR_OUT_OF_MEMORY;
  const auto release = [&](CUresult result) {
    session_->pinned_bytes.fetch_sub(body.bytes, std::memory_order_relaxed);
    return result;
  };
  auto mapping = os::Mapping::CreateAt(reinterpret_cast<void*>(body.address), fd.get(), body.bytes);
  if (!mapping) return release(CUDA_ERROR_MAP_FAILED);  // the address is taken: the client may try another
  const CUresult result = driver().cuMemHostRegister_v2(mapping->data(), body.bytes,
                                                        CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP);
  if (result != CUDA_SUCCESS) return release(result);
  pinned_.emplace(body.address, Pinned{std::move(*mapping)});
  return CUDA_SUCCESS;
}

bool Connection::UnpinHost(uint16_t slot, uint64_t address) {
  waits_.After(BusyStreams(), [this, slot, address] { Answer(slot, Unpin(address)); });
  return true;
}

CUresult Connection::Unpin(uint64_t address) {
  const auto it = pinned_.find(address);
  if (it == pinned_.end()) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = driver().cuMemHostUnregister(it->second.mapping.data());
  session_->pinned_bytes.fetch_sub(it->second.mapping.size(), std::memory_order_relaxed);
  pinned_.erase(it);
  return result;
}

bool Connection::InPinned(uint64_t address, uint64_t bytes) const {
  auto it = pinned_.upper_bound(address);
  if (it == pinned_.begin()) return false;
  --it;
  const uint64_t offset = address - it->first;
  return offset <= it->second.mapping.size() && bytes <= it->second.mapping.size() - offset;
}

}  // namespace mignificient::server
