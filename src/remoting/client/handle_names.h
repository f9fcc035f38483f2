// Names for objects that the client creates without asking: streams and events. A slot is used again under a new
// generation, so that a stale handle is noticed. Thread-safe.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "remoting/wire/attach.h"

namespace mignificient::client {

template <typename Info>
class HandleNames {
 public:
  constexpr explicit HandleNames(wire::HandleKind kind) : kind_(kind) {}

  uint64_t Create(const Info& info) {
    const std::lock_guard lock(lock_);
    uint32_t slot = static_cast<uint32_t>(entries_.size());
    if (free_.empty()) {
      entries_.emplace_back();
    } else {
      slot = free_.back();
      free_.pop_back();
    }
    Entry& entry = entries_[slot];
    entry.generation = (entry.generation + 1) & 0xffffff;
    entry.info = info;
    return wire::PackHandle({kind_, entry.generation, slot});
  }

  std::optional<Info> Find(uint64_t name) {
    const std::lock_guard lock(lock_);
    Entry* entry = Lookup(name);
    return entry == nullptr ? std::nullopt : entry->info;
  }

  // Call after the object's last command is written: the slot may be named anew at once.
  bool Destroy(uint64_t name) {
    const std::lock_guard lock(lock_);
    Entry* entry = Lookup(name);
    if (entry == nullptr) return false;
    entry->info.reset();
    free_.push_back(wire::UnpackHandle(name).slot);
    return true;
  }

 private:
  struct Entry {
    uint32_t generation = 0;
    std::optional<Info> info;
  };
  Entry* Lookup(uint64_t name) {
    const wire::Handle handle = wire::UnpackHandle(name);
    if (handle.kind != kind_ || handle.slot >= entries_.size()) return nullptr;
    Entry& entry = entries_[handle.slot];
    return entry.generation == handle.generation && entry.info ? &entry : nullptr;
  }

  const wire::HandleKind kind_;
  std::mutex lock_;
  std::vector<Entry> entries_;
  std::vector<uint32_t> free_;
};

}  // namespace mignificient::client
