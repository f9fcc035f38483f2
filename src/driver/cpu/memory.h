// The memory of the software GPU: the virtual memory management calls of CUDA over real pages.
//
// A device address is a host address. A reservation is inaccessible address space; an allocation is a piece of one
// sparse memfd; mapping places the piece in a reservation. Offsets in the memfd are never used twice and released
// pieces are punched out, so fresh memory is zero and released memory is back with the operating system.
//
// Results are CUDA's. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "abi/cuda.h"
#include "base/result.h"
#include "driver/cpu/exec/memory_map.h"

namespace mignificient::cpu {

class DeviceMemory {
 public:
  static constexpr uint64_t kGranularity = 4096;

  // Waits until no running kernel or copy can still use an address that the memory map no longer has.
  using Drain = std::function<void()>;

  // `total_bytes`: what allocations together may take.
  static Result<std::unique_ptr<DeviceMemory>> Create(uint64_t total_bytes);
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  CUresult Reserve(CUdeviceptr* ptr, uint64_t bytes, uint64_t align, CUdeviceptr hint);
  CUresult FreeReservation(CUdeviceptr ptr, uint64_t bytes);
  CUresult CreateAllocation(CUmemGenericAllocationHandle* handle, uint64_t bytes);
  // The pages stay until the last mapping is gone.
  CUresult Release(CUmemGenericAllocationHandle handle);
  CUresult Map(CUdeviceptr ptr, uint64_t bytes, uint64_t offset, CUmemGenericAllocationHandle handle);
  // Makes whole mappings readable and writable; there is no read-only access.
  CUresult Allow(CUdeviceptr ptr, uint64_t bytes);
  // Of whole mappings: kernels that start from now on fault there.
  CUresult Forbid(CUdeviceptr ptr, uint64_t bytes, const Drain& drain);
  CUresult Unmap(CUdeviceptr ptr, uint64_t bytes, const Drain& drain);

  // Reserve, create, map and allow in one; for what the driver itself places on the device.
  CUresult Allocate(CUdeviceptr* ptr, uint64_t bytes);
  void Free(CUdeviceptr ptr, const Drain& drain);

  // Makes a range of this process's own memory valid for kernels and for asynchronous copies.
  CUresult RegisterHost(uint64_t begin, uint64_t bytes);
  CUresult UnregisterHost(uint64_t begin, const Drain& drain);

  // Everything kernels may touch now: allowed mappings and registered host memory.
  std::shared_ptr<const MemoryMap> Snapshot();
  // Whether a kernel could touch all of [begin, begin + bytes).
  bool Reaches(uint64_t begin, uint64_t bytes);

  uint64_t total_bytes() const { return total_bytes_; }
  uint64_t free_bytes() const;

 private:
  struct Allocation {
    uint64_t bytes = 0;
    uint64_t file_offset = 0;
    unsigned mappings = 0;
    bool released = false;
  };
  struct Mapping {
    uint64_t bytes = 0;
    CUmemGenericAllocationHandle handle = 0;
    bool allowed = false;   // kernels may touch it
    bool retiring = false;  // being unmapped: waits for the kernels that may still touch it
  };

  DeviceMemory(int fd, uint64_t total_bytes) : fd_(fd), total_bytes_(total_bytes) {}
  bool InsideReservation(uint64_t begin, uint64_t bytes) const;
  std::map<uint64_t, Mapping>::iterator FirstTouching(uint64_t begin);
  // The end of the whole mappings that make up exactly [ptr, ptr + bytes); mappings_.find(ptr) if they do not.
  std::map<uint64_t, Mapping>::iterator EndOfWhole(uint64_t ptr, uint64_t bytes);
  void DropIfUnused(CUmemGenericAllocationHandle handle);
  std::shared_ptr<const MemoryMap> SnapshotLocked();

  const int fd_;
  const uint64_t total_bytes_;
  mutable std::mutex mutex_;
  uint64_t used_bytes_ = 0;
  uint64_t next_file_offset_ = 0;
  CUmemGenericAllocationHandle next_handle_ = 0x100;
  std::map<uint64_t, uint64_t> reservations_;  // begin -> bytes
  std::map<uint64_t, Mapping> mappings_;       // begin -> mapping
  std::map<uint64_t, uint64_t> registered_;    // begin -> bytes
  std::unordered_map<CUmemGenericAllocationHandle, Allocation> allocations_;
  std::shared_ptr<const MemoryMap> snapshot_;  // null: to be made anew
};

}  // namespace mignificient::cpu
