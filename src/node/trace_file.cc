#include "node/trace_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/log.h"

namespace mignificient::node {
namespace {

bool WriteAll(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

void LogFailure(const std::string& path, int error) {
  log::Warning("trace_failed", {{"file", path}, {"error", std::strerror(error)}});
}

}  // namespace

Result<std::unique_ptr<TraceFile>> TraceFile::Create(const std::string& path, uint64_t limit_bytes) {
  os::UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
  if (!file) return FailErrno(fmt::format("opening the trace [{}] (key trace.file)", path), errno);
  return std::unique_ptr<TraceFile>(new TraceFile(std::move(file), path, limit_bytes));
}

TraceFile::TraceFile(os::UniqueFd file, std::string path, uint64_t limit_bytes)
    : file_(std::move(file)), path_(std::move(path)), limit_bytes_(limit_bytes), thread_([this] { Write(); }) {}

TraceFile::~TraceFile() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_one();
  thread_.join();
  log::Info("trace_closed", {{"file", path_}, {"bytes", accepted_bytes_}, {"dropped", dropped_}});
}

bool TraceFile::Append(std::string_view text, Weight weight) {
  const bool optional = weight == Weight::kOptional;
  if (failed_.load(std::memory_order_relaxed)) return NoteDrop("the file cannot be written"), false;
  if (optional && accepted_bytes_ + text.size() > limit_bytes_) return NoteDrop("trace.limit is reached"), false;
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    wake = asleep_;
    if (!optional || pending_.size() + text.size() <= kMostPendingBytes)
      pending_ += text;
    else
      text = {};
    asleep_ = false;
  }
  if (wake) changed_.notify_one();
  if (text.empty()) return NoteDrop("the file is written too slowly"), false;
  accepted_bytes_ += text.size();
  return true;
}

void TraceFile::NoteDrop(const char* why) {
  if (dropped_++ == 0) log::Warning("trace_drops", {{"file", path_}, {"limit", limit_bytes_}, {"reason", why}});
}

void TraceFile::Write() {
  std::string text;
  std::unique_lock lock(mutex_);
  for (;;) {
    while (pending_.empty() && !closing_) {
      asleep_ = true;
      changed_.wait(lock);
    }
    asleep_ = false;
    if (pending_.empty()) return;
    text.clear();
    text.swap(pending_);
    lock.unlock();
    if (!failed_.load(std::memory_order_relaxed) && !WriteAll(file_.get(), text)) {
      LogFailure(path_, errno);
      failed_.store(true, std::memory_order_relaxed);
    }
    lock.lock();
  }
}

}  // namespace mignificient::node
