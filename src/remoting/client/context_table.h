// The records behind context handles, and the stack of current contexts of each thread. See context.h.
//
// Records live in a fixed table and are found without a lock; their state changes under `lock`. All of it is
// constant-initialised and never destroyed: entry points are called before our constructors and after our destructors.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>

#include "abi/cuda.h"
#include "remoting/wire/attach.h"

namespace mignificient::client {

struct ContextRecord {
  // The complement of the context's handle while it lives; 0: it does not, which no handle's is.
  std::atomic<uint64_t> living{0};
  std::atomic<uint32_t> generation{0};
  std::atomic<unsigned> flags{0};
  std::atomic<int> cache_config{0};
  std::atomic<int> shared_config{1};  // four-byte banks
  std::atomic<uint64_t> id{0};
  unsigned references = 0;  // of the primary context; guarded by ContextTable::lock

  bool alive() const { return living.load(std::memory_order_acquire) != 0; }
  void End() { living.store(0, std::memory_order_release); }
};

inline constexpr uint32_t kPrimarySlot = 0;

struct ContextTable {
  std::array<ContextRecord, 1024> records;
  std::mutex lock;
  std::atomic<uint64_t> next_id{1};

  static CUcontext Handle(uint32_t slot, uint32_t generation) {
    return reinterpret_cast<CUcontext>(wire::PackHandle({wire::HandleKind::kContext, generation, slot}));
  }

  // The record of a living context; null otherwise.
  ContextRecord* Find(CUcontext context) {
    const auto name = reinterpret_cast<uint64_t>(context);
    const uint32_t slot = wire::UnpackHandle(name).slot;
    if (slot >= records.size()) return nullptr;
    ContextRecord& record = records[slot];
    return record.living.load(std::memory_order_acquire) == ~name ? &record : nullptr;
  }

  // Null when the table is full. The caller holds `lock`.
  CUcontext CreateLocked(uint32_t slot, unsigned flags);
  CUcontext CreateLocked(unsigned flags);
};

extern constinit ContextTable context_table;
inline ContextTable& Contexts() {
  return context_table;
}

// The contexts of the calling thread: the current one, and those below it (in a table of the thread's, once there are).
struct ContextStack {
  static constexpr int kMaxDepth = 64;
  CUcontext top = nullptr;  // null: none
  int depth = 0;

  bool Push(CUcontext context);  // false: it is full
  void Pop();                    // it is not empty
};
extern constinit thread_local ContextStack current_stack;

}  // namespace mignificient::client
