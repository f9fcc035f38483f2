#include "os/child.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace mignificient::os {
namespace {

constexpr size_t kStackBytes = 64 << 10;

// Shared with the child until it executes: the child runs in our memory while we are suspended.
struct Launch {
  char* const* argv;
  char* const* environment;
  const FdMapping* fds;
  size_t fd_count;
  pid_t parent;
  sigset_t mask;
  const char* failed_step = nullptr;
  int error = 0;
};

// Everything below until execve runs in the child on borrowed memory: system calls only, no allocation, no locks.
int GiveUp(Launch& launch, const char* step) {
  launch.failed_step = step;
  launch.error = errno;
  ::_exit(127);
}

void ResetSignals(const sigset_t& mask) {
  // Not sigaction(): ThreadSanitizer's notes handlers in memory, which is our parent's too, and it would lose its own.
  const unsigned long standard[4] = {};  // the kernel's: SIG_DFL, no flags, no mask
  for (int signal = 1; signal < NSIG; ++signal)
    if (signal != SIGKILL && signal != SIGSTOP) ::syscall(SYS_rt_sigaction, signal, standard, nullptr, NSIG / 8);
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
}

bool IsTarget(const Launch& launch, int fd) {
  for (size_t i = 0; i < launch.fd_count; ++i)
    if (launch.fds[i].target == fd) return true;
  return false;
}

// Sources may be other mappings' targets: all are moved out of the way first.
void ArrangeFds(Launch& launch) {
  int highest = 2;
  for (size_t i = 0; i < launch.fd_count; ++i) highest = std::max(highest, launch.fds[i].target);
  int moved[16];
  for (size_t i = 0; i < launch.fd_count; ++i)
    if ((moved[i] = ::fcntl(launch.fds[i].source, F_DUPFD_CLOEXEC, highest + 1)) < 0) GiveUp(launch, "fcntl");
  for (size_t i = 0; i < launch.fd_count; ++i)
    if (::dup2(moved[i], launch.fds[i].target) < 0) GiveUp(launch, "dup2");
  if (!IsTarget(launch, 0)) {
    const int null = ::open("/dev/null", O_RDONLY);  // NOLINT(android-cloexec-open): it may be 0 already
    if (null < 0) GiveUp(launch, "open /dev/null");
    if (null != 0 && ::dup2(null, 0) < 0) GiveUp(launch, "dup2");
  }
  for (int fd = 3; fd <= highest; ++fd)
    if (!IsTarget(launch, fd)) ::close(fd);
  ::syscall(SYS_close_range, highest + 1, ~0u, 0);
}

int RunChild(void* argument) {
  Launch& launch = *static_cast<Launch*>(argument);
  if (::setpgid(0, 0) != 0) GiveUp(launch, "setpgid");
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) GiveUp(launch, "prctl");
  if (::getppid() != launch.parent) ::_exit(127);  // it died before the line above
  ArrangeFds(launch);
  ResetSignals(launch.mask);
  ::execve(launch.argv[0], launch.argv, launch.environment);
  return GiveUp(launch, "execve");
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// Runs `launch` in a new process that shares our memory until it executes; we are suspended meanwhile.
pid_t CloneSuspended(Launch& launch, std::byte* stack, int& pidfd) {
  sigset_t all;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &launch.mask);
  const pid_t pid =
      ::clone(RunChild, stack + kStackBytes, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &launch, &pidfd);
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &launch.mask, nullptr);
  errno = error;
  return pid;
}

ExitStatus FromWait(const siginfo_t& info) {
  return info.si_code == CLD_EXITED ? ExitStatus{.exit_code = info.si_status} : ExitStatus{.signal = info.si_status};
}

}  // namespace

std::string ExitStatus::Sentence() const {
  if (signal == 0) return fmt::format("exited with status {}", exit_code);
  const char* name = ::sigabbrev_np(signal);
  return name != nullptr ? fmt::format("was killed by signal {} (SIG{})", signal, name)
                         : fmt::format("was killed by signal {}", signal);
}

