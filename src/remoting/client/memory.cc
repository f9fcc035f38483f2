#include "remoting/client/memory.h"

#include <atomic>

#include "remoting/client/allocations.h"
#include "remoting/client/call.h"
#include "remoting/client/capture.h"
#include "remoting/client/channel.h"
#include "remoting/client/fence.h"
#include "remoting/client/globals.h"
#include "remoting/client/graph.h"
#include "remoting/client/memory_pool.h"
#include "remoting/client/virtual_memory.h"
#include "remoting/wire/commands.h"

namespace mignificient::client {
namespace {

CUresult PostExtent(wire::Command command, Extent extent) {
  return PostBody(static_cast<uint16_t>(command), wire::ExtentBody{extent.address, extent.bytes});
}

}  // namespace

CUresult DeviceMemory::CarryOut(const AddressSpace::Plan& plan) {
  for (const Extent& extent : plan.unmap)
    if (const CUresult result = PostExtent(wire::Command::kUnmapExtent, extent); result != CUDA_SUCCESS) return result;
  if (!plan.map) return CUDA_SUCCESS;
  if (!TheChannel()->shared() && space_.mapped_bytes() <= sure_bytes_) {
    const CUresult posted = PostExtent(wire::Command::kMapExtent, *plan.map);
    // Pairs with the server's fence: it carries out what is published before whoever comes takes memory, or has said by
    // now that somebody comes.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (posted != CUDA_SUCCESS || !TheChannel()->shared()) return posted;
  }
  const wire::ExtentBody body{plan.map->address, plan.map->bytes};
  const CUresult result =
      Call(static_cast<uint16_t>(wire::Command::kMapExtent), std::as_bytes(std::span(&body, 1)), {});
  if (result != CUDA_SUCCESS) space_.Undo(plan);
  return result;
}

template <typename Ask>
CUresult DeviceMemory::Follow(Ask ask, AddressSpace::Plan& plan) {
  for (;;) {
    {
      const std::lock_guard lock(lock_);
      plan = ask(TheFences().Passed());
      const CUresult result = CarryOut(plan);
      // Others have what the plan counted on: without what is kept here for later it may do.
      if (result == CUDA_ERROR_OUT_OF_MEMORY && ReleaseUnusedLocked()) continue;
      if (result != CUDA_SUCCESS) return result;
    }
    if (plan) return CUDA_SUCCESS;
    if (plan.wait == 0) return CUDA_ERROR_OUT_OF_MEMORY;
    if (const CUresult result = TheFences().Wait(plan.wait); result != CUDA_SUCCESS) return result;
  }
}

CUresult DeviceMemory::Allocate(uint64_t bytes, CUdeviceptr& address, Rather rather) {
  {
    const std::lock_guard lock(lock_);
    if (const uint64_t again = space_.AllocateAgain(bytes, TheFences().Passed())) {
      address = again;
      return CUDA_SUCCESS;
    }
  }
  AddressSpace::Plan plan;
  const CUresult result = Follow([&](uint64_t passed) { return space_.Allocate(bytes, passed, rather); }, plan);
  if (result == CUDA_SUCCESS) address = plan.address;
  return result;
}

bool DeviceMemory::ReleaseUnused() {
  const std::lock_guard lock(lock_);
  return ReleaseUnusedLocked();
}

bool DeviceMemory::ReleaseUnusedLocked() {
  const std::vector<Extent> unmap = space_.ReleaseUnused(TheFences().Passed());
  for (const Extent& extent : unmap) PostExtent(wire::Command::kUnmapExtent, extent);
  return !unmap.empty();
}

CUresult DeviceMemory::Charge(uint64_t bytes) {
  AddressSpace::Plan plan;
  return Follow([&](uint64_t passed) { return space_.Charge(bytes, passed); }, plan);
}

void DeviceMemory::Discharge(uint64_t bytes) {
  const std::lock_guard lock(lock_);
  space_.Discharge(bytes);
}

std::optional<Extent> DeviceMemory::Reserve(uint64_t bytes, uint64_t align, uint64_t hint) {
  const std::lock_guard lock(lock_);
  return space_.Reserve(bytes, align, hint);
}

void DeviceMemory::Unreserve(Extent range) {
  const std::lock_guard lock(lock_);
  space_.Unreserve(range);
}

CUresult DeviceMemory::Free(CUdeviceptr address, Use use) {
  if (use == Use::kMayGoOn && TheFences().AllComplete()) use = Use::kIsOver;
  {
    const std::lock_guard lock(lock_);
    if (!synchronous_.empty()) synchronous_.erase(address);
    const uint64_t epoch = use == Use::kIsOver ? 0 : TheFences().Open();
    if (!space_.Free(address, epoch)) return CUDA_ERROR_INVALID_VALUE;
  }
  if (use == Use::kMayGoOn) TheFences().Mark();
  return CUDA_SUCCESS;
}

std::optional<Extent> DeviceMemory::Find(CUdeviceptr address) {
  const std::lock_guard lock(lock_);
  return space_.Find(address);
}

bool DeviceMemory::SetSynchronous(CUdeviceptr address, bool synchronous) {
  const std::lock_guard lock(lock_);
  const auto allocation = space_.Find(address);
  if (!allocation) return false;
  if (synchronous)
    synchronous_.insert(allocation->address);
  else
    synchronous_.erase(allocation->address);
  return true;
}

bool DeviceMemory::IsSynchronous(CUdeviceptr address) {
  const std::lock_guard lock(lock_);
  const auto allocation = space_.Find(address);
  return allocation && synchronous_.contains(allocation->address);
}

uint64_t DeviceMemory::UnusedBytes() {
  const std::lock_guard lock(lock_);
  return space_.unused_bytes();
}

bool IsDeviceMemory(CUdeviceptr address) {
  return TheDeviceMemory().InWindow(address) || TheGlobals().Find(address);
}

CUresult CheckRange(CUdeviceptr address, uint64_t bytes, CUstream stream) {
  const auto look = [](uint64_t of) { return TheVirtualMemory().Accessible(of); };
  if (bytes == 0 || TheAllocations().Contain(address, bytes, look)) [[likely]]
    return CUDA_SUCCESS;
  if (!TheDeviceMemory().InWindow(address) || IsCapturing(stream)) return CUDA_SUCCESS;
  return CUDA_ERROR_INVALID_VALUE;
}

Allocations& TheAllocations() {
  static Allocations& allocations = *[] {
    const wire::Welcome& welcome = TheChannel()->welcome();
    return new Allocations({welcome.window_base, welcome.window_bytes});
  }();
  return allocations;
}

DeviceMemory& TheDeviceMemory() {
  static DeviceMemory& memory = *[] {
    const wire::Welcome& welcome = TheChannel()->welcome();
    return new DeviceMemory({welcome.window_base, welcome.window_bytes}, welcome.granule_bytes, welcome.budget_bytes);
  }();
  return memory;
}

namespace {

CUresult Allocate(uint64_t bytes, CUdeviceptr& ptr) {
  const CUresult result = WithMemoryReleased([&] { return TheDeviceMemory().Allocate(bytes, ptr); });
  if (result == CUDA_SUCCESS) TheAllocations().Insert({ptr, bytes});
  return result;
}

CUresult AllocatePitch(CUdeviceptr* ptr, size_t* pitch, size_t width, size_t height, unsigned element) {
  if (ptr == nullptr || pitch == nullptr || width == 0 || height == 0) return CUDA_ERROR_INVALID_VALUE;
  if (element != 4 && element != 8 && element != 16) return CUDA_ERROR_INVALID_VALUE;
  constexpr size_t kPitch = 512;
  size_t bytes;
  const size_t row = (width + kPitch - 1) / kPitch * kPitch;
  if (row < width || __builtin_mul_overflow(row, height, &bytes)) return CUDA_ERROR_OUT_OF_MEMORY;
  if (const CUresult result = Allocate(bytes, *ptr); result != CUDA_SUCCESS) return result;
  *pitch = row;
  return CUDA_SUCCESS;
}

}  // namespace

MIG_EXPORT CUresult cuMemAlloc_v2(CUdeviceptr* ptr, size_t bytes) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  if (const CUresult permitted = CheckCapturePermits(); permitted != CUDA_SUCCESS) return permitted;
  if (ptr == nullptr || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  return Allocate(bytes, *ptr);
}

MIG_EXPORT CUresult cuMemAllocPitch_v2(CUdeviceptr* ptr, size_t* pitch, size_t width, size_t height, unsigned element) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  return AllocatePitch(ptr, pitch, width, height, element);
}

