// What this process has allocated: device memory inside its window, and pinned host memory shared with the server.
// Internal to the client; shared by allocation, copies and pointer queries. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>

#include "abi/cuda.h"
#include "remoting/client/address_space.h"
#include "remoting/client/lock.h"

namespace mignificient::client {

class DeviceMemory {
 public:
  DeviceMemory(Extent window, uint64_t granule, uint64_t budget)
      : sure_bytes_(budget / 2), space_(window, granule, budget) {}

  // Waits, holding nothing, where only memory whose last use may still run would do.
  using Rather = AddressSpace::Rather;
  CUresult Allocate(uint64_t bytes, CUdeviceptr& address, Rather rather = Rather::kWait);
  enum class Use { kMayGoOn, kIsOver };  // of memory that is freed
  CUresult Free(CUdeviceptr address, Use use = Use::kMayGoOn);
  // Unmaps what no allocation needs. False: there was nothing.
  bool ReleaseUnused();
  // Budget for memory that the program maps itself, and addresses for it.
  CUresult Charge(uint64_t bytes);
  void Discharge(uint64_t bytes);
  std::optional<Extent> Reserve(uint64_t bytes, uint64_t align, uint64_t hint);
  void Unreserve(Extent range);
  std::optional<Extent> Find(CUdeviceptr address);
  bool InWindow(uint64_t address) const { return space_.InWindow(address); }  // constant, so without the lock
  uint64_t UnusedBytes();
  // CU_POINTER_ATTRIBUTE_SYNC_MEMOPS of the allocation that contains `address`. False: there is none.
  bool SetSynchronous(CUdeviceptr address, bool synchronous);
  bool IsSynchronous(CUdeviceptr address);

 private:
  // Carries out the plan that `ask(passed)` makes, until it is granted or cannot be.
  template <typename Ask>
  CUresult Follow(Ask ask, AddressSpace::Plan& plan);
  CUresult CarryOut(const AddressSpace::Plan& plan);
  bool ReleaseUnusedLocked();

  // Arrays and graphs take of the budget too. While less than this is mapped, and no other process shares the session,
  // the server is not asked whether it can: a map that it must refuse would end the session.
  const uint64_t sure_bytes_;

  Lock lock_;  // also held while a plan's commands are written, so that they reach the server in plan order
  AddressSpace space_;
  std::set<uint64_t> synchronous_;  // allocations
};

// Memory of the program that the device can reach, too: what cuMemHostAlloc and cuMemAllocManaged gave out, mapped at
// one address on both sides, and memory of its own that it registered (host_register.cc).
class PinnedMemory {
 public:
  explicit PinnedMemory(Extent window) : window_(window) { addresses_.Insert(window); }

  enum class Kind { kAllocated, kManaged, kRegistered };
  struct Block {
    Extent extent;        // as the program sees it
    uint64_t device = 0;  // where the device has it; 0: nowhere, so copies are staged
    unsigned flags = 0;   // as the program gave them
    Kind kind = Kind::kAllocated;
    uint64_t inode = 0;  // registered: of the memory that replaced the program's pages
    uint64_t asked = 0;  // allocated: the bytes that the program asked for; `extent` is whole pages

    bool managed() const { return kind == Kind::kManaged; }
  };

  CUresult Allocate(uint64_t bytes, unsigned flags, Kind kind, void*& address);
  CUresult Free(const void* address, Kind kind);
  CUresult Register(void* address, uint64_t bytes, unsigned flags);
  CUresult Unregister(const void* address);

  // The block that contains `address`, be it the program's address or the device's.
  std::optional<Block> Find(uint64_t address) const;
  // Where the device has [address, address + bytes) of the program's memory; 0: not in one block, or nowhere.
  uint64_t OnDevice(const void* address, uint64_t bytes) const;
  // The program's address for what the device has at `address`; any other address is the program's already.
  uint64_t InProgram(uint64_t address) const;

  // Around a fork: registered pages are shared, and a child must not see what its parent does afterwards, nor the other
  // way round.
  void BeforeFork();
  void AfterFork();
  void InForkedChild();

 private:
  CUresult Add(const Block& block);  // CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED: overlaps another
  CUresult ShareWithServer(Block& block, Extent pages);
  std::map<uint64_t, Block>::const_iterator FindLocked(uint64_t address) const;

  const Extent window_;
  std::mutex registration_;  // one at a time; taken before lock_
  mutable std::shared_mutex lock_;
  FreeRanges addresses_;
  std::map<uint64_t, Block> blocks_;    // by the program's address
  std::map<uint64_t, uint64_t> moved_;  // device's address -> program's, of blocks where they differ
  int fork_pipe_[2] = {-1, -1};         // guarded by lock_
};

// What the program said about managed memory that is freed. Defined in managed_memory.cc.
void ForgetAdvice(Extent range);

// What a unified address means: device memory of the window, or a variable; else the program's own.
bool IsDeviceMemory(CUdeviceptr address);

// Valid once Attach() has succeeded; leaked on purpose.
DeviceMemory& TheDeviceMemory();
PinnedMemory& ThePinnedMemory();

}  // namespace mignificient::client
