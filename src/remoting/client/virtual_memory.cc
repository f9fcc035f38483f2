#include "remoting/client/virtual_memory.h"

#include <bit>

#include "remoting/client/allocations.h"
#include "remoting/client/call.h"
#include "remoting/client/channel.h"
#include "remoting/client/fence.h"
#include "remoting/client/memory.h"
#include "remoting/client/memory_pool.h"
#include "remoting/wire/commands.h"

namespace mignificient::client {
namespace {

using wire::Command;

constexpr uint64_t kPage = 4096;

template <typename Body>
CUresult Ask(Command command, const Body& body, std::span<std::byte> reply = {}) {
  return Call(static_cast<uint16_t>(command), std::as_bytes(std::span(&body, 1)), reply);
}

}  // namespace

CUresult VirtualMemory::Reserve(uint64_t bytes, uint64_t align, uint64_t hint, CUdeviceptr& address) {
  if (bytes == 0 || bytes % kPage != 0 || (align != 0 && !std::has_single_bit(align))) return CUDA_ERROR_INVALID_VALUE;
  const std::lock_guard lock(lock_);
  const auto range = TheDeviceMemory().Reserve(bytes, align, hint);
  if (!range) return CUDA_ERROR_OUT_OF_MEMORY;
  space_.Reserved(*range, bytes);
  reserves_.store(true, std::memory_order_relaxed);
  address = range->address;
  return CUDA_SUCCESS;
}

CUresult VirtualMemory::FreeAddresses(CUdeviceptr address, uint64_t bytes) {
  const std::lock_guard lock(lock_);
  Extent range;
  if (const CUresult result = space_.Unreserve(address, bytes, range); result != CUDA_SUCCESS) return result;
  TheDeviceMemory().Unreserve(range);
  return CUDA_SUCCESS;
}

CUresult VirtualMemory::Create(uint64_t bytes, const CUmemAllocationProp& prop, Handle& handle) {
  if (bytes == 0 || bytes % granule_ != 0) return CUDA_ERROR_INVALID_VALUE;
  wire::HandleBody reply{};
  const CUresult result = WithMemoryReleased([&] {
    if (const CUresult charged = TheDeviceMemory().Charge(bytes); charged != CUDA_SUCCESS) return charged;
    const CUresult created =
        Ask(Command::kMemCreate, wire::MemCreateBody{bytes}, std::as_writable_bytes(std::span(&reply, 1)));
    if (created != CUDA_SUCCESS) TheDeviceMemory().Discharge(bytes);
    return created;
  });
  if (result != CUDA_SUCCESS) return result;
  handle = reply.handle;
  const std::lock_guard lock(lock_);
  space_.Created(handle, bytes, prop);
  return CUDA_SUCCESS;
}

void VirtualMemory::Gone(Handle handle, uint64_t bytes) {
  PostBody(static_cast<uint16_t>(Command::kMemRelease), wire::HandleBody{handle});
  TheDeviceMemory().Discharge(bytes);
}

CUresult VirtualMemory::Release(Handle handle) {
  const std::lock_guard lock(lock_);
  std::optional<uint64_t> gone;
  const CUresult result = space_.Release(handle, gone);
  if (gone) Gone(handle, *gone);
  return result;
}

CUresult VirtualMemory::Retain(CUdeviceptr address, Handle& handle) {
  const std::lock_guard lock(lock_);
  return space_.Retain(address, handle);
}

std::optional<CUmemAllocationProp> VirtualMemory::Properties(Handle handle) {
  const std::lock_guard lock(lock_);
  const CUmemAllocationProp* prop = space_.Properties(handle);
  return prop == nullptr ? std::nullopt : std::optional(*prop);
}

CUresult VirtualMemory::Map(CUdeviceptr address, uint64_t bytes, uint64_t offset, Handle handle) {
  const std::lock_guard lock(lock_);
  CUresult result = space_.MayMap(address, bytes, offset, handle);
  if (result == CUDA_SUCCESS) result = Ask(Command::kMemMap, wire::MemMapBody{address, bytes, offset, handle});
  if (result == CUDA_SUCCESS) space_.Mapped(address, bytes, handle);
  return result;
}

CUresult VirtualMemory::Unmap(CUdeviceptr address, uint64_t bytes) {
  {
    const std::lock_guard lock(lock_);
    if (!space_.MayUnmap(address, bytes)) return CUDA_ERROR_INVALID_VALUE;
  }
  if (const CUresult result = TheFences().Wait(TheFences().Open()); result != CUDA_SUCCESS) return result;
  const std::lock_guard lock(lock_);
  const auto extents = space_.MayUnmap(address, bytes);  // another thread may have changed it
  if (!extents) return CUDA_ERROR_INVALID_VALUE;
  for (const Extent& extent : *extents) {
    const CUresult result = Ask(Command::kMemUnmap, wire::ExtentBody{extent.address, extent.bytes});
    if (result != CUDA_SUCCESS) return result;
    if (const auto gone = space_.Unmapped(extent.address)) Gone(gone->first, gone->second);
    TheAllocations().Changed();
  }
  return CUDA_SUCCESS;
}

CUresult VirtualMemory::SetAccess(CUdeviceptr address, uint64_t bytes, int flags) {
  const std::lock_guard lock(lock_);
  if (!space_.WholeMappings(address, bytes)) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = Ask(Command::kMemSetAccess, wire::MemAccessBody{address, bytes, flags, 0});
  if (result == CUDA_SUCCESS) space_.SetAccess(address, bytes, flags);
  TheAllocations().Changed();
  return result;
}

std::optional<VirtualSpace::Mapping> VirtualMemory::FindMapping(CUdeviceptr address) {
  if (!reserves_.load(std::memory_order_relaxed)) return std::nullopt;
  const std::lock_guard lock(lock_);
  return space_.FindMapping(address);
}

std::optional<Extent> VirtualMemory::FindReservation(CUdeviceptr address) {
  if (!reserves_.load(std::memory_order_relaxed)) return std::nullopt;
  const std::lock_guard lock(lock_);
  return space_.FindReservation(address);
}

std::optional<Extent> VirtualMemory::Accessible(CUdeviceptr address) {
  if (!reserves_.load(std::memory_order_relaxed)) return std::nullopt;
  const std::lock_guard lock(lock_);
  return space_.FindAccessible(address);
}

bool VirtualMemory::IsHole(CUdeviceptr address) {
  if (!reserves_.load(std::memory_order_relaxed)) [[likely]]
    return false;
  const std::lock_guard lock(lock_);
  return space_.FindReservation(address) && !space_.FindMapping(address);
}

CUresult CheckAddress(CUdeviceptr address) {
  return TheVirtualMemory().IsHole(address) ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

VirtualMemory& TheVirtualMemory() {
  static VirtualMemory& memory = *new VirtualMemory(TheChannel()->welcome().granule_bytes);
  return memory;
}

// --- Entry points ---------------------------------------------------------------------------------------------------

namespace {

// Memory of the one device, that stays in this session.
CUresult CheckProp(const CUmemAllocationProp* prop) {
  if (prop == nullptr || prop->type != CU_MEM_ALLOCATION_TYPE_PINNED) return CUDA_ERROR_INVALID_VALUE;
  switch (prop->location.type) {
    case CU_MEM_LOCATION_TYPE_DEVICE:
      break;
    case CU_MEM_LOCATION_TYPE_HOST:
    case CU_MEM_LOCATION_TYPE_HOST_NUMA:
      return CUDA_ERROR_NOT_SUPPORTED;  // CU_DEVICE_ATTRIBUTE_HOST_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED is 0
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
  if (prop->location.id != 0) return CUDA_ERROR_INVALID_DEVICE;
  // PyTorch asks for file descriptors whatever the device says, and exports none unless the program shares tensors:
  // what would leave the session is refused at the export.
  if ((prop->requested_handle_types & ~CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) != 0) return CUDA_ERROR_NOT_SUPPORTED;
  const bool special = prop->alloc_flags.gpu_direct_rdma_capable != 0 || prop->alloc_flags.usage != 0;
  return special ? CUDA_ERROR_NOT_SUPPORTED : CUDA_SUCCESS;
}

CUresult CheckAccess(const CUmemAccessDesc& access) {
  if (access.location.type != CU_MEM_LOCATION_TYPE_DEVICE) return CUDA_ERROR_INVALID_VALUE;
  if (access.location.id != 0) return CUDA_ERROR_INVALID_DEVICE;
  const bool known = access.flags == CU_MEM_ACCESS_FLAGS_PROT_NONE || access.flags == CU_MEM_ACCESS_FLAGS_PROT_READ ||
                     access.flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
  return known ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

}  // namespace

MIG_EXPORT CUresult cuMemGetAllocationGranularity(size_t* bytes, const CUmemAllocationProp* prop, int option) {
  if (const CUresult ready = Initialized(); ready != CUDA_SUCCESS) return ready;
  if (bytes == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (option != CU_MEM_ALLOC_GRANULARITY_MINIMUM && option != CU_MEM_ALLOC_GRANULARITY_RECOMMENDED)
    return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult checked = CheckProp(prop); checked != CUDA_SUCCESS) return checked;
  *bytes = TheVirtualMemory().granule();
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuMemAddressReserve(CUdeviceptr* ptr, size_t bytes, size_t align, CUdeviceptr hint,
                                        unsigned long long flags) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (ptr == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  return TheVirtualMemory().Reserve(bytes, align, hint, *ptr);
}

MIG_EXPORT CUresult cuMemAddressFree(CUdeviceptr ptr, size_t bytes) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  return TheVirtualMemory().FreeAddresses(ptr, bytes);
}

MIG_EXPORT CUresult cuMemCreate(CUmemGenericAllocationHandle* handle, size_t bytes, const CUmemAllocationProp* prop,
                                unsigned long long flags) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (handle == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult checked = CheckProp(prop); checked != CUDA_SUCCESS) return checked;
  CUmemAllocationProp made = *prop;
  made.alloc_flags.compression_type = 0;  // a wish that is not granted
  return TheVirtualMemory().Create(bytes, made, *handle);
}

MIG_EXPORT CUresult cuMemRelease(CUmemGenericAllocationHandle handle) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  return TheVirtualMemory().Release(handle);
}

MIG_EXPORT CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle* handle, void* address) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (handle == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return TheVirtualMemory().Retain(reinterpret_cast<CUdeviceptr>(address), *handle);
}

MIG_EXPORT CUresult cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp* prop,
                                                           CUmemGenericAllocationHandle handle) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  const auto found = TheVirtualMemory().Properties(handle);
  if (prop == nullptr || !found) return CUDA_ERROR_INVALID_VALUE;
  *prop = *found;
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuMemMap(CUdeviceptr ptr, size_t bytes, size_t offset, CUmemGenericAllocationHandle handle,
                             unsigned long long flags) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  return flags != 0 ? CUDA_ERROR_INVALID_VALUE : TheVirtualMemory().Map(ptr, bytes, offset, handle);
}

