#include "driver/cpu/memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace mignificient::cpu {
namespace {

constexpr uint64_t kMaxReservationBytes = uint64_t{1} << 46;  // half of a 47-bit user address space

bool Aligned(uint64_t value) {
  return value % DeviceMemory::kGranularity == 0;
}
void* Pointer(uint64_t address) {
  return reinterpret_cast<void*>(address);
}

// Inaccessible address space, also used to blank out a part of a reservation.
uint64_t MapNothing(uint64_t address, uint64_t bytes, int placement) {
  void* const mapped =
      mmap(Pointer(address), bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | placement, -1, 0);
  return mapped == MAP_FAILED ? 0 : reinterpret_cast<uint64_t>(mapped);
}

uint64_t ReserveAligned(uint64_t bytes, uint64_t align, uint64_t hint) {
  if (hint != 0 && hint % align == 0) {
    if (const uint64_t at_hint = MapNothing(hint, bytes, MAP_FIXED_NOREPLACE); at_hint != 0) return at_hint;
  }
  const uint64_t padded = bytes + (align > DeviceMemory::kGranularity ? align : 0);
  const uint64_t base = MapNothing(0, padded, 0);
  if (base == 0) return 0;
  const uint64_t begin = (base + align - 1) / align * align;
  if (begin > base) munmap(Pointer(base), begin - base);
  if (const uint64_t end = begin + bytes; end < base + padded) munmap(Pointer(end), base + padded - end);
  return begin;
}

// Kernels run in this process: a page they may touch must be there and be writable, or the process would die.
bool WritableInThisProcess(uint64_t begin, uint64_t end) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; begin < end && std::getline(maps, line);) {
    unsigned long long low = 0, high = 0;
    char access[5] = {};
    if (std::sscanf(line.c_str(), "%llx-%llx %4s", &low, &high, access) != 3 || high <= begin) continue;
    if (low > begin || access[0] != 'r' || access[1] != 'w') return false;
    begin = high;
  }
  return begin >= end;
}

bool Overlaps(const std::map<uint64_t, uint64_t>& ranges, uint64_t begin, uint64_t bytes) {
  auto next = ranges.lower_bound(begin);
  if (next != ranges.end() && next->first < begin + bytes) return true;
  return next != ranges.begin() && (--next)->first + next->second > begin;
}

}  // namespace

Result<std::unique_ptr<DeviceMemory>> DeviceMemory::Create(uint64_t total_bytes) {
  const int fd = memfd_create("mignificient-device-memory", MFD_CLOEXEC);
  if (fd < 0) return FailErrno("memfd_create", errno);
  return std::unique_ptr<DeviceMemory>(new DeviceMemory(fd, total_bytes));
}

DeviceMemory::~DeviceMemory() {
  for (const auto& [begin, bytes] : reservations_) munmap(Pointer(begin), bytes);
  close(fd_);
}

CUresult DeviceMemory::Reserve(CUdeviceptr* ptr, uint64_t bytes, uint64_t align, CUdeviceptr hint) {
  if (align < kGranularity) align = align == 0 || std::has_single_bit(align) ? kGranularity : align;
  if (bytes == 0 || !Aligned(bytes) || bytes > kMaxReservationBytes || !std::has_single_bit(align) ||
      align > kMaxReservationBytes) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  const std::lock_guard lock(mutex_);
  const uint64_t begin = ReserveAligned(bytes, align, hint);
  if (begin == 0) return CUDA_ERROR_OUT_OF_MEMORY;
  reservations_.emplace(begin, bytes);
  *ptr = begin;
  return CUDA_SUCCESS;
}

CUresult DeviceMemory::FreeReservation(CUdeviceptr ptr, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  const auto found = reservations_.find(ptr);
  if (found == reservations_.end() || found->second != bytes) return CUDA_ERROR_INVALID_VALUE;
  const auto mapping = mappings_.lower_bound(ptr);
  if (mapping != mappings_.end() && mapping->first < ptr + bytes) return CUDA_ERROR_INVALID_VALUE;
  munmap(Pointer(ptr), bytes);
  reservations_.erase(found);
  return CUDA_SUCCESS;
}

