#include "device/mig_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace mignificient::device {
namespace {

// Who wrote its pid there last: the one that holds it, but for the moment in which it has yet to write.
std::string Holder(int fd) {
  char text[32] = {};
  const ssize_t got = ::pread(fd, text, sizeof text - 1, 0);
  const std::string pid(text, got > 0 ? static_cast<size_t>(got) : 0);
  return pid.empty() ? "Another process" : "Process " + pid;
}

}  // namespace

Result<os::UniqueFd> LockMig(const Nvml& nvml) {
  const std::string path = nvml.LockPath();
  if (path.empty()) return os::UniqueFd();
  os::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!fd && (errno == EACCES || errno == EPERM))
    return Fail(Code::kForbidden, "[{}] cannot be opened: only root may partition GPUs.", path);
  if (!fd) return FailErrno(fmt::format("opening [{}]", path), errno);
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK)
      return Fail(Code::kExhausted, "{} is partitioning GPUs: try again when it has done so.", Holder(fd.get()));
    if (errno != EINTR) return FailErrno(fmt::format("locking [{}]", path), errno);
  }
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(fd.get(), 0) != 0 || ::pwrite(fd.get(), pid.data(), pid.size(), 0) < 0)
    return FailErrno(fmt::format("writing [{}]", path), errno);
  return fd;
}

}  // namespace mignificient::device
