// What loading and linking share: a client's image, and the options and logs of the compiler.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/result.h"
#include "os/mapping.h"
#include "remoting/wire/commands.h"

namespace mignificient::server {

inline constexpr uint64_t kImageLimit = uint64_t{2} << 30;

// A read-only mapping of a sealed image.
class ImageMapping {
 public:
  static Result<ImageMapping> Create(int fd, uint64_t bytes) {
    MIG_ASSIGN(const uint64_t size, os::SealedSize(fd));
    if ((::fcntl(fd, F_GET_SEALS) & F_SEAL_WRITE) == 0)
      return Fail(Code::kPeer, "Image is not sealed against writing.");
    if (bytes == 0 || bytes > size || bytes > kImageLimit)
      return Fail(Code::kPeer, "Image has {} bytes (descriptor {}, limit {}).", bytes, size, kImageLimit);
    void* data = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (data == MAP_FAILED) return FailErrno("mmap", errno);
    return ImageMapping({static_cast<std::byte*>(data), bytes});
  }
  ImageMapping(ImageMapping&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  ImageMapping& operator=(ImageMapping&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~ImageMapping() {
    if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  explicit ImageMapping(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::span<const std::byte> bytes_;
};

// CUjit_option values that carry a number, not a pointer of the client's.
inline bool IsNumber(int option) {
  constexpr int kNumbers[] = {0, 1, 7, 8, 9, 10, 11, 12, 13, 14, 20, 21, 22, 23, 24, 30, 31, 32, 33};
  return std::find(std::begin(kNumbers), std::end(kNumbers), option) != std::end(kNumbers);
}

// The options as the driver takes them, with log buffers of our own.
struct JitOptions {
  std::vector<int> names;
  std::vector<void*> values;
  std::unique_ptr<char[]> logs[2];
  int size_index[2] = {-1, -1};

  void Add(int name, uint64_t value) {
    names.push_back(name);
    values.push_back(reinterpret_cast<void*>(value));
  }
  void AddLog(int which, uint32_t bytes) {
    constexpr int kBuffer[2] = {3, 5}, kBytes[2] = {4, 6};  // CU_JIT_INFO_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER
    if (bytes == 0) return;
    logs[which] = std::make_unique<char[]>(bytes);
    Add(kBuffer[which], reinterpret_cast<uint64_t>(logs[which].get()));
    size_index[which] = static_cast<int>(names.size());
    Add(kBytes[which], bytes);
  }
  // Those of `options` that are numbers, and logs of the sizes asked for.
  void Read(const wire::JitOption* options, const wire::LoadBody& load) {
    for (uint32_t i = 0; i < load.option_count; ++i)
      if (IsNumber(options[i].option)) Add(options[i].option, options[i].value);
    AddLog(0, load.info_log_bytes);
    AddLog(1, load.error_log_bytes);
  }
  void WriteLogs(wire::LoadReply& reply) const {
    reply.info_log_bytes = LogBytes(0, wire::kMaxJitLog);
    reply.error_log_bytes = LogBytes(1, wire::kMaxJitLog);
    if (reply.info_log_bytes > 0) std::memcpy(reply.logs, logs[0].get(), reply.info_log_bytes);
    if (reply.error_log_bytes > 0) std::memcpy(reply.logs + reply.info_log_bytes, logs[1].get(), reply.error_log_bytes);
  }
  // How much the driver wrote, at most what it was given.
  uint32_t LogBytes(int which, uint32_t limit) const {
    if (size_index[which] < 0) return 0;
    return std::min(static_cast<uint32_t>(reinterpret_cast<uintptr_t>(values[size_index[which]])), limit);
  }
};

}  // namespace mignificient::server