CUresult DeviceMemory::CreateAllocation(CUmemGenericAllocationHandle* handle, uint64_t bytes) {
  if (bytes == 0 || !Aligned(bytes)) return CUDA_ERROR_INVALID_VALUE;
  const std::lock_guard lock(mutex_);
  if (bytes > total_bytes_ - used_bytes_) return CUDA_ERROR_OUT_OF_MEMORY;
  if (ftruncate(fd_, static_cast<off_t>(next_file_offset_ + bytes)) != 0) return CUDA_ERROR_OUT_OF_MEMORY;
  *handle = next_handle_++;
  allocations_.emplace(*handle, Allocation{.bytes = bytes, .file_offset = next_file_offset_});
  next_file_offset_ += bytes;
  used_bytes_ += bytes;
  return CUDA_SUCCESS;
}

CUresult DeviceMemory::Release(CUmemGenericAllocationHandle handle) {
  const std::lock_guard lock(mutex_);
  const auto found = allocations_.find(handle);
  if (found == allocations_.end() || found->second.released) return CUDA_ERROR_INVALID_VALUE;
  found->second.released = true;
  DropIfUnused(handle);
  return CUDA_SUCCESS;
}

void DeviceMemory::DropIfUnused(CUmemGenericAllocationHandle handle) {
  const auto found = allocations_.find(handle);
  const Allocation& allocation = found->second;
  if (!allocation.released || allocation.mappings != 0) return;
  fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(allocation.file_offset),
            static_cast<off_t>(allocation.bytes));
  used_bytes_ -= allocation.bytes;
  allocations_.erase(found);
}

bool DeviceMemory::InsideReservation(uint64_t begin, uint64_t bytes) const {
  auto after = reservations_.upper_bound(begin);
  if (after == reservations_.begin()) return false;
  --after;
  const uint64_t offset = begin - after->first;
  return offset <= after->second && bytes <= after->second - offset;
}

CUresult DeviceMemory::Map(CUdeviceptr ptr, uint64_t bytes, uint64_t offset, CUmemGenericAllocationHandle handle) {
  if (bytes == 0 || !Aligned(ptr) || !Aligned(bytes) || !Aligned(offset)) return CUDA_ERROR_INVALID_VALUE;
  const std::lock_guard lock(mutex_);
  const auto found = allocations_.find(handle);
  if (found == allocations_.end() || found->second.released) return CUDA_ERROR_INVALID_VALUE;
  Allocation& allocation = found->second;
  if (offset > allocation.bytes || bytes > allocation.bytes - offset) return CUDA_ERROR_INVALID_VALUE;
  if (!InsideReservation(ptr, bytes)) return CUDA_ERROR_INVALID_VALUE;
  const auto next = FirstTouching(ptr);
  if (next != mappings_.end() && next->first < ptr + bytes) return CUDA_ERROR_INVALID_VALUE;
  if (mmap(Pointer(ptr), bytes, PROT_NONE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd_,
           static_cast<off_t>(allocation.file_offset + offset)) == MAP_FAILED) {
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  mappings_.emplace(ptr, Mapping{.bytes = bytes, .handle = handle});
  ++allocation.mappings;
  return CUDA_SUCCESS;
}

std::map<uint64_t, DeviceMemory::Mapping>::iterator DeviceMemory::EndOfWhole(uint64_t ptr, uint64_t bytes) {
  const auto first = mappings_.find(ptr);
  auto last = first;
  uint64_t covered = 0;
  while (last != mappings_.end() && covered < bytes && last->first == ptr + covered && !last->second.retiring) {
    covered += last->second.bytes;
    ++last;
  }
  return covered == bytes ? last : first;
}

CUresult DeviceMemory::Forbid(CUdeviceptr ptr, uint64_t bytes, const Drain& drain) {
  {
    const std::lock_guard lock(mutex_);
    const auto first = mappings_.find(ptr), last = EndOfWhole(ptr, bytes);
    if (first == last) return CUDA_ERROR_INVALID_VALUE;
    for (auto it = first; it != last; ++it) it->second.allowed = false;
    snapshot_ = nullptr;
  }
  drain();
  return CUDA_SUCCESS;
}

CUresult DeviceMemory::Allow(CUdeviceptr ptr, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  const auto first = mappings_.find(ptr), last = EndOfWhole(ptr, bytes);
  if (first == last) return CUDA_ERROR_INVALID_VALUE;
  if (mprotect(Pointer(ptr), bytes, PROT_READ | PROT_WRITE) != 0) return CUDA_ERROR_OUT_OF_MEMORY;
  for (auto it = first; it != last; ++it) it->second.allowed = true;
  snapshot_ = nullptr;
  return CUDA_SUCCESS;
}

std::map<uint64_t, DeviceMemory::Mapping>::iterator DeviceMemory::FirstTouching(uint64_t begin) {
  const auto next = mappings_.upper_bound(begin);
  if (next == mappings_.begin()) return next;
  const auto before = std::prev(next);
  return before->first + before->second.bytes > begin ? before : next;
}

CUresult DeviceMemory::Unmap(CUdeviceptr ptr, uint64_t bytes, const Drain& drain) {
  std::unique_lock lock(mutex_);
  if (bytes == 0 || !Aligned(ptr) || !Aligned(bytes) || !InsideReservation(ptr, bytes)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  const uint64_t end = ptr + bytes;
  for (auto it = FirstTouching(ptr); it != mappings_.end() && it->first < end; ++it) {
    const bool whole = it->first >= ptr && it->first + it->second.bytes <= end;
    if (!whole || it->second.retiring) return CUDA_ERROR_INVALID_VALUE;
  }
  bool was_allowed = false;
  for (auto it = mappings_.lower_bound(ptr); it != mappings_.end() && it->first < end; ++it) {
    it->second.retiring = true;
    was_allowed |= std::exchange(it->second.allowed, false);
  }
  if (was_allowed) {
    snapshot_ = nullptr;
    lock.unlock();
    drain();
    lock.lock();
  }
  MapNothing(ptr, bytes, MAP_FIXED);
  for (auto it = mappings_.lower_bound(ptr); it != mappings_.end() && it->first < end; it = mappings_.erase(it)) {
    --allocations_.at(it->second.handle).mappings;
    DropIfUnused(it->second.handle);
  }
  return CUDA_SUCCESS;
}

CUresult DeviceMemory::Allocate(CUdeviceptr* ptr, uint64_t bytes) {
  bytes = (bytes + kGranularity - 1) / kGranularity * kGranularity;
  CUmemGenericAllocationHandle handle = 0;
  if (const CUresult created = CreateAllocation(&handle, bytes); created != CUDA_SUCCESS) return created;
  CUresult result = Reserve(ptr, bytes, 0, 0);
  if (result == CUDA_SUCCESS) {
    result = Map(*ptr, bytes, 0, handle);
    if (result == CUDA_SUCCESS) result = Allow(*ptr, bytes);
    if (result != CUDA_SUCCESS) Free(*ptr, [] {});
  }
  Release(handle);  // the mapping keeps it
  return result;
}

void DeviceMemory::Free(CUdeviceptr ptr, const Drain& drain) {
  uint64_t bytes = 0;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = reservations_.find(ptr); found != reservations_.end()) bytes = found->second;
  }
  if (bytes == 0) return;
  Unmap(ptr, bytes, drain);
  FreeReservation(ptr, bytes);
}

