// Objects of one connection, by typed (slot, generation). A name that is stale, of another kind, or made up is not
// found. Not thread-safe: a connection's objects live on its dispatcher thread.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "remoting/wire/attach.h"

namespace mignificient::server {

template <typename T>
class HandleTable {
 public:
  HandleTable(wire::HandleKind kind, uint32_t limit) : kind_(kind), limit_(limit) {}

  // Whether Insert would store something under that name. False: wrong kind, slot beyond the limit, or slot in use.
  bool Takes(uint64_t name) const {
    const wire::Handle handle = wire::UnpackHandle(name);
    if (handle.kind != kind_ || handle.slot >= limit_) return false;
    return handle.slot >= entries_.size() || !entries_[handle.slot].value;
  }
  // Stores `value` under a name that the client chose.
  bool Insert(uint64_t name, T value) {
    if (!Takes(name)) return false;
    const wire::Handle handle = wire::UnpackHandle(name);
    if (handle.slot >= entries_.size()) entries_.resize(handle.slot + 1);
    entries_[handle.slot] = {handle.generation, std::move(value)};
    client_names_ = true;
    return true;
  }

  // Stores `value` and names it. nullopt: the limit is reached. Use either Insert or Add on one table.
  std::optional<uint64_t> Add(T value) {
    uint32_t slot = static_cast<uint32_t>(entries_.size());
    if (!free_.empty()) {
      slot = free_.back();
      free_.pop_back();
    } else if (slot >= limit_) {
      return std::nullopt;
    } else {
      entries_.emplace_back();
    }
    Entry& entry = entries_[slot];
    entry.generation = (entry.generation + 1) & 0xffffff;
    entry.value = std::move(value);
    return wire::PackHandle({kind_, entry.generation, slot});
  }

  // Add would fail.
  bool full() const { return free_.empty() && entries_.size() >= limit_; }

  T* Find(uint64_t name) {
    const wire::Handle handle = wire::UnpackHandle(name);
    if (handle.kind != kind_ || handle.slot >= entries_.size()) return nullptr;
    Entry& entry = entries_[handle.slot];
    return entry.generation == handle.generation && entry.value ? &*entry.value : nullptr;
  }

  std::optional<T> Remove(uint64_t name) {
    if (Find(name) == nullptr) return std::nullopt;
    const uint32_t slot = wire::UnpackHandle(name).slot;
    Free(slot);
    return std::exchange(entries_[slot].value, std::nullopt);
  }

  // The name of the first entry for which `matches(T&)`; 0: none.
  template <typename Matches>
  uint64_t NameIf(Matches matches) {
    for (uint32_t slot = 0; slot < entries_.size(); ++slot)
      if (entries_[slot].value && matches(*entries_[slot].value))
        return wire::PackHandle({kind_, entries_[slot].generation, slot});
    return 0;
  }

  // Calls `visit(T&)`; entries for which it returns true are removed.
  template <typename Visit>
  void RemoveIf(Visit visit) {
    for (uint32_t slot = 0; slot < entries_.size(); ++slot) {
      if (!entries_[slot].value || !visit(*entries_[slot].value)) continue;
      entries_[slot].value.reset();
      Free(slot);
    }
  }

 private:
  struct Entry {
    uint32_t generation = 0;
    std::optional<T> value;
  };
  void Free(uint32_t slot) {
    if (!client_names_) free_.push_back(slot);
  }

  wire::HandleKind kind_;
  uint32_t limit_;
  std::vector<Entry> entries_;
  std::vector<uint32_t> free_;  // for Add
  bool client_names_ = false;
};

}  // namespace mignificient::server
