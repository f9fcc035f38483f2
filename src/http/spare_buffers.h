// Memory of large bodies, used again: fresh memory costs more than the bytes that are copied into it. On one thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace mignificient::http {

class SpareBuffers {
 public:
  static constexpr size_t kSmallest = 256 << 10;  // of what is kept; what is smaller the allocator keeps
  static constexpr size_t kMostBytes = 128 << 20;

  // An empty text with room for `size` bytes where such a one is there, the smallest; else any empty text.
  std::string Take(size_t size) {
    if (size < kSmallest) return {};
    const auto fits = [size](const std::string& spare) { return spare.capacity() >= size; };
    const auto found = std::ranges::find_if(spares_, fits);
    if (found == spares_.end()) return {};
    std::string taken = std::move(*found);
    spares_.erase(found);
    bytes_ -= taken.capacity();
    return taken;
  }

  // Freed where there is enough already.
  void Give(std::string spare) {
    if (spare.capacity() < kSmallest || bytes_ + spare.capacity() > kMostBytes) return;
    spare.clear();
    bytes_ += spare.capacity();
    const auto place = std::ranges::upper_bound(spares_, spare.capacity(), {}, &std::string::capacity);
    spares_.insert(place, std::move(spare));
  }

  size_t bytes() const { return bytes_; }

 private:
  std::vector<std::string> spares_;  // the smallest first
  size_t bytes_ = 0;
};

}  // namespace mignificient::http
