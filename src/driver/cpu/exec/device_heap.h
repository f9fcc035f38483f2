// Memory that kernels allocate for themselves: malloc and free on the device. Blocks outlive the kernel, so the heap
// belongs to the context. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>

namespace mignificient::cpu {

class DeviceHeap {
 public:
  // Over [begin, begin + bytes) of memory that kernels reach; `begin` is a multiple of 16.
  DeviceHeap(uint64_t begin, uint64_t bytes) { free_.emplace(begin, bytes); }

  // A multiple of 16; 0 where there is no room.
  uint64_t Allocate(uint64_t bytes);
  // False for an address that Allocate did not give, or that is free already.
  bool Free(uint64_t address);

 private:
  std::mutex mutex_;
  std::map<uint64_t, uint64_t> free_;  // begin -> bytes; neighbours are joined
  std::map<uint64_t, uint64_t> used_;
};

}  // namespace mignificient::cpu
