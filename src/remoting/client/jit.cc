#include "remoting/client/jit.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "os/mapping.h"
#include "remoting/client/copy_crew.h"

namespace mignificient::client {
namespace {

// CUjit_option values that are not plain numbers for the compiler.
enum : int { kJitInfoLog = 3, kJitInfoLogBytes = 4, kJitErrorLog = 5, kJitErrorLogBytes = 6, kJitWallTime = 2 };

constexpr size_t kBlockBytes = size_t{128} << 10;
constexpr size_t kBytesPerThread = size_t{1} << 20;

Result<> WriteAll(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return FailErrno("write", errno);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return {};
}

// Several threads at once: fresh memory costs more than copying.
Result<> FillTogether(int fd, std::span<const std::span<const std::byte>> pieces, size_t bytes) {
  if (::ftruncate(fd, static_cast<off_t>(bytes)) != 0) return FailErrno("ftruncate", errno);
  MIG_ASSIGN(const os::Mapping mapping, os::Mapping::Create(fd, bytes));
  std::vector<std::pair<std::byte*, std::span<const std::byte>>> blocks;
  std::byte* to = mapping.data();
  for (std::span<const std::byte> piece : pieces)
    for (; !piece.empty(); piece = piece.subspan(blocks.back().second.size())) {
      blocks.emplace_back(to, piece.first(std::min(piece.size(), kBlockBytes)));
      to += blocks.back().second.size();
    }
  std::atomic<size_t> next{0};
  CopyCrew::Get().Run(static_cast<int>(bytes / kBytesPerThread), [&] {
    for (size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < blocks.size();)
      std::memcpy(blocks[i].first, blocks[i].second.data(), blocks[i].second.size());
  });
  return {};
}

}  // namespace

Result<os::UniqueFd> Seal(std::span<const std::span<const std::byte>> pieces) {
  os::UniqueFd fd(::memfd_create("mignificient-image", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return FailErrno("memfd_create", errno);
  size_t bytes = 0;
  for (const auto piece : pieces) bytes += piece.size();
  if (bytes >= kBytesPerThread && CopyCrew::Get().most() > 0)
    MIG_TRY(FillTogether(fd.get(), pieces, bytes));
  else
    for (const auto piece : pieces) MIG_TRY(WriteAll(fd.get(), piece));
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
    return FailErrno("fcntl(F_ADD_SEALS)", errno);
  return fd;
}

Result<std::vector<std::byte>> ReadFile(const char* path) {
  os::UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  if (!fd) return FailErrno("open", errno);
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return FailErrno("fstat", errno);
  std::vector<std::byte> bytes(static_cast<size_t>(status.st_size) + 1);  // PTX files have no zero byte of their own
  for (size_t done = 0; done + 1 < bytes.size();) {
    const ssize_t got = ::read(fd.get(), bytes.data() + done, bytes.size() - 1 - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return FailErrno("read", got < 0 ? errno : EIO);
    done += static_cast<size_t>(got);
  }
  return bytes;
}

JitRequest::JitRequest(unsigned count, const int* names, void** values) : asked(count) {
  complete = count == 0 || (names != nullptr && values != nullptr && count <= wire::kMaxJitOptions);
  for (unsigned i = 0; complete && i < count; ++i) {
    const auto number = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(values[i]));
    switch (names[i]) {
      case kJitInfoLog:
        logs[0] = static_cast<char*>(values[i]);
        break;
      case kJitErrorLog:
        logs[1] = static_cast<char*>(values[i]);
        break;
      case kJitInfoLogBytes:
        log_bytes[0] = number, log_size_values[0] = &values[i];
        break;
      case kJitErrorLogBytes:
        log_bytes[1] = number, log_size_values[1] = &values[i];
        break;
      case kJitWallTime:
        break;  // an output that we leave as it is
      default:
        options.push_back({names[i], 0, reinterpret_cast<uint64_t>(values[i])});
    }
  }
  for (int i = 0; i < 2; ++i) log_bytes[i] = logs[i] == nullptr ? 0 : std::min(log_bytes[i], wire::kMaxJitLog);
}

void JitRequest::Deliver(const wire::LoadReply& reply) {
  const uint32_t sizes[2] = {reply.info_log_bytes, reply.error_log_bytes};
  const char* from = reply.logs;
  for (int i = 0; i < 2; ++i) {
    const uint32_t bytes = std::min(sizes[i], log_bytes[i]);
    if (bytes > 0) std::memcpy(logs[i], from, bytes);
    if (log_bytes[i] > 0) logs[i][std::min(bytes, log_bytes[i] - 1)] = '\0';
    if (log_size_values[i] != nullptr) *log_size_values[i] = reinterpret_cast<void*>(uintptr_t{bytes});
    from += std::min(sizes[i], wire::kMaxJitLog);
  }
}

}  // namespace mignificient::client