Result<Child> Child::Spawn(const ChildOptions& options) {
  if (options.argv.empty()) return Fail(Code::kInvalidArgument, "No program is named.");
  if (options.fds.size() > 16) return Fail(Code::kInvalidArgument, "{} descriptors (limit 16).", options.fds.size());
  const std::vector<char*> argv = Pointers(options.argv), environment = Pointers(options.environment);
  Launch launch{argv.data(), environment.data(), options.fds.data(), options.fds.size(), ::getpid(), {}};
  void* stack = ::mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) return FailErrno("mmap", errno);
  int pidfd = -1;
  const pid_t pid = CloneSuspended(launch, static_cast<std::byte*>(stack), pidfd);
  const int clone_error = errno;
  ::munmap(stack, kStackBytes);
  if (pid < 0) return FailErrno("clone", clone_error);
  Child child(pid, UniqueFd(pidfd));
  if (launch.failed_step != nullptr)
    return std::unexpected(
        FailErrno(launch.failed_step, launch.error).error().While(fmt::format("starting [{}]", options.argv[0])));
  return child;
}

Child::Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, 0)), pidfd_(std::move(other.pidfd_)) {}

Child& Child::operator=(Child&& other) noexcept {
  if (this != &other) {
    Reset();
    pid_ = std::exchange(other.pid_, 0);
    pidfd_ = std::move(other.pidfd_);
  }
  return *this;
}

Result<Child> Child::Adopt(pid_t pid) {
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) return FailErrno("pidfd_open", errno);
  return Child(pid, std::move(pidfd));
}

Result<> Child::Signal(int signal) {
  if (pid_ <= 0) return Fail(Code::kNotFound, "The process is gone.");
  if (::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0) == 0) return {};
  if (errno == ESRCH) return Fail(Code::kNotFound, "Process {} is gone.", pid_);
  return FailErrno("pidfd_send_signal", errno);
}

Result<> Child::KillGroup() {
  if (pid_ <= 0) return Fail(Code::kNotFound, "The process is gone.");
  ::kill(-pid_, SIGKILL);  // the unreaped leader keeps the group's number from being reused
  return {};
}

Result<std::optional<ExitStatus>> Child::TryReap() {
  if (pid_ <= 0) return Fail(Code::kNotFound, "The process is gone.");
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0)
    return FailErrno("waitid", errno);
  if (info.si_pid == 0) return std::optional<ExitStatus>{};
  ::kill(-pid_, SIGKILL);  // what its leader left behind
  if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG) != 0) return FailErrno("waitid", errno);
  pid_ = 0;
  pidfd_.Reset();
  return FromWait(info);
}

void Child::Reset() {
  if (pid_ <= 0) return;
  ::kill(-pid_, SIGKILL);
  ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED) != 0 && errno == EINTR) {
  }
  pid_ = 0;
  pidfd_.Reset();
}

Result<> BecomeSubreaper() {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return FailErrno("prctl(PR_SET_CHILD_SUBREAPER)", errno);
  return {};
}

std::vector<pid_t> ChildrenOf(pid_t parent) {
  std::vector<pid_t> children;
  const std::string path = fmt::format("/proc/{0}/task/{0}/children", parent);
  if (FILE* file = std::fopen(path.c_str(), "re")) {
    for (int pid = 0; std::fscanf(file, "%d", &pid) == 1;) children.push_back(pid);
    std::fclose(file);
  }
  return children;
}

std::vector<Child> AdoptStrangers(const std::vector<pid_t>& known) {
  std::vector<Child> strangers;
  for (const pid_t pid : ChildrenOf(::getpid())) {
    if (std::find(known.begin(), known.end(), pid) != known.end()) continue;
    if (auto child = Child::Adopt(pid)) strangers.push_back(std::move(*child));
  }
  return strangers;
}

}  // namespace mignificient::os