CUresult DeviceMemory::RegisterHost(uint64_t begin, uint64_t bytes) {
  if (begin == 0 || bytes == 0 || bytes > kMaxReservationBytes || begin > kSharedWindow - bytes) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  const std::lock_guard lock(mutex_);
  if (Overlaps(registered_, begin, bytes)) return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
  if (Overlaps(reservations_, begin, bytes)) return CUDA_ERROR_INVALID_VALUE;
  if (!WritableInThisProcess(begin, begin + bytes)) return CUDA_ERROR_INVALID_VALUE;
  registered_.emplace(begin, bytes);
  snapshot_ = nullptr;
  return CUDA_SUCCESS;
}

CUresult DeviceMemory::UnregisterHost(uint64_t begin, const Drain& drain) {
  {
    const std::lock_guard lock(mutex_);
    if (registered_.erase(begin) == 0) return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
    snapshot_ = nullptr;
  }
  drain();
  return CUDA_SUCCESS;
}

std::shared_ptr<const MemoryMap> DeviceMemory::Snapshot() {
  const std::lock_guard lock(mutex_);
  return SnapshotLocked();
}

std::shared_ptr<const MemoryMap> DeviceMemory::SnapshotLocked() {
  if (snapshot_ != nullptr) return snapshot_;
  std::vector<MemoryMap::Extent> extents;
  for (const auto& [begin, mapping] : mappings_) {
    if (mapping.allowed) extents.push_back({begin, begin + mapping.bytes});
  }
  for (const auto& [begin, bytes] : registered_) extents.push_back({begin, begin + bytes});
  return snapshot_ = MemoryMap::Of(std::move(extents), /*join=*/true);
}

bool DeviceMemory::Reaches(uint64_t begin, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  const auto* extent = SnapshotLocked()->Find(begin);
  return extent != nullptr && bytes <= extent->end - begin;
}

uint64_t DeviceMemory::free_bytes() const {
  const std::lock_guard lock(mutex_);
  return total_bytes_ - used_bytes_;
}

}  // namespace mignificient::cpu
