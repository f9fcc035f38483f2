// cuMemHostRegister: memory that the program already owns becomes memory that the server has mapped and registered.
//
// Private pages are replaced, in place and with their contents, by those of a sealed memfd that the server maps as
// well: at the program's address if the server has it free, so that one address serves on both sides, else in the host
// window. Memory that cannot be replaced (of a file, shared with other processes, a stack) cannot be given to the
// server safely: whoever else holds it could cut it off under the server's mapping. It is registered by name only:
// copies of it go through the staging chunks, and it has no device pointer.

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/mapping.h"
#include "remoting/client/call.h"
#include "remoting/client/channel.h"
#include "remoting/client/memory.h"
#include "remoting/client/program_pages.h"
#include "remoting/wire/commands.h"

namespace mignificient::client {
namespace {

constexpr unsigned kRegisterIoMemory = 4;
constexpr unsigned kRegisterFlags = 15;  // and portable

CUresult Pin(int fd, uint64_t address, uint64_t bytes) {
  const auto tag = TheChannel()->SendDescriptor(fd, bytes);
  if (!tag) return CUDA_ERROR_DEVICE_UNAVAILABLE;
  const wire::PinHostBody body{*tag, address, bytes, 0};
  return Call(static_cast<uint16_t>(wire::Command::kPinHost), std::as_bytes(std::span(&body, 1)), {});
}

CUresult Unpin(uint64_t address) {
  const wire::UnpinHostBody body{address};
  return Call(static_cast<uint16_t>(wire::Command::kUnpinHost), std::as_bytes(std::span(&body, 1)), {});
}

// Memory that can be copied through the staging chunks only.
CUresult CannotShare(unsigned flags) {
  if ((flags & CU_MEMHOSTREGISTER_DEVICEMAP) == 0) return CUDA_SUCCESS;
  return Refused("cuMemHostRegister with a device pointer for memory that is not the program's private memory");
}

void WatchForks() {
  static const int watched =
      ::pthread_atfork([] { ThePinnedMemory().BeforeFork(); }, [] { ThePinnedMemory().AfterFork(); },
                       [] { ThePinnedMemory().InForkedChild(); });
  (void)watched;
}

}  // namespace

CUresult PinnedMemory::Add(const Block& block) {
  const std::unique_lock lock(lock_);
  const auto next = blocks_.lower_bound(block.extent.address);
  const bool overlaps = (next != blocks_.end() && next->first < block.extent.address + block.extent.bytes) ||
                        FindLocked(block.extent.address) != blocks_.end();
  if (overlaps) return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
  blocks_.emplace(block.extent.address, block);
  return CUDA_SUCCESS;
}

CUresult PinnedMemory::ShareWithServer(Block& block, Extent pages) {
  const auto fd = os::CreateSealedMemory("mignificient-registered", pages.bytes);
  struct stat status{};
  if (!fd || ::fstat(fd->get(), &status) != 0) return CUDA_ERROR_OUT_OF_MEMORY;
  uint64_t at = pages.address;
  CUresult result = Pin(fd->get(), at, pages.bytes);
  std::optional<Extent> elsewhere;
  if (result == CUDA_ERROR_MAP_FAILED) {  // the server has something of its own there
    {
      const std::unique_lock lock(lock_);
      elsewhere = addresses_.Take(pages.bytes);
    }
    if (!elsewhere) return CUDA_ERROR_OUT_OF_MEMORY;
    at = elsewhere->address;
    result = Pin(fd->get(), at, pages.bytes);
  }
  // Only now that nothing else can fail: the program's pages are left alone otherwise.
  if (result == CUDA_SUCCESS && SharePages(pages, fd->get())) {
    block.device = at + (block.extent.address - pages.address);
    block.inode = status.st_ino;
    return CUDA_SUCCESS;
  }
  if (result == CUDA_SUCCESS) {  // huge pages, or too many mappings: as other memory that cannot be replaced
    Unpin(at);
    result = CannotShare(block.flags);
  }
  const std::unique_lock lock(lock_);
  if (elsewhere) addresses_.Insert(*elsewhere);
  return result == CUDA_ERROR_MAP_FAILED ? CUDA_ERROR_OUT_OF_MEMORY : result;
}

CUresult PinnedMemory::Register(void* address, uint64_t bytes, unsigned flags) {
  Block block{.extent = {reinterpret_cast<uint64_t>(address), bytes}, .flags = flags, .kind = Kind::kRegistered};
  if (block.extent.address > ~uint64_t{0} - 2 * kPageBytes - bytes) return CUDA_ERROR_INVALID_VALUE;
  WatchForks();
  const std::lock_guard one_at_a_time(registration_);
  if (const CUresult added = Add(block); added != CUDA_SUCCESS) return added;
  const Extent pages = PagesOf(block.extent);
  const PageKind kind = KindOf(pages);
  CUresult result = CUDA_SUCCESS;
  if (kind == PageKind::kAbsent)
    result = CUDA_ERROR_INVALID_VALUE;
  else if (kind == PageKind::kPrivate)
    result = ShareWithServer(block, pages);
  else
    result = CannotShare(flags);
  const std::unique_lock lock(lock_);
  if (result != CUDA_SUCCESS) {
    blocks_.erase(block.extent.address);
    return result;
  }
  blocks_[block.extent.address] = block;
  if (block.device != 0 && block.device != block.extent.address) moved_.emplace(block.device, block.extent.address);
  return CUDA_SUCCESS;
}

CUresult PinnedMemory::Unregister(const void* address) {
  const std::lock_guard one_at_a_time(registration_);
  Block block;
  {
    const std::unique_lock lock(lock_);
    const auto it = FindLocked(reinterpret_cast<uint64_t>(address));
    if (it == blocks_.end() || it->second.kind != Kind::kRegistered) return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
    if (it->first != reinterpret_cast<uint64_t>(address)) return CUDA_ERROR_INVALID_VALUE;  // within it
    block = it->second;
  }
  CUresult result = CUDA_SUCCESS;
  const Extent pages = PagesOf(block.extent);
  const uint64_t at = block.device - (block.extent.address - pages.address);
  if (block.device != 0) {
    result = Unpin(at);  // the server waits for work that may still use the memory
    if (!UnsharePages(pages, block.inode) && result == CUDA_SUCCESS) result = CUDA_ERROR_OUT_OF_MEMORY;
  }
  const std::unique_lock lock(lock_);
  if (block.device != block.extent.address && block.device != 0) {
    moved_.erase(block.device);
    addresses_.Insert({at, pages.bytes});
  }
  blocks_.erase(block.extent.address);
  return result;
}

// --- Fork -----------------------------------------------------------------------------------------------------------
// Private memory is copied when a process forks; registered pages are not private, so the child copies them itself, and
// the parent waits for that.

void PinnedMemory::BeforeFork() {
  registration_.lock();
  lock_.lock();
  bool any = false;
  for (const auto& [address, block] : blocks_) any = any || block.inode != 0;
  if (!any || ::pipe2(fork_pipe_, O_CLOEXEC) != 0) fork_pipe_[0] = fork_pipe_[1] = -1;
}

void PinnedMemory::AfterFork() {
  if (fork_pipe_[1] >= 0) {
    ::close(fork_pipe_[1]);
    char none;
    while (::read(fork_pipe_[0], &none, 1) < 0 &&
           errno == EINTR) {  // ends once the child has closed its end, or is dead
    }
    ::close(fork_pipe_[0]);
  }
  lock_.unlock();
  registration_.unlock();
}

void PinnedMemory::InForkedChild() {
  for (const auto& [address, block] : blocks_)
    if (block.inode != 0) UnsharePages(PagesOf(block.extent), block.inode);
  for (int& end : fork_pipe_)
    if (end >= 0) ::close(std::exchange(end, -1));
  lock_.unlock();
  registration_.unlock();
}

MIG_EXPORT CUresult cuMemHostRegister_v2(void* address, size_t bytes, unsigned flags) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  if (address == nullptr || bytes == 0 || (flags & ~kRegisterFlags) != 0) return CUDA_ERROR_INVALID_VALUE;
  if ((flags & kRegisterIoMemory) != 0) return Refused("cuMemHostRegister of I/O memory");
  const int read_only = Device().attributes[CU_DEVICE_ATTRIBUTE_READ_ONLY_HOST_REGISTER_SUPPORTED];
  if ((flags & CU_MEMHOSTREGISTER_READ_ONLY) != 0 && read_only == 0) return CUDA_ERROR_NOT_SUPPORTED;
  return ThePinnedMemory().Register(address, bytes, flags);
}

MIG_EXPORT CUresult cuMemHostRegister(void* address, size_t bytes, unsigned flags) {
  return cuMemHostRegister_v2(address, bytes, flags);
}

MIG_EXPORT CUresult cuMemHostUnregister(void* address) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  return address == nullptr ? CUDA_ERROR_INVALID_VALUE : ThePinnedMemory().Unregister(address);
}

}  // namespace mignificient::client
