// Pinned host memory: a sealed memfd that client and server map at one address, so that the device can reach it by the
// address the program sees, and DMA goes straight to it.

#include <sys/mman.h>

#include "os/mapping.h"
#include "remoting/client/call.h"
#include "remoting/client/capture.h"
#include "remoting/client/channel.h"
#include "remoting/client/memory.h"
#include "remoting/client/program_pages.h"
#include "remoting/wire/commands.h"

namespace mignificient::client {
namespace {

constexpr unsigned kAllocFlags = 7;  // portable, device map, write-combined
constexpr unsigned kDeviceMap = 2;

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
  return result == CUDA_ERROR_MAP_FAILED ? CUDA_ERROR_OUT_OF_MEMORY : result;
}

}  // namespace

CUresult PinnedMemory::Allocate(uint64_t bytes, unsigned flags, Kind kind, void*& address) {
  const uint64_t rounded = (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
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
  blocks_.emplace(extent->address, Block{*extent, extent->address, flags, kind, 0, bytes});
  address = reinterpret_cast<void*>(extent->address);
  return CUDA_SUCCESS;
}

CUresult PinnedMemory::Free(const void* address, Kind kind) {
  const uint64_t start = reinterpret_cast<uint64_t>(address);
  Extent extent;
  {
    const std::unique_lock lock(lock_);
    const auto it = blocks_.find(start);
    if (it == blocks_.end() || it->second.kind != kind) return CUDA_ERROR_INVALID_VALUE;
    extent = it->second.extent;
    blocks_.erase(it);
  }
  const wire::UnpinHostBody body{start};
  // The server waits for work that may still use the memory; so does the program, whose mapping goes too.
  const CUresult result =
      Call(static_cast<uint16_t>(wire::Command::kUnpinHost), std::as_bytes(std::span(&body, 1)), {});
  ::munmap(reinterpret_cast<void*>(start), extent.bytes);
  if (kind == Kind::kManaged) ForgetAdvice(extent);
  const std::unique_lock lock(lock_);
  addresses_.Insert(extent);
  return result;
}

std::map<uint64_t, PinnedMemory::Block>::const_iterator PinnedMemory::FindLocked(uint64_t address) const {
  auto it = blocks_.upper_bound(address);
  if (it == blocks_.begin()) return blocks_.end();
  --it;
  return address - it->first < it->second.extent.bytes ? it : blocks_.end();
}

std::optional<PinnedMemory::Block> PinnedMemory::Find(uint64_t address) const {
  address = InProgram(address);
  const std::shared_lock lock(lock_);
  const auto it = FindLocked(address);
  return it == blocks_.end() ? std::nullopt : std::optional(it->second);
}

uint64_t PinnedMemory::OnDevice(const void* address, uint64_t bytes) const {
  const uint64_t start = reinterpret_cast<uint64_t>(address);
  const std::shared_lock lock(lock_);
  const auto it = FindLocked(start);
  if (it == blocks_.end() || it->second.device == 0) return 0;
  const uint64_t offset = start - it->first;
  return bytes <= it->second.extent.bytes - offset ? it->second.device + offset : 0;
}

uint64_t PinnedMemory::InProgram(uint64_t address) const {
  if (address - window_.address >= window_.bytes) return address;
  const std::shared_lock lock(lock_);
  auto it = moved_.upper_bound(address);
  if (it == moved_.begin()) return address;
  --it;
  const uint64_t offset = address - it->first;
  const auto block = blocks_.find(it->second);
  return block != blocks_.end() && offset < block->second.extent.bytes ? it->second + offset : address;
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
  if (address == nullptr || bytes == 0 || (flags & ~kAllocFlags) != 0) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult permitted = CheckCapturePermits(); permitted != CUDA_SUCCESS) return permitted;
  return ThePinnedMemory().Allocate(bytes, flags, PinnedMemory::Kind::kAllocated, *address);
}

MIG_EXPORT CUresult cuMemAllocHost_v2(void** address, size_t bytes) {
  return cuMemHostAlloc(address, bytes, 0);
}

MIG_EXPORT CUresult cuMemAllocHost(void** address, unsigned bytes) {
  return cuMemHostAlloc(address, bytes, 0);
}

MIG_EXPORT CUresult cuMemFreeHost(void* address) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (const CUresult permitted = CheckCapturePermits(); permitted != CUDA_SUCCESS) return permitted;
  if (address == nullptr) return CUDA_SUCCESS;
  return ThePinnedMemory().Free(address, PinnedMemory::Kind::kAllocated);
}

MIG_EXPORT CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr* device, void* host, unsigned flags) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  if (device == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  const auto block = ThePinnedMemory().Find(reinterpret_cast<uint64_t>(host));
  if (!block) return CUDA_ERROR_INVALID_VALUE;
  if (block->device == 0)
    return Refused("cuMemHostGetDevicePointer of registered memory that is not the program's private memory");
  *device = ThePinnedMemory().OnDevice(host, 1);
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuMemHostGetFlags(unsigned* flags, void* host) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  const auto block = ThePinnedMemory().Find(reinterpret_cast<uint64_t>(host));
  if (flags == nullptr || !block) return CUDA_ERROR_INVALID_VALUE;
  constexpr unsigned kPortable = 1;  // all pinned memory is portable and mapped; driver 580 names only the second
  *flags = (block->flags & ~kPortable) | kDeviceMap;
  return CUDA_SUCCESS;
}

}  // namespace mignificient::client
