// What a container's processes print: a file of bounded size, and the tail for error answers.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "node/logs.h"
#include "os/unique_fd.h"

namespace mignificient::node {

// An error's sentence with what the function printed before, where it printed anything.
std::string WithLogTail(std::string sentence, const std::string& tail);

class FunctionLog {
 public:
  // Reads the non-blocking end of a pipe. The file holds at most `limit_bytes`: when it would grow beyond half of that
  // it becomes `path`.1 and a new one is begun.
  static Result<FunctionLog> Create(std::string path, uint64_t limit_bytes, os::UniqueFd pipe);

  int pipe() const { return pipe_.get(); }
  const std::string& path() const { return path_; }
  LogExtent extent() const { return {.total = total_, .in_file = written_}; }

  // Moves what is there into the file. False once all writers have closed.
  bool Pump();
  // Forgets the tail: what follows belongs to a new invocation.
  void Mark() { tail_.clear(); }
  // The last 4 KiB since Mark, as valid text.
  std::string Tail() const;

 private:
  FunctionLog(std::string path, uint64_t limit, os::UniqueFd pipe, os::UniqueFd file)
      : path_(std::move(path)), limit_(limit), pipe_(std::move(pipe)), file_(std::move(file)) {}
  void Write(const char* data, size_t size);

  std::string path_;
  uint64_t limit_;
  uint64_t written_ = 0;  // to the file as it is
  uint64_t total_ = 0;
  os::UniqueFd pipe_;
  os::UniqueFd file_;
  std::string tail_;
};

}  // namespace mignificient::node
