// This process's channel to the GPU server: the region it shares with it, and the socket over which descriptors travel.
// Internal to the client; entry points use call.h.
//
// Threads: any. Commands of several threads are serialised by one lock that is held only while a command is written; a
// thread that waits for a reply holds nothing.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include "abi/cuda.h"
#include "base/result.h"
#include "os/mapping.h"
#include "os/unique_fd.h"
#include "remoting/client/idleness.h"
#include "remoting/client/lock.h"
#include "remoting/client/slot_pool.h"
#include "remoting/wire/attach.h"
#include "ring/ring.h"

namespace mignificient::client {

class Channel {
 public:
  // Goes through the door that the environment names (wire::kDoorVariable).
  static Result<std::unique_ptr<Channel>> Open();

  const wire::Welcome& welcome() const { return welcome_; }

  // See call.h. `slot` wire::kNoReply: no reply. False when the server has gone.
  bool Write(uint16_t opcode, uint16_t slot, std::span<const std::byte> body, std::span<const std::byte> tail);
  // The same with `bytes` (padded to 8 by the channel) that `fill` writes straight into the ring.
  template <typename Fill>
  [[gnu::always_inline]] bool WriteWith(uint16_t opcode, uint16_t slot, size_t bytes, Fill&& fill);

  // A slot of the calling thread for an answer of `reply_bytes`, until released. Waits while all are taken.
  uint16_t AcquireSlot(size_t reply_bytes) {
    return static_cast<uint16_t>(reply_bytes > 0 ? reply_slots_.Acquire() : wire::kReplySlots + wait_slots_.Acquire());
  }
  void ReleaseSlot(uint16_t slot) {
    slot < wire::kReplySlots ? reply_slots_.Release(slot) : wait_slots_.Release(slot - wire::kReplySlots);
  }
  ring::Completion& reply(uint16_t slot) { return header().replies[slot]; }
  std::byte* reply_data(uint16_t slot) {
    return region_.data() + wire::kReplyOffset + uint64_t{slot} * wire::kReplyBytes;
  }

  // A staging chunk whose last use has ended, until released. Waits while all are in use, for whichever is first.
  uint32_t AcquireChunk();
  std::optional<uint32_t> TryAcquireChunk();
  // From now on all chunks are used in turns, so that of each the caches of processors have forgotten what they held:
  // the device writes slowly where they have not. Until then no more are used, and are memory, than are busy at once.
  void UseAllChunks();
  // The chunk may be handed out again once its completion is done.
  void ReleaseChunk(uint32_t chunk);
  ring::Completion& chunk(uint32_t chunk) { return header().chunks[chunk]; }
  std::byte* chunk_data(uint32_t chunk) {
    return region_.data() + wire::kChunkOffset + uint64_t{chunk} * wire::kChunkBytes;
  }

  // Other processes have channels of this session, and so perhaps parts of its budget.
  bool shared() { return header().shared.load(std::memory_order_acquire) != 0; }

  wire::HostCallBox& host_calls() { return header().host_calls; }

  // Waits for a completion; CUDA_ERROR_DEVICE_UNAVAILABLE when the server goes away meanwhile.
  CUresult Wait(ring::Completion& completion);

  // The last fence whose work is complete. Pairs with the server's release.
  uint64_t fence_passed() { return header().fence_passed.load(std::memory_order_acquire); }

  Idleness& idleness() { return idleness_; }
  // Idleness::Known(); now and then it looks whether the server is there, so that who asks in a loop finds out.
  bool KnownIdle();

  const std::atomic<uint32_t>& deferred_error() { return header().deferred_error; }
  // Takes the error of an earlier asynchronous call: sticky ones stay.
  CUresult TakeDeferredError();

  // Sends a descriptor ahead of the command that names its tag (returned).
  Result<uint64_t> SendDescriptor(int fd, uint64_t bytes);

  // In a child that was forked: lets go of the connection, so that the parent's end is noticed while the child lives.
  void AbandonInChild() { socket_.Reset(); }

  bool broken() const { return broken_.load(std::memory_order_relaxed); }

 private:
  Channel(os::UniqueFd socket, os::Mapping region, const wire::Welcome& welcome);

  wire::RegionHeader& header() { return *reinterpret_cast<wire::RegionHeader*>(region_.data()); }
  // Space for a record, waiting for room; null when the server has gone. write_lock_ is held.
  std::byte* ReserveLocked(uint32_t bytes) {
    std::byte* space = producer_.Reserve(bytes);
    return space != nullptr ? space : WaitForSpaceLocked(bytes);
  }
  std::byte* WaitForSpaceLocked(uint32_t bytes);
  bool ServerGone();
  // Sleeps until a chunk ends or is released, unless one was released since `releases`.
  void WaitForChunk(uint32_t releases);

  os::UniqueFd socket_;
  os::Mapping region_;
  wire::Welcome welcome_;
  Lock write_lock_;
  ring::Producer producer_;  // guarded by write_lock_
  SlotPool<wire::kReplySlots> reply_slots_;
  SlotPool<wire::kWaitSlots> wait_slots_;
  std::mutex chunk_lock_;
  // Guarded by chunk_lock_:
  uint32_t free_chunks_;      // bit set
  uint32_t used_chunks_ = 0;  // those after them have never been used
  uint32_t next_chunk_ = 0;
  std::atomic<uint32_t> chunk_releases_{0};  // futex word
  std::atomic<uint32_t> chunk_waiters_{0};
  Idleness idleness_;  // written under write_lock_
  std::atomic<uint32_t> idle_answers_{0};
  std::atomic<uint64_t> next_tag_{1};
  std::atomic<bool> broken_{false};
};

template <typename Fill>
[[gnu::always_inline]] inline bool Channel::WriteWith(uint16_t opcode, uint16_t slot, size_t bytes, Fill&& fill) {
  const size_t record_bytes = sizeof(ring::RecordHeader) + (bytes + 7) / 8 * 8;
  if (record_bytes > wire::kMaxCommandBytes) [[unlikely]]
    return false;
  const ring::RecordHeader record{static_cast<uint32_t>(record_bytes), opcode, slot};
  const std::lock_guard lock(write_lock_);
  std::byte* space = ReserveLocked(record.bytes);
  if (space == nullptr) [[unlikely]]
    return false;
  std::memcpy(space, &record, sizeof record);
  fill(space + sizeof record);
  idleness_.Write();
  producer_.Publish();
  return true;
}

// The process's channel; null before Attach() has succeeded and after fork. Leaked on purpose: exit handlers of CUDA
// libraries still call the driver.
extern constinit std::atomic<Channel*> the_channel;
inline Channel* TheChannel() {
  return the_channel.load(std::memory_order_acquire);
}

}  // namespace mignificient::client
