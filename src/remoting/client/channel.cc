#include "remoting/client/channel.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <utility>

#include "os/barrier.h"
#include "os/futex.h"
#include "os/socket.h"
#include "remoting/client/call.h"
#include "remoting/wire/door.h"

namespace mignificient::client {
namespace {

// How often a waiting thread looks whether its server is still alive.
constexpr uint64_t kLivenessNs = 100'000'000;
constexpr int kChunkSpins = 500;  // some 20 us

// Keeps the program's own mappings out of the device window, so that no host address is also a device address.
void KeepClear(uint64_t base, uint64_t bytes) {
  void* address = reinterpret_cast<void*>(base);
  void* kept =
      ::mmap(address, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (kept != MAP_FAILED && kept != address) ::munmap(kept, bytes);
}

}  // namespace

Result<std::unique_ptr<Channel>> Channel::Open() {
  wire::AttachRequest request;
  request.can_barrier = os::OffersBarrier();
  MIG_ASSIGN(os::UniqueFd socket, wire::GoThroughDoor(request));
  // Where the process has several threads this takes the kernel 10 ms, in which the server makes the region.
  if (request.can_barrier != 0 && !os::RegisterForBarrier()) return FailErrno("membarrier", errno);
  wire::Welcome welcome;
  MIG_ASSIGN(os::Packet packet, os::ReceivePacket(socket.get(), std::as_writable_bytes(std::span(&welcome, 1))));
  if (packet.size == 0) return Fail(Code::kUnavailable, "The GPU server closed the connection.");
  if (packet.size != sizeof welcome || welcome.magic != wire::kAttachMagic || welcome.version != wire::kProtocolVersion)
    return Fail(Code::kPeer, "The GPU server speaks protocol version {} (expected {}).", welcome.version,
                wire::kProtocolVersion);
  if (welcome.status == wire::AttachStatus::kExhausted)
    return Fail(Code::kExhausted, "The GPU server has no channel left (limit {} processes).", wire::kMostChannels);
  if (welcome.status != wire::AttachStatus::kOk || packet.fds.size() != 1 || welcome.region_bytes != wire::kRegionBytes)
    return Fail(Code::kUnavailable, "The GPU server refuses the connection (status {}).",
                static_cast<uint32_t>(welcome.status));
  MIG_ASSIGN(os::Mapping region, os::Mapping::Create(packet.fds[0].get(), welcome.region_bytes));
  ::madvise(region.data(), region.size(), MADV_DONTFORK);  // a forked child has no business here
  // The pages of the ring now, not one by one at the first commands that come to them.
  ::madvise(region.data() + wire::kRingOffset, wire::kRingBytes, MADV_POPULATE_WRITE);
  KeepClear(welcome.window_base, welcome.window_bytes);
  return std::unique_ptr<Channel>(new Channel(std::move(socket), std::move(region), welcome));
}

Channel::Channel(os::UniqueFd socket, os::Mapping region, const wire::Welcome& welcome)
    : socket_(std::move(socket)),
      region_(std::move(region)),
      welcome_(welcome),
      producer_(header().ring, region_.bytes().subspan(wire::kRingOffset, wire::kRingBytes),
                welcome.asymmetric_barrier != 0 ? ring::Barrier::kAsymmetric : ring::Barrier::kSymmetric),
      free_chunks_((uint64_t{1} << wire::kStagingChunks) - 1) {}

bool Channel::ServerGone() {
  if (broken()) return true;
  if (!os::HasHungUp(socket_.get())) return false;
  broken_.store(true, std::memory_order_relaxed);
  trouble.store(&no_channel, std::memory_order_relaxed);
  return true;
}

std::byte* Channel::WaitForSpaceLocked(uint32_t bytes) {
  for (;;) {
    if (ServerGone()) return nullptr;
    producer_.WaitForRoom(kLivenessNs);
    if (std::byte* space = producer_.Reserve(bytes)) return space;
  }
}

bool Channel::Write(uint16_t opcode, uint16_t slot, std::span<const std::byte> body, std::span<const std::byte> tail) {
  // memcpy: std::ranges::copy goes byte by byte, 3 us for 4 KiB. It must be given pointers, also for no bytes.
  return WriteWith(opcode, slot, body.size() + tail.size(), [body, tail](std::byte* space) {
    if (!body.empty()) std::memcpy(space, body.data(), body.size());
    if (!tail.empty()) std::memcpy(space + body.size(), tail.data(), tail.size());
  });
}

std::optional<uint32_t> Channel::TryAcquireChunk() {
  const std::lock_guard lock(chunk_lock_);
  // Round robin among those that have been used, so that the chunk that was released first is tried first; a new one,
  // which is then memory and pinned, only where none of those is free.
  for (uint32_t i = 0; i < used_chunks_; ++i) {
    const uint32_t candidate = (next_chunk_ + i) % used_chunks_;
    if ((free_chunks_ >> candidate & 1) == 0 || !chunk(candidate).Done()) continue;
    free_chunks_ &= ~(1u << candidate);
    next_chunk_ = candidate + 1;
    return candidate;
  }
  if (used_chunks_ == wire::kStagingChunks) return std::nullopt;
  const uint32_t fresh = used_chunks_++;
  free_chunks_ &= ~(1u << fresh);
  next_chunk_ = fresh + 1;
  return fresh;
}

void Channel::UseAllChunks() {
  const std::lock_guard lock(chunk_lock_);
  used_chunks_ = wire::kStagingChunks;
}

uint32_t Channel::AcquireChunk() {
  if (const auto chunk = TryAcquireChunk()) return *chunk;
  // Pairs with ReleaseChunk: either it sees us waiting, or we see what it gave back.
  chunk_waiters_.fetch_add(1);
  for (;;) {
    const uint32_t releases = chunk_releases_.load();
    const auto chunk = TryAcquireChunk();
    // Where the server has gone, any chunk will do: the caller's command will not be written.
    if (chunk || ServerGone()) {
      chunk_waiters_.fetch_sub(1);
      return chunk.value_or(0);
    }
    WaitForChunk(releases);
  }
}

void Channel::WaitForChunk(uint32_t releases) {
  std::array<ring::Completion*, wire::kStagingChunks> pending;
  size_t count = 0;
  for (uint32_t i = 0; i < wire::kStagingChunks; ++i)
    if (!chunk(i).Done()) pending[count++] = &chunk(i);
  const auto changed = [&] {
    return chunk_releases_.load() != releases ||
           std::any_of(pending.begin(), pending.begin() + count, [](const auto* each) { return each->Done(); });
  };
  for (int i = 0; i < kChunkSpins; ++i) {
    if (changed()) return;
    os::SpinPause();
  }
  std::array<os::FutexExpectation, wire::kStagingChunks + 1> words{{{&chunk_releases_, releases}}};
  for (size_t i = 0; i < count; ++i) {
    if (!pending[i]->AnnounceSleep()) return;
    words[i + 1] = {&pending[i]->state, ring::Completion::kSleeping};
  }
  os::FutexWaitAny(std::span(words).first(count + 1), std::chrono::nanoseconds(kLivenessNs));
}

void Channel::ReleaseChunk(uint32_t index) {
  {
    const std::lock_guard lock(chunk_lock_);
    free_chunks_ |= 1u << index;
  }
  chunk_releases_.fetch_add(1);
  if (chunk_waiters_.load() > 0) os::FutexWakeAll(chunk_releases_);
}

CUresult Channel::Wait(ring::Completion& completion) {
  while (!completion.Wait(kLivenessNs))
    if (ServerGone()) return CUDA_ERROR_DEVICE_UNAVAILABLE;
  return static_cast<CUresult>(completion.result.load(std::memory_order_relaxed));
}

bool Channel::KnownIdle() {
  constexpr uint32_t kLookEvery = 64;
  if (!idleness_.Known()) return false;
  return idle_answers_.fetch_add(1, std::memory_order_relaxed) % kLookEvery != 0 || !ServerGone();
}

CUresult Channel::TakeDeferredError() {
  std::atomic<uint32_t>& word = header().deferred_error;
  uint32_t error = word.load(std::memory_order_relaxed);
  if (error == 0) [[likely]]
    return CUDA_SUCCESS;
  if ((error & wire::kDeferredSticky) == 0) word.compare_exchange_strong(error, 0, std::memory_order_relaxed);
  return static_cast<CUresult>(error & 0xffff);
}

Result<uint64_t> Channel::SendDescriptor(int fd, uint64_t bytes) {
  const wire::DescriptorPacket packet{next_tag_.fetch_add(1, std::memory_order_relaxed), bytes};
  MIG_TRY(os::SendPacket(socket_.get(), std::as_bytes(std::span(&packet, 1)), std::span(&fd, 1)));
  return packet.tag;
}

}  // namespace mignificient::client
