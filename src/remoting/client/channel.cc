#include "remoting/client/channel.h"

#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "os/barrier.h"
#include "os/socket.h"
#include "remoting/wire/control.h"

namespace mignificient::client {
namespace {

// How often a waiting thread looks whether its server is still alive.
constexpr uint64_t kLivenessNs = 100'000'000;

Result<int> DoorFd() {
  const char* text = std::getenv(wire::kDoorVariable);
  if (text == nullptr) return Fail(Code::kNotFound, "Environment variable {} is not set.", wire::kDoorVariable);
  char* end = nullptr;
  const long fd = std::strtol(text, &end, 10);
  if (end == text || *end != '\0' || fd < 0)
    return Fail(Code::kInvalidArgument, "{} ({}) is not a descriptor.", wire::kDoorVariable, text);
  return static_cast<int>(fd);
}

// Keeps the program's own mappings out of the device window, so that no host address is also a device address.
void KeepClear(uint64_t base, uint64_t bytes) {
  void* address = reinterpret_cast<void*>(base);
  void* kept =
      ::mmap(address, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (kept != MAP_FAILED && kept != address) ::munmap(kept, bytes);
}

}  // namespace

Result<std::unique_ptr<Channel>> Channel::Open() {
  MIG_ASSIGN(const int door, DoorFd());
  MIG_ASSIGN(auto ends, os::SocketPair());
  wire::AttachRequest request;
  request.pid = static_cast<uint32_t>(::getpid());
  request.can_barrier = os::RegisterForBarrier();
  const int theirs = ends.second.get();
  MIG_TRY(os::SendPacket(door, std::as_bytes(std::span(&request, 1)), std::span(&theirs, 1)));
  ends.second.Reset();
  wire::Welcome welcome;
  MIG_ASSIGN(os::Packet packet, os::ReceivePacket(ends.first.get(), std::as_writable_bytes(std::span(&welcome, 1))));
  if (packet.size == 0) return Fail(Code::kUnavailable, "The GPU server closed the connection.");
  if (packet.size != sizeof welcome || welcome.magic != wire::kAttachMagic || welcome.version != wire::kProtocolVersion)
    return Fail(Code::kPeer, "The GPU server speaks protocol version {} (expected {}).", welcome.version,
                wire::kProtocolVersion);
  if (welcome.status != wire::AttachStatus::kOk || packet.fds.size() != 1 || welcome.region_bytes != wire::kRegionBytes)
    return Fail(Code::kUnavailable, "The GPU server refuses the connection (status {}).",
                static_cast<uint32_t>(welcome.status));
  MIG_ASSIGN(os::Mapping region, os::Mapping::Create(packet.fds[0].get(), welcome.region_bytes));
  KeepClear(welcome.window_base, welcome.window_bytes);
  return std::unique_ptr<Channel>(new Channel(std::move(ends.first), std::move(region), welcome));
}

Channel::Channel(os::UniqueFd socket, os::Mapping region, const wire::Welcome& welcome)
    : socket_(std::move(socket)),
      region_(std::move(region)),
      welcome_(welcome),
      producer_(header().ring, region_.bytes().subspan(wire::kRingOffset, wire::kRingBytes),
                welcome.asymmetric_barrier != 0 ? ring::Barrier::kAsymmetric : ring::Barrier::kSymmetric),
      free_slots_(~uint64_t{0}),
      free_chunks_((uint64_t{1} << wire::kStagingChunks) - 1) {
  static_assert(wire::kReplySlots == 64);
}

bool Channel::ServerGone() {
  if (broken()) return true;
  pollfd poll_fd{socket_.get(), POLLRDHUP, 0};
  if (::poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & (POLLHUP | POLLRDHUP | POLLERR | POLLNVAL)))
    broken_.store(true, std::memory_order_relaxed);
  return broken();
}

std::byte* Channel::ReserveLocked(uint32_t bytes) {
  for (;;) {
    if (std::byte* space = producer_.Reserve(bytes)) return space;
    if (ServerGone()) return nullptr;
    producer_.WaitForRoom(kLivenessNs);
  }
}

bool Channel::Write(uint16_t opcode, uint16_t slot, std::span<const std::byte> body, std::span<const std::byte> tail) {
  return WriteWith(opcode, slot, body, tail.size(),
                   [tail](std::byte* space) { std::memcpy(space, tail.data(), tail.size()); });
}

uint16_t Channel::AcquireSlot() {
  for (;;) {
    uint64_t free = free_slots_.load(std::memory_order_relaxed);
    while (free != 0) {
      const int slot = std::countr_zero(free);
      // Acquire: pairs with ReleaseSlot, whose thread has finished reading the slot's bytes.
      if (free_slots_.compare_exchange_weak(free, free & ~(uint64_t{1} << slot), std::memory_order_acquire))
        return static_cast<uint16_t>(slot);
    }
    ::sched_yield();  // more than 64 threads wait for replies at once
  }
}

std::optional<uint32_t> Channel::TryAcquireChunk() {
  const std::lock_guard lock(chunk_lock_);
  // Round robin, so that the chunk that was released first is tried first.
  for (uint32_t i = 0; i < wire::kStagingChunks; ++i) {
    const uint32_t candidate = (next_chunk_ + i) % wire::kStagingChunks;
    if ((free_chunks_ >> candidate & 1) == 0 || !chunk(candidate).Done()) continue;
    free_chunks_ &= ~(1u << candidate);
    next_chunk_ = (candidate + 1) % wire::kStagingChunks;
    return candidate;
  }
  return std::nullopt;
}

uint32_t Channel::AcquireChunk() {
  for (;;) {
    if (const auto chunk = TryAcquireChunk()) return *chunk;
    const uint32_t oldest = [this] {
      const std::lock_guard lock(chunk_lock_);
      return next_chunk_;
    }();
    if (chunk(oldest).Done()) {
      ::sched_yield();  // held by another thread of ours that is copying
    } else {
      Wait(chunk(oldest));
      if (broken()) return oldest;  // the server has gone: the caller's command will not be written
    }
  }
}

void Channel::ReleaseChunk(uint32_t index) {
  const std::lock_guard lock(chunk_lock_);
  free_chunks_ |= 1u << index;
}

CUresult Channel::Wait(ring::Completion& completion) {
  while (!completion.Wait(kLivenessNs))
    if (ServerGone()) return CUDA_ERROR_DEVICE_UNAVAILABLE;
  return static_cast<CUresult>(completion.result.load(std::memory_order_relaxed));
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
