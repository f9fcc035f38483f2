// Names for objects that the client creates without asking: streams, events, pools. A slot is used again under a new
// generation, so that a stale handle is noticed. Thread-safe; finding takes no lock.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "remoting/wire/attach.h"

namespace mignificient::client {

template <typename Info>
class HandleNames {
 public:
  constexpr explicit HandleNames(wire::HandleKind kind) : kind_(kind) {}
  ~HandleNames() {
    for (std::atomic<Entry*>& page : pages_) delete[] page.load(std::memory_order_relaxed);
  }

  // A name for Info(args...).
  template <typename... Args>
  uint64_t Create(Args&&... args) {
    const std::lock_guard lock(lock_);
    const uint32_t slot = TakeSlot();
    Entry& entry = *EntryOf(slot);
    entry.generation = (entry.generation + 1) & 0xffffff;
    std::destroy_at(&entry.info);
    std::construct_at(&entry.info, std::forward<Args>(args)...);
    const uint64_t name = wire::PackHandle({kind_, entry.generation, slot});
    entry.name.store(name, std::memory_order_release);  // pairs with Find
    return name;
  }

  // Null: there is none of that name. What is found stays where it is; it may be named anew once it is destroyed, which
  // the program must not do while it still uses the handle.
  Info* Find(uint64_t name) {
    const wire::Handle handle = wire::UnpackHandle(name);
    if (handle.kind != kind_) return nullptr;
    Entry* entry = EntryOf(handle.slot);
    if (entry == nullptr || entry->name.load(std::memory_order_acquire) != name) return nullptr;
    return &entry->info;
  }

  // Call after the object's last command is written: the slot may be named anew at once.
  bool Destroy(uint64_t name) {
    const std::lock_guard lock(lock_);
    if (Find(name) == nullptr) return false;
    const uint32_t slot = wire::UnpackHandle(name).slot;
    EntryOf(slot)->name.store(0, std::memory_order_release);
    free_.push_back(slot);
    return true;
  }

 private:
  struct Entry {
    std::atomic<uint64_t> name{0};  // 0: free
    uint32_t generation = 0;        // guarded by lock_
    Info info{};
  };
  // Page k holds twice as many as page k - 1, so that entries never move.
  static constexpr int kFirstPageBits = 6;

  // Null: no such slot was ever in use.
  Entry* EntryOf(uint32_t slot) {
    const uint64_t position = uint64_t{slot} + (1u << kFirstPageBits);
    const int bits = std::bit_width(position) - 1;
    Entry* page = pages_[bits - kFirstPageBits].load(std::memory_order_acquire);  // pairs with TakeSlot
    return page == nullptr ? nullptr : &page[position - (uint64_t{1} << bits)];
  }

  uint32_t TakeSlot() {
    if (!free_.empty()) {
      const uint32_t slot = free_.back();
      free_.pop_back();
      return slot;
    }
    const uint32_t slot = used_++;
    if (EntryOf(slot) == nullptr) {
      const int bits = std::bit_width(uint64_t{slot} + (1u << kFirstPageBits)) - 1;
      pages_[bits - kFirstPageBits].store(new Entry[uint64_t{1} << bits], std::memory_order_release);
    }
    return slot;
  }

  const wire::HandleKind kind_;
  std::mutex lock_;
  std::array<std::atomic<Entry*>, 33 - kFirstPageBits> pages_{};
  uint32_t used_ = 0;           // slots that were ever in use; guarded by lock_
  std::vector<uint32_t> free_;  // guarded by lock_
};

}  // namespace mignificient::client
