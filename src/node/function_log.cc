#include "node/function_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/utf8.h"

namespace mignificient::node {
namespace {

constexpr size_t kTailBytes = 4096;
constexpr int kPumpsAtOnce = 16;  // a function that prints without end does not hold up the loop

Result<os::UniqueFd> OpenFresh(const std::string& path) {
  os::UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return FailErrno(fmt::format("opening [{}]", path), errno);
  return file;
}

}  // namespace

std::string WithLogTail(std::string sentence, const std::string& tail) {
  if (tail.empty()) return sentence;
  if (sentence.empty() || std::string_view(".!?").find(sentence.back()) == std::string_view::npos) sentence += '.';
  return sentence + " The end of its log: " + tail;
}

Result<FunctionLog> FunctionLog::Create(std::string path, uint64_t limit_bytes, os::UniqueFd pipe) {
  MIG_ASSIGN(os::UniqueFd file, OpenFresh(path));
  return FunctionLog(std::move(path), limit_bytes, std::move(pipe), std::move(file));
}

bool FunctionLog::Pump() {
  char buffer[16 << 10];
  for (int i = 0; i < kPumpsAtOnce; ++i) {
    const ssize_t size = ::read(pipe_.get(), buffer, sizeof buffer);
    if (size == 0) return false;
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    Write(buffer, static_cast<size_t>(size));
  }
  return true;
}

// A full disk loses log lines, never an invocation.
void FunctionLog::Write(const char* data, size_t size) {
  if (written_ + size > limit_ / 2) {
    std::rename(path_.c_str(), (path_ + ".1").c_str());
    if (auto fresh = OpenFresh(path_)) file_ = std::move(*fresh);
    written_ = 0;
  }
  if (const ssize_t done = ::write(file_.get(), data, size); done > 0) {
    written_ += static_cast<uint64_t>(done);
    total_ += static_cast<uint64_t>(done);
  }
  tail_.append(data, size);
  if (tail_.size() > kTailBytes) tail_.erase(0, tail_.size() - kTailBytes);
}

std::string FunctionLog::Tail() const {
  std::string text = ValidUtf8(tail_);
  for (char& c : text) {
    const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    if (control && c != '\n' && c != '\t') c = '?';
  }
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace mignificient::node
