// Shared memory without a name: a memfd, sealed so that neither side can resize it, mapped read-write.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"
#include "os/unique_fd.h"

namespace mignificient::os {

// A new memfd of `bytes` zero bytes, sealed against shrinking and growing, close-on-exec. `name` shows up in
// /proc/PID/maps only.
Result<UniqueFd> CreateSealedMemory(std::string_view name, uint64_t bytes);

// The size of a memfd that a peer sent. kPeer unless it is a memfd that is sealed against shrinking and growing: a
// mapping of anything else could fault under us.
Result<uint64_t> SealedSize(int fd);

// A shared read-write mapping of a whole descriptor. Movable; unmapped by its owner.
class Mapping {
 public:
  Mapping() = default;
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();

  // Maps the first `bytes` of `fd`; the descriptor may be closed afterwards.
  static Result<Mapping> Create(int fd, uint64_t bytes);
  // The same at exactly `address`, which must be free.
  static Result<Mapping> CreateAt(void* address, int fd, uint64_t bytes);

  std::byte* data() const { return data_; }
  uint64_t size() const { return size_; }
  std::span<std::byte> bytes() const { return {data_, size_}; }

 private:
  Mapping(std::byte* data, uint64_t size) : data_(data), size_(size) {}
  std::byte* data_ = nullptr;
  uint64_t size_ = 0;
};

}  // namespace mignificient::os