MIG_EXPORT CUresult cuMemFree_v2(CUdeviceptr ptr) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (const CUresult permitted = CheckCapturePermits(); permitted != CUDA_SUCCESS) return permitted;
  if (ptr == 0) return CUDA_SUCCESS;
  TheAllocations().Erase(ptr);
  // CUDA does not wait for memory of a pool: the program says that its use is over.
  if (TheMemoryPools().Free(ptr, std::nullopt)) return CUDA_SUCCESS;
  if (TheDeviceMemory().InWindow(ptr)) return TheDeviceMemory().Free(ptr);
  const CUresult managed = ThePinnedMemory().Free(reinterpret_cast<void*>(ptr), PinnedMemory::Kind::kManaged);
  return managed == CUDA_ERROR_INVALID_VALUE ? FreeGraphMemory(ptr, nullptr) : managed;
}

MIG_EXPORT CUresult cuMemGetInfo_v2(size_t* free_bytes, size_t* total_bytes) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  wire::MemoryInfoReply info;
  if (const CUresult result =
          Call(static_cast<uint16_t>(wire::Command::kMemoryInfo), {}, std::as_writable_bytes(std::span(&info, 1)));
      result != CUDA_SUCCESS)
    return result;
  if (total_bytes != nullptr) *total_bytes = info.budget_bytes;
  if (free_bytes != nullptr) *free_bytes = info.budget_bytes - info.mapped_bytes + TheDeviceMemory().UnusedBytes();
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuMemGetAddressRange_v2(CUdeviceptr* base, size_t* bytes, CUdeviceptr ptr) {
  if (base == nullptr && bytes == nullptr) return Initialized();  // as CUDA, whatever the address
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  std::optional<Extent> extent;
  if (const auto pooled = TheMemoryPools().Find(ptr))
    extent = pooled->extent;
  else if (const auto mapping = TheVirtualMemory().FindMapping(ptr))
    extent = mapping->extent;
  else
    extent = TheDeviceMemory().Find(ptr);
  if (!extent)
    if (const auto block = ThePinnedMemory().Find(ptr)) extent = block->extent;
  if (!extent) return CUDA_ERROR_NOT_FOUND;
  if (base != nullptr) *base = extent->address;
  if (bytes != nullptr) *bytes = extent->bytes;
  return CUDA_SUCCESS;
}

}  // namespace mignificient::client
