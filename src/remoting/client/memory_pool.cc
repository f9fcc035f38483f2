#include "remoting/client/memory_pool.h"

#include <algorithm>

#include "remoting/client/channel.h"
#include "remoting/client/memory.h"

namespace mignificient::client {
namespace {

// Pools grow by this much or a multiple, as the driver's do.
constexpr uint64_t kChunkBytes = 32 << 20;

uint64_t RoundUp(uint64_t value, uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

}  // namespace

MemoryPools::MemoryPools() : default_(Create(0)), current_(default_) {}

CUmemoryPool MemoryPools::Create(uint64_t max_bytes) {
  const std::lock_guard lock(lock_);
  const wire::Welcome& welcome = TheChannel()->welcome();
  Pool& pool = pools_.emplace_back(Extent{welcome.window_base, welcome.window_bytes});
  pool.max_bytes = max_bytes;
  pool.name = reinterpret_cast<CUmemoryPool>(names_.Create(&pool));
  return pool.name;
}

CUresult MemoryPools::Destroy(CUmemoryPool name) {
  const std::lock_guard lock(lock_);
  Pool* pool = Lookup(name);
  if (pool == nullptr || name == default_) return CUDA_ERROR_INVALID_VALUE;
  if (current_ == name) current_ = default_;
  names_.Destroy(NameOf(name));
  pool->destroyed = true;
  pool->threshold = 0;
  Release(*pool, 0);
  Sweep();
  return CUDA_SUCCESS;
}

CUresult MemoryPools::MakeCurrent(CUmemoryPool pool) {
  const std::lock_guard lock(lock_);
  if (Lookup(pool) == nullptr) return CUDA_ERROR_INVALID_VALUE;
  current_ = pool;
  return CUDA_SUCCESS;
}

CUresult MemoryPools::GetAttribute(CUmemoryPool name, int attribute, void* value) {
  const std::lock_guard lock(lock_);
  const Pool* pool = Lookup(name);
  if (pool == nullptr || value == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const auto put = [value](uint64_t number) {
    *static_cast<uint64_t*>(value) = number;
    return CUDA_SUCCESS;
  };
  switch (attribute) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
      *static_cast<int*>(value) = pool->reuse[attribute - CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES];
      return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
      return put(pool->threshold);
    case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT:
      return put(pool->space.reserved.current);
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
      return put(pool->space.reserved.high);
    case CU_MEMPOOL_ATTR_USED_MEM_CURRENT:
      return put(pool->space.used.current);
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
      return put(pool->space.used.high);
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

CUresult MemoryPools::SetAttribute(CUmemoryPool name, int attribute, const void* value) {
  const std::lock_guard lock(lock_);
  Pool* pool = Lookup(name);
  if (pool == nullptr || value == nullptr) return CUDA_ERROR_INVALID_VALUE;
  // The highest level may be forgotten, not invented.
  const auto reset = [value](PoolSpace::Level& level) {
    if (*static_cast<const uint64_t*>(value) != 0) return CUDA_ERROR_INVALID_VALUE;
    level.Reset();
    return CUDA_SUCCESS;
  };
  switch (attribute) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
      pool->reuse[attribute - CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES] =
          *static_cast<const int*>(value) != 0 ? 1 : 0;
      return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
      pool->threshold = *static_cast<const uint64_t*>(value);
      NoteOver(*pool);
      return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
      return reset(pool->space.reserved);
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
      return reset(pool->space.used);
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

CUresult MemoryPools::TrimTo(CUmemoryPool name, uint64_t keep) {
  if (AnyPending()) TheFences().Poll();
  const std::lock_guard lock(lock_);
  Pool* pool = Lookup(name);
  if (pool == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Release(*pool, keep);
  return CUDA_SUCCESS;
}

void MemoryPools::NoteOver(Pool& pool) {
  const bool over =
      pool.space.reserved.current > pool.threshold && pool.space.used.current < pool.space.reserved.current;
  if (over != pool.over) over_.fetch_add(over ? 1 : -1, std::memory_order_relaxed);
  pool.over = over;
}

bool MemoryPools::Release(Pool& pool, uint64_t keep) {
  const std::vector<Extent> chunks = pool.space.Trim(keep, TheFences().Passed());
  for (const Extent& chunk : chunks) {
    chunks_.erase(chunk.address);
    TheDeviceMemory().Free(chunk.address, DeviceMemory::Use::kIsOver);
  }
  NoteOver(pool);
  return !chunks.empty();
}

bool MemoryPools::ReleaseUnused() {
  if (AnyPending()) TheFences().Wait(TheFences().Open());
  const std::lock_guard lock(lock_);
  bool any = false;
  for (Pool& pool : pools_) any |= Release(pool, 0);
  Sweep();
  return any;
}

void MemoryPools::ReleaseOver() {
  const std::lock_guard lock(lock_);
  for (Pool& pool : pools_)
    if (pool.over) Release(pool, pool.threshold);
  Sweep();
}

void MemoryPools::Sweep() {
  pools_.remove_if([](const Pool& pool) { return pool.destroyed && pool.space.reserved.current == 0; });
}

bool MemoryPools::AnyPending() {
  const std::lock_guard lock(lock_);
  return std::any_of(pools_.begin(), pools_.end(), [](const Pool& pool) { return pool.space.pending(); });
}

CUresult MemoryPools::Allocate(CUmemoryPool name, uint64_t bytes, uint64_t stream, CUdeviceptr& address) {
  for (bool waited = false;;) {
    bool pending = false;
    {
      const std::lock_guard lock(lock_);
      Pool* pool = Lookup(name);
      if (pool == nullptr) return CUDA_ERROR_INVALID_VALUE;
      if (const auto taken = pool->space.Take(bytes, stream, TheFences().Passed())) {
        address = *taken;
        NoteOver(*pool);
        return CUDA_SUCCESS;
      }
      pending = pool->space.pending();
    }
    if (pending) TheFences().Mark();  // so that next time other streams' frees have passed
    const CUresult grown = Grow(name, bytes);
    if (grown == CUDA_SUCCESS) continue;
    if (grown != CUDA_ERROR_OUT_OF_MEMORY || waited) return grown;
    waited = true;  // now what other streams have freed will do
    if (const CUresult result = TheFences().Wait(TheFences().Open()); result != CUDA_SUCCESS) return result;
  }
}

CUresult MemoryPools::Grow(CUmemoryPool name, uint64_t bytes) {
  const uint64_t least = RoundUp(bytes, TheChannel()->welcome().granule_bytes);
  const uint64_t rather = RoundUp(bytes, kChunkBytes);
  if (least < bytes || rather < bytes) return CUDA_ERROR_OUT_OF_MEMORY;
  const auto room = [&] {
    const std::lock_guard lock(lock_);
    const Pool* pool = Lookup(name);
    if (pool == nullptr) return uint64_t{0};
    return pool->max_bytes == 0 ? ~uint64_t{0}
                                : pool->max_bytes - std::min(pool->max_bytes, pool->space.reserved.current);
  };
  Extent chunk;
  const auto allocate = [&](uint64_t size) {
    CUdeviceptr address = 0;
    const CUresult result = size > room() ? CUDA_ERROR_OUT_OF_MEMORY
                                          : TheDeviceMemory().Allocate(size, address, DeviceMemory::Rather::kMap);
    chunk = {address, size};
    return result;
  };
  CUresult result = allocate(rather);
  if (result == CUDA_ERROR_OUT_OF_MEMORY) result = WithMemoryReleased([&] { return allocate(least); });
  if (result != CUDA_SUCCESS) return result;
  const std::lock_guard lock(lock_);
  Pool* pool = Lookup(name);
  if (pool == nullptr) {  // destroyed meanwhile
    TheDeviceMemory().Free(chunk.address, DeviceMemory::Use::kIsOver);
    return CUDA_ERROR_INVALID_VALUE;
  }
  grown_.store(true, std::memory_order_release);
  pool->space.AddChunk(chunk);
  chunks_.emplace(chunk.address, std::pair(chunk.bytes, pool));
  return CUDA_SUCCESS;
}

MemoryPools::Pool* MemoryPools::Owner(CUdeviceptr address) {
  auto it = chunks_.upper_bound(address);
  if (it == chunks_.begin()) return nullptr;
  --it;
  return address - it->first < it->second.first ? it->second.second : nullptr;
}

bool MemoryPools::Free(CUdeviceptr address, std::optional<uint64_t> stream) {
  if (!grown_.load(std::memory_order_acquire)) return false;
  if (stream && TheFences().AllComplete()) stream.reset();
  const std::lock_guard lock(lock_);
  Pool* pool = Owner(address);
  if (pool == nullptr || !pool->space.Free(address, stream.value_or(0), stream ? TheFences().Open() : 0)) return false;
  if (!pool->destroyed) {
    NoteOver(*pool);
    return true;
  }
  Release(*pool, 0);
  Sweep();
  return true;
}

std::optional<MemoryPools::Found> MemoryPools::Find(CUdeviceptr address) {
  if (!grown_.load(std::memory_order_acquire)) return std::nullopt;
  const std::lock_guard lock(lock_);
  const Pool* pool = Owner(address);
  const auto extent = pool == nullptr ? std::nullopt : pool->space.Find(address);
  if (!extent) return std::nullopt;
  return Found{*extent, pool->name};
}

bool ReleaseUnusedMemory() {
  const bool pools = TheMemoryPools().ReleaseUnused(), device = TheDeviceMemory().ReleaseUnused();
  return pools || device;
}

MemoryPools& TheMemoryPools() {
  static MemoryPools& pools = *new MemoryPools;
  return pools;
}

}  // namespace mignificient::client
