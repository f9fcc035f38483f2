// Pinned host memory: a sealed memfd that client and server map at one address, so that the device can reach it by the
// address the program sees, and DMA goes straight to it.

#include <sys/mman.h>

#include "os/mapping.h"
#include "remoting/client/call.h"
#include "remoting/client/channel.h"
#include "remoting/client/memory.h"
#include "remoting/wire/commands.h"

namespace mignificient::client {
namespace {

constexpr uint64_t kPage = 4096;

// Maps `bytes` of fresh shared memory at `address` here and at the server, registered with the device there.
CUresult ShareAt(uint64_t address, uint64_t bytes, unsigned flags) {
  auto fd = os::CreateSealedMemory("mignificient-pinned", bytes);
  if (!fd) return CUDA_ERROR_OUT_OF_MEMORY;
  void* const wanted = reinterpret_cast<void*>(address);
  const void* mapped = ::mmap(wanted, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, fd->get(), 0);
  if (mapped != wanted) return CUDA_ERROR_OUT_OF_MEMORY;
  CUresult result = CUDA_ERROR_DEVICE_UNAVAILABLE;
  if (const auto tag = TheChannel()->SendDescriptor(fd->get(), bytes)) {
    const wire::PinHostBody body{*tag, address, bytes, flags};
    result = Call(static_cast<uint16_t>(wire::Command::kPinHost), std::as_bytes(std::span(&body, 1)), {});
  }
  if (result != CUDA_SUCCESS) ::munmap(wanted, bytes);
  return result;
}

}  // namespace

CUresult PinnedMemory::Allocate(uint64_t bytes, unsigned flags, bool managed, void*& address) {
  const uint64_t rounded = (bytes + kPage - 1) / kPage * kPage;
  if (rounded < bytes) return CUDA_ERROR_OUT_OF_MEMORY;
  std::optional<Extent> extent;
  {
    const std::unique_lock lock(lock_);
    extent = addresses_.Take(rounded);
  }
  if (!extent) return CUDA_ERROR_OUT_OF_MEMORY;
  const CUresult result = ShareAt(extent->address, extent->bytes, flags);
  const std::unique_lock lock(lock_);
  if (result != CUDA_SUCCESS) {
    addresses_.Insert(*extent);
    return result;
  }
  blocks_.emplace(extent->address, Block{*extent, flags, managed});
  address = reinterpret_cast<void*>(extent->address);
  return CUDA_SUCCESS;
}

CUresult PinnedMemory::Free(const void* address) {
  const uint64_t start = reinterpret_cast<uint64_t>(address);
  const std::unique_lock lock(lock_);
  const auto it = blocks_.find(start);
  if (it == blocks_.end()) return CUDA_ERROR_INVALID_VALUE;
  const wire::UnpinHostBody body{start};
  // The server waits for work that may still use the memory; so does the program, whose mapping goes too.
  const CUresult result =
      Call(static_cast<uint16_t>(wire::Command::kUnpinHost), std::as_bytes(std::span(&body, 1)), {});
  ::munmap(reinterpret_cast<void*>(start), it->second.extent.bytes);
  addresses_.Insert(it->second.extent);
  blocks_.erase(it);
  return result;
}

std::optional<PinnedMemory::Block> PinnedMemory::Find(uint64_t address) const {
  const std::shared_lock lock(lock_);
  auto it = blocks_.upper_bound(address);
  if (it == blocks_.begin()) return std::nullopt;
  --it;
  if (address - it->first >= it->second.extent.bytes) return std::nullopt;
  return it->second;
}

bool PinnedMemory::Contains(const void* address, uint64_t bytes) const {
  const uint64_t start = reinterpret_cast<uint64_t>(address);
  const auto block = Find(start);
  return block && bytes <= block->extent.bytes - (start - block->extent.address);
}

PinnedMemory& ThePinnedMemory() {
  static PinnedMemory& memory = *[] {
    const wire::Welcome& welcome = TheChannel()->welcome();
    return new PinnedMemory({welcome.host_window_base, welcome.host_window_bytes});
  }();
  return memory;
}

MIG_EXPORT CUresult cuMemHostAlloc(void** address, size_t bytes, unsigned flags) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  if (address == nullptr || bytes == 0 || (flags & ~7u) != 0) return CUDA_ERROR_INVALID_VALUE;
  return ThePinnedMemory().Allocate(bytes, flags, false, *address);
}

MIG_EXPORT CUresult cuMemAllocHost_v2(void** address, size_t bytes) {
  return cuMemHostAlloc(address, bytes, 0);
}

MIG_EXPORT CUresult cuMemFreeHost(void* address) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (address == nullptr) return CUDA_SUCCESS;
  return ThePinnedMemory().Free(address);
}

MIG_EXPORT CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr* device, void* host, unsigned flags) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  if (device == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  if (!ThePinnedMemory().Contains(host, 1)) return CUDA_ERROR_INVALID_VALUE;
  *device = reinterpret_cast<CUdeviceptr>(host);
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuMemHostGetFlags(unsigned* flags, void* host) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  const auto block = ThePinnedMemory().Find(reinterpret_cast<uint64_t>(host));
  if (flags == nullptr || !block) return CUDA_ERROR_INVALID_VALUE;
  constexpr unsigned kPortable = 1, kMapped = 2;  // all pinned memory is both; driver 580 names only the second
  *flags = (block->flags & ~kPortable) | kMapped;
  return CUDA_SUCCESS;
}

}  // namespace mignificient::client
