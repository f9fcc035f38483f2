#include "cli/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace mignificient::cli {
namespace {

// In the child, between fork and exec: reports errno through `report` when the program cannot be executed.
[[noreturn]] void Become(const ProcessOptions& options, char* const* arguments, pid_t parent, int report) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // the parent died before it could be noticed
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  for (const int fd : options.inherited_fds) ::fcntl(fd, F_SETFD, 0);
  for (const auto& [name, value] : options.environment) ::setenv(name.c_str(), value.c_str(), 1);
  ::execvp(arguments[0], arguments);
  const int error = errno;
  [[maybe_unused]] const ssize_t written = ::write(report, &error, sizeof error);
  ::_exit(127);
}

std::unexpected<Error> NotStarted(const std::string& program, int error) {
  if (error == ENOENT) return Fail(Code::kNotFound, "Program ({}) does not exist.", program);
  return Fail(Code::kForbidden, "Program ({}) cannot be executed: {}.", program, std::strerror(error));
}

}  // namespace

Result<Process> Process::Start(const ProcessOptions& options) {
  std::vector<char*> arguments = {const_cast<char*>(options.program.c_str())};
  for (const std::string& argument : options.arguments) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  int report[2];
  if (::pipe2(report, O_CLOEXEC) != 0) return FailErrno("pipe2", errno);
  const os::UniqueFd reader(report[0]);
  os::UniqueFd writer(report[1]);

  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return FailErrno("fork", errno);
  if (pid == 0) Become(options, arguments.data(), parent, writer.get());
  // Until waitpid the number is this child's, dead or alive.
  Process child(pid, os::UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))));
  if (!child.pidfd_) return FailErrno("pidfd_open", errno);
  writer.Reset();  // so that the read below ends when exec closes the child's copy
  int error = 0;
  ssize_t got = 0;
  do got = ::read(reader.get(), &error, sizeof error);
  while (got < 0 && errno == EINTR);
  if (got == sizeof error) return NotStarted(options.program, error);
  return child;
}

Process::~Process() {
  if (!pidfd_) return;  // moved from
  Signal(SIGKILL);
  Wait();
}

void Process::Signal(int signal) {
  if (!exit_status_) ::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0);
}

int Process::Wait() {
  if (exit_status_) return *exit_status_;
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  exit_status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return *exit_status_;
}

}  // namespace mignificient::cli
