// Memory that graphs allocate. Its address is fixed when the node is made; pages come with the first launch and stay
// until the graph is destroyed or memory is trimmed, as CUDA documents it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "driver/cpu/memory.h"

namespace mignificient::cpu {

// Of one allocation node, and of its copies. `held` and `mapped` are guarded by GraphMemory.
struct GraphAllocation {
  CUdeviceptr address = 0;
  uint64_t bytes = 0;         // as asked for
  uint64_t mapped_bytes = 0;  // whole pages
  bool mapped = false;
  bool held = false;  // launched and not freed
};

class GraphMemory {
 public:
  explicit GraphMemory(DeviceMemory& memory) : memory_(memory) {}

  CUresult Reserve(uint64_t bytes, std::shared_ptr<GraphAllocation>* allocation);
  // The allocation that begins at the address; null where there is none.
  std::shared_ptr<GraphAllocation> Find(CUdeviceptr address);

  // Whether the address lies in memory of some allocation node, launched or not.
  bool Covers(CUdeviceptr address);

  // When a launch is issued. CUDA_ERROR_INVALID_VALUE while it is held; CUDA_ERROR_OUT_OF_MEMORY.
  CUresult Hold(GraphAllocation& allocation);
  bool Release(GraphAllocation& allocation);  // false: it was not held

  // CUgraphMem_attribute: 0 used now, 1 most used, 2 reserved now, 3 most reserved.
  uint64_t Attribute(int attribute);
  // Gives back the pages of what is not held. `drain` waits for everything issued.
  void Trim(const DeviceMemory::Drain& drain);
  // Ends allocations that no node and no launch knows any more. Tasks of the scheduler never call it: it waits for
  // them.
  void Collect(const DeviceMemory::Drain& drain);

  // Ends all of it, held or not; nothing uses it any more.
  void RemoveAll();

 private:
  void Unmap(GraphAllocation& allocation, const DeviceMemory::Drain& drain);

  DeviceMemory& memory_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<GraphAllocation>> allocations_;
  uint64_t used_ = 0, most_used_ = 0, reserved_ = 0, most_reserved_ = 0;
};

}  // namespace mignificient::cpu
