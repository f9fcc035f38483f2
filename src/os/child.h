// Child processes: started fast, named by pidfd, killed with everything they started, reaped once.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "os/unique_fd.h"

namespace mignificient::os {

// How a process ended.
struct ExitStatus {
  int exit_code = 0;  // when signal is 0
  int signal = 0;
  // "was killed by signal 11 (SIGSEGV)", "exited with status 3"
  std::string Sentence() const;
};

struct FdMapping {
  int source;  // of this process; stays ours
  int target;  // in the child, without close-on-exec
};

struct ChildOptions {
  std::vector<std::string> argv;         // argv[0] is the path of the program
  std::vector<std::string> environment;  // "NAME=value"; the whole of it
  std::vector<FdMapping> fds;            // everything else but 1 and 2 is closed; 0 is /dev/null unless mapped
};

// A child process in a process group of its own. It dies (SIGKILL) when the thread that spawned it ends, so spawn from
// a thread that lives as long as the process. Destroying it kills the group and reaps (waits for) the child.
class Child {
 public:
  Child() = default;
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;
  ~Child() { Reset(); }

  // Returns once the program is executing (vfork-class: nothing is copied). Fails with the errno of the step that
  // failed in the child, execve included.
  static Result<Child> Spawn(const ChildOptions& options);

  explicit operator bool() const { return pid_ > 0; }
  pid_t pid() const { return pid_; }
  // Readable once the child has ended. -1 after it was reaped.
  int pidfd() const { return pidfd_.get(); }

  // kNotFound once the child is reaped: a pid is never signalled after reuse.
  Result<> Signal(int signal);
  // SIGKILL to the whole group, which outlives its leader until the leader is reaped. kNotFound as above.
  Result<> KillGroup();
  // Kills what is left of the group and reaps the child if it has ended; nullopt while it runs. Never blocks.
  Result<std::optional<ExitStatus>> TryReap();

  // Takes over a child of this process that it did not spawn (an orphan that was given to it).
  static Result<Child> Adopt(pid_t pid);

 private:
  Child(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  void Reset();

  pid_t pid_ = 0;
  UniqueFd pidfd_;
};

// The children of a process (of its main thread, as those are that it was given as orphans), oldest first. Empty where
// it is gone.
std::vector<pid_t> ChildrenOf(pid_t parent);

// Orphaned descendants become children of this process instead of init's.
Result<> BecomeSubreaper();

// Children of this process that are not in `known`: processes that left their group and lost their parent. Destroying
// them kills and reaps them; theirs appear at the next call.
std::vector<Child> AdoptStrangers(const std::vector<pid_t>& known);

}  // namespace mignificient::os
