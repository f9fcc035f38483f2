// The program's memory pools. Their memory comes in chunks from the device memory of this process and goes back there,
// so that an allocation is a matter of this process alone: no command, no answer. Thread-safe.
#pragma once

#include <atomic>
#include <list>
#include <map>
#include <mutex>
#include <optional>

#include "abi/cuda.h"
#include "remoting/client/fence.h"
#include "remoting/client/handle_names.h"
#include "remoting/client/lock.h"
#include "remoting/client/pool_space.h"

namespace mignificient::client {

class MemoryPools {
 public:
  MemoryPools();  // with the device's default pool

  // At most `max_bytes` of memory; 0: what the budget allows.
  CUmemoryPool Create(uint64_t max_bytes);
  // CUDA_ERROR_INVALID_VALUE: not a pool, or the default one. Its memory goes back once all of it is freed.
  CUresult Destroy(CUmemoryPool pool);
  bool Has(CUmemoryPool pool) { return names_.Find(NameOf(pool)) != nullptr; }
  CUmemoryPool Default() const { return default_; }
  CUmemoryPool Current() const { return current_.load(std::memory_order_relaxed); }
  CUresult MakeCurrent(CUmemoryPool pool);

  CUresult GetAttribute(CUmemoryPool pool, int attribute, void* value);
  CUresult SetAttribute(CUmemoryPool pool, int attribute, const void* value);
  CUresult TrimTo(CUmemoryPool pool, uint64_t keep);

  // Of `stream`, as the server knows it. Waits only where nothing but memory that other streams may still use is left.
  CUresult Allocate(CUmemoryPool pool, uint64_t bytes, uint64_t stream, CUdeviceptr& address);
  // Freed when `stream` comes to it; nullopt: nothing uses it any more. False: no pool has an allocation there.
  bool Free(CUdeviceptr address, std::optional<uint64_t> stream);

  struct Found {
    Extent extent;
    CUmemoryPool pool;
  };
  std::optional<Found> Find(CUdeviceptr address);

  // Gives back what no allocation needs, once nothing uses it any more. False: there was nothing.
  bool ReleaseUnused();

  // A synchronisation, at which pools give back what they hold beyond their release threshold.
  template <typename Wait>
  CUresult Synchronize(Wait wait) {
    if (over_.load(std::memory_order_relaxed) == 0) [[likely]]
      return wait();
    TheFences().Mark();  // complete together with what is waited for, if that is all there is
    const CUresult result = wait();
    ReleaseOver();
    return result;
  }

 private:
  struct Pool {
    explicit Pool(Extent window) : space(window) {}
    CUmemoryPool name = nullptr;
    uint64_t max_bytes = 0;
    uint64_t threshold = 0;
    int reuse[3] = {1, 1, 1};  // by attribute: permissions, of which only the second is ever made use of
    bool destroyed = false;
    bool over = false;  // counted in over_
    PoolSpace space;
  };

  static uint64_t NameOf(CUmemoryPool pool) { return reinterpret_cast<uint64_t>(pool); }
  Pool* Lookup(CUmemoryPool pool) {
    Pool* const* const found = names_.Find(NameOf(pool));
    return found == nullptr ? nullptr : *found;
  }
  Pool* Owner(CUdeviceptr address);
  void NoteOver(Pool& pool);
  bool Release(Pool& pool, uint64_t keep);
  void Sweep();  // forgets destroyed pools that are empty
  void ReleaseOver();
  bool AnyPending();
  CUresult Grow(CUmemoryPool pool, uint64_t bytes);

  std::atomic<bool> grown_{false};  // some pool has had memory
  std::atomic<int> over_{0};        // pools that hold unused memory beyond their threshold
  Lock lock_;
  HandleNames<Pool*> names_{wire::HandleKind::kMemoryPool};
  std::list<Pool> pools_;                                  // with those that are destroyed and not empty
  std::map<uint64_t, std::pair<uint64_t, Pool*>> chunks_;  // address -> bytes, whose
  CUmemoryPool default_;
  std::atomic<CUmemoryPool> current_;  // written under lock_
};

// Leaked on purpose.
MemoryPools& TheMemoryPools();

// Gives back all memory that no allocation needs, to the budget of the session. False: there was none.
bool ReleaseUnusedMemory();

// `allocate`, and once more if memory runs out and this process holds some that it does not need.
template <typename Allocate>
CUresult WithMemoryReleased(Allocate allocate) {
  const CUresult result = allocate();
  return result == CUDA_ERROR_OUT_OF_MEMORY && ReleaseUnusedMemory() ? allocate() : result;
}

}  // namespace mignificient::client
