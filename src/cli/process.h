// A program that runs in our place, as a shell would run it: on our terminal, in our process group, with our standard
// input and whatever descriptors we inherited. os::Child is for everything else. For a process with one thread.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "os/unique_fd.h"

namespace mignificient::cli {

struct ProcessOptions {
  std::string program;                 // a path, or a name that is looked up in PATH
  std::vector<std::string> arguments;  // without the program's name
  // Variables to set; all others are inherited.
  std::vector<std::pair<std::string, std::string>> environment;
  std::vector<int> inherited_fds;  // keep their numbers in the child; every other one above 2 is close-on-exec
};

// A running child and its pidfd. The kernel kills it when this process dies; so does the destructor, which then reaps
// it.
class Process {
 public:
  // kNotFound when there is no such program, kForbidden when it cannot be executed: both known before this returns.
  static Result<Process> Start(const ProcessOptions& options);

  Process(Process&&) noexcept = default;
  Process& operator=(Process&&) noexcept = default;
  ~Process();

  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }  // readable once the child has ended

  // Does nothing once the child is reaped.
  void Signal(int signal);
  // Blocks until the child has ended. Its own status, or 128 + signal; the same from then on.
  int Wait();

 private:
  Process(pid_t pid, os::UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}

  pid_t pid_ = -1;
  os::UniqueFd pidfd_;
  std::optional<int> exit_status_;
};

}  // namespace mignificient::cli