MIG_EXPORT CUresult cuMemUnmap(CUdeviceptr ptr, size_t bytes) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  return TheVirtualMemory().Unmap(ptr, bytes);
}

MIG_EXPORT CUresult cuMemSetAccess(CUdeviceptr ptr, size_t bytes, const CUmemAccessDesc* access, size_t count) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (access == nullptr || count == 0) return CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < count; ++i)
    if (const CUresult checked = CheckAccess(access[i]); checked != CUDA_SUCCESS) return checked;
  return TheVirtualMemory().SetAccess(ptr, bytes, access[count - 1].flags);
}

MIG_EXPORT CUresult cuMemGetAccess(unsigned long long* flags, const CUmemLocation* location, CUdeviceptr ptr) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (flags == nullptr || location == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (location->type != CU_MEM_LOCATION_TYPE_DEVICE || location->id != 0) return CUDA_ERROR_INVALID_DEVICE;
  const auto mapping = TheVirtualMemory().FindMapping(ptr);
  if (!mapping) return CUDA_ERROR_INVALID_VALUE;
  *flags = static_cast<unsigned long long>(mapping->access);
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuMemExportToShareableHandle(void*, CUmemGenericAllocationHandle handle, int,
                                                 unsigned long long flags) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (flags != 0 || !TheVirtualMemory().Properties(handle)) return CUDA_ERROR_INVALID_VALUE;
  return Refused("cuMemExportToShareableHandle");
}

}  // namespace mignificient::client
