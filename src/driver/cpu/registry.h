// Objects behind opaque CUDA handles. A handle is a number that was never given out before, so a stale, made-up or
// mistyped one is not found; it is never dereferenced. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace mignificient::cpu {

// Hands out handle numbers for several registries, so that a handle is valid in one of them at most.
class HandleSource {
 public:
  uint64_t Next() { return next_.fetch_add(kStride, std::memory_order_relaxed); }

 private:
  static constexpr uint64_t kStride = 16;  // looks like a pointer to programs that check alignment
  std::atomic<uint64_t> next_{0x10000};    // clear of null and of the special streams 1 and 2
};

template <typename Handle, typename T>
class Registry {
 public:
  explicit Registry(HandleSource& source) : source_(source) {}

  Handle Add(std::shared_ptr<T> object) {
    const uint64_t number = source_.Next();
    const std::lock_guard lock(mutex_);
    objects_.emplace(number, std::move(object));
    return reinterpret_cast<Handle>(number);
  }

  // Null for a handle that is not ours.
  std::shared_ptr<T> Find(Handle handle) const {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(reinterpret_cast<uint64_t>(handle));
    return found == objects_.end() ? nullptr : found->second;
  }

  std::shared_ptr<T> Remove(Handle handle) {
    const std::lock_guard lock(mutex_);
    const auto node = objects_.extract(reinterpret_cast<uint64_t>(handle));
    return node.empty() ? nullptr : std::move(node.mapped());
  }

  std::vector<std::shared_ptr<T>> RemoveAll() {
    const std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<T>> all;
    for (auto& [number, object] : objects_) all.push_back(std::move(object));
    objects_.clear();
    return all;
  }

 private:
  HandleSource& source_;
  mutable std::mutex mutex_;
  std::unordered_map<uint64_t, std::shared_ptr<T>> objects_;
};

}  // namespace mignificient::cpu
