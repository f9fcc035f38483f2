#include "node/logs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "os/unique_fd.h"

namespace mignificient::node {
namespace {

namespace asio = boost::asio;

// Shorter than asked for where the file is. A file that is gone is an empty one: it was somebody's to remove.
Result<std::string> ReadAt(const std::string& path, uint64_t offset, size_t size) {
  const os::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file && errno == ENOENT) return std::string();
  if (!file) return FailErrno(fmt::format("opening [{}]", path), errno);
  std::string bytes(size, '\0');
  const ssize_t got = ::pread(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
  if (got < 0) return FailErrno(fmt::format("reading [{}]", path), errno);
  bytes.resize(static_cast<size_t>(got));
  return bytes;
}

uint64_t SizeOf(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 ? static_cast<uint64_t>(status.st_size) : 0;
}

}  // namespace

void Logs::Add(const std::string& container, std::string user, std::string path) {
  const auto log = std::make_shared<Log>(executor_);
  log->user = std::move(user);
  log->path = std::move(path);
  log->changed.expires_at(std::chrono::steady_clock::time_point::max());
  logs_[container] = log;
}

void Logs::Grown(const std::string& container, LogExtent extent) {
  const auto log = Find(container);
  if (!log || log->extent.total == extent.total) return;
  log->extent = extent;
  log->changed.cancel();
}

void Logs::End(const std::string& container) {
  const auto log = Find(container);
  if (!log || log->ended) return;
  log->ended = true;
  log->changed.cancel();
  ended_.push_back(container);
  while (ended_.size() > ended_limit_) {
    const std::string path = logs_.at(ended_.front())->path;
    ::unlink(path.c_str());
    ::unlink((path + ".1").c_str());
    logs_.erase(ended_.front());
    ended_.pop_front();
  }
}

std::shared_ptr<Logs::Log> Logs::Find(const std::string& container) const {
  const auto found = logs_.find(container);
  return found == logs_.end() ? nullptr : found->second;
}

Result<std::string> Logs::User(const std::string& container) const {
  if (const auto log = Find(container)) return log->user;
  return Fail(Code::kNotFound, "There is no log of a container [{}].", container);
}

uint64_t Logs::Total(const std::string& container) const {
  const auto log = Find(container);
  return log ? log->extent.total : 0;
}

bool Logs::Ended(const std::string& container) const {
  const auto log = Find(container);
  return !log || log->ended;
}

Result<LogPart> Logs::Read(const std::string& container, uint64_t from, size_t limit) const {
  const auto log = Find(container);
  if (!log) return Fail(Code::kNotFound, "There is no log of a container [{}].", container);
  const uint64_t in_file_from = log->extent.total - log->extent.in_file;
  LogPart part;
  if (from < in_file_from) {
    const std::string older = log->path + ".1";
    const uint64_t older_from = in_file_from - std::min(in_file_from, SizeOf(older));
    from = std::max(from, older_from);
    MIG_ASSIGN(part.bytes, ReadAt(older, from - older_from, std::min<uint64_t>(limit, in_file_from - from)));
    if (part.bytes.empty()) from = in_file_from;
  }
  if (from >= in_file_from) {
    from = std::min(from, log->extent.total);
    MIG_ASSIGN(part.bytes, ReadAt(log->path, from - in_file_from, std::min<uint64_t>(limit, log->extent.total - from)));
    if (part.bytes.empty()) from = log->extent.total;  // somebody shortened the file
  }
  part.next = from + part.bytes.size();
  return part;
}

asio::awaitable<void> Logs::AwaitMore(std::string container, uint64_t size,
                                      std::chrono::steady_clock::time_point deadline) const {
  const auto log = Find(container);
  if (!log) co_return;
  while (!log->ended && log->extent.total <= size && std::chrono::steady_clock::now() < deadline) {
    boost::system::error_code ignored;
    // Its own timer for the deadline: several may wait for the same change.
    asio::steady_timer& changed = log->changed;
    if (changed.expiry() > deadline || changed.expiry() <= std::chrono::steady_clock::now())
      changed.expires_at(deadline);  // wakes the others, who look again
    co_await changed.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

}  // namespace mignificient::node
