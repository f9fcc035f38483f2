// What this process has allocated: device memory inside its window, and pinned host memory shared with the server.
// Internal to the client; shared by allocation, copies and pointer queries. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <shared_mutex>

#include "abi/cuda.h"
#include "remoting/client/address_space.h"

namespace mignificient::client {

class DeviceMemory {
 public:
  DeviceMemory(Extent window, uint64_t granule, uint64_t budget) : space_(window, granule, budget) {}

  CUresult Allocate(uint64_t bytes, CUdeviceptr& address);
  CUresult Free(CUdeviceptr address);
  std::optional<Extent> Find(CUdeviceptr address);
  bool InWindow(uint64_t address) const { return space_.InWindow(address); }  // constant, so without the lock
  uint64_t UnusedBytes();

 private:
  std::mutex lock_;  // also held while a plan's commands are written, so that they reach the server in plan order
  AddressSpace space_;
};

// Memory that both sides have mapped at one address and the device can reach: cuMemHostAlloc and managed memory.
class PinnedMemory {
 public:
  explicit PinnedMemory(Extent window) { addresses_.Insert(window); }

  struct Block {
    Extent extent;
    unsigned flags = 0;  // as given to cuMemHostAlloc
    bool managed = false;
  };

  CUresult Allocate(uint64_t bytes, unsigned flags, bool managed, void*& address);
  CUresult Free(const void* address);
  std::optional<Block> Find(uint64_t address) const;
  // True when all of [address, address + bytes) lies in one block.
  bool Contains(const void* address, uint64_t bytes) const;

 private:
  std::optional<Extent> Reserve(uint64_t bytes);

  mutable std::shared_mutex lock_;
  FreeRanges addresses_;
  std::map<uint64_t, Block> blocks_;
};

// Valid once Attach() has succeeded; leaked on purpose.
DeviceMemory& TheDeviceMemory();
PinnedMemory& ThePinnedMemory();

}  // namespace mignificient::client
