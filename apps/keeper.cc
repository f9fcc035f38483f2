// mignificient-keeper: the parent of a container's executor. Started by the orchestrator:
//
//   mignificient-keeper PROGRAM ARGUMENT...
//
// Runs PROGRAM with the descriptors and the environment that it was given, and ends as PROGRAM ended: same exit status,
// same signal. Whatever PROGRAM leaves behind, in process groups and sessions of its own too, is killed before that,
// and when the orchestrator dies, however it dies: the kernel tells by SIGTERM, and gives orphans to this process as
// the nearest subreaper. PROGRAM dies with this process. Links libc alone: every container pays for its start.
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

constexpr int kCannotRun = 127;

[[noreturn]] void RunProgram(char** argv, pid_t keeper, const sigset_t& mask) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != keeper) _exit(kCannotRun);  // it died before the line above
  sigprocmask(SIG_SETMASK, &mask, nullptr);
  execv(argv[0], argv);
  fprintf(stderr, "Program [%s] cannot be run: %s.\n", argv[0], strerror(errno));
  _exit(kCannotRun);
}

// The channel and the output belong to the program: they are to close when it ends.
void LetGoOfDescriptors() {
  syscall(SYS_close_range, 3, ~0u, 0);
  const int null = open("/dev/null", O_RDWR);
  for (int fd = 0; fd <= 2; ++fd)
    if (null < 0 || dup2(null, fd) < 0) close(fd);
  if (null > 2) close(null);
}

void KillChildren() {
  FILE* file = fopen("/proc/thread-self/children", "re");
  if (file == nullptr) return;
  for (int pid = 0; fscanf(file, "%d", &pid) == 1;) kill(pid, SIGKILL);
  fclose(file);
}

// Children of the killed become ours: until there are none. Fills `how` where the program is among them.
void KillDescendants(pid_t program, siginfo_t& how) {
  for (;;) {
    KillChildren();
    siginfo_t one{};
    if (waitid(P_ALL, 0, &one, WEXITED) == 0) {
      if (one.si_pid == program) how = one;
    } else if (errno != EINTR) {
      return;
    }
  }
}

[[noreturn]] void EndAs(const siginfo_t& how) {
  if (how.si_code == CLD_EXITED) _exit(how.si_status);
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);  // the program has left its own
  prctl(PR_SET_DUMPABLE, 0);
  signal(how.si_status, SIG_DFL);
  // Only this one: a SIGTERM that came meanwhile must not tell another story.
  sigset_t mine;
  sigemptyset(&mine);
  sigaddset(&mine, how.si_status);
  sigprocmask(SIG_UNBLOCK, &mine, nullptr);
  raise(how.si_status);
  _exit(128 + how.si_status);
}

// Reaps what has ended; true, and how, once the program has. Leaves `how` alone otherwise.
bool Reap(pid_t program, siginfo_t& how) {
  for (;;) {
    siginfo_t one{};
    if (waitid(P_ALL, 0, &one, WEXITED | WNOHANG) != 0 || one.si_pid == 0) return false;
    if (one.si_pid != program) continue;
    how = one;
    return true;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fprintf(stderr, "mignificient-keeper is started by `mignificient serve`, not by hand.\n");
    return 2;
  }
  sigset_t awaited, before;
  sigemptyset(&awaited);
  sigaddset(&awaited, SIGTERM);
  sigaddset(&awaited, SIGCHLD);
  sigprocmask(SIG_BLOCK, &awaited, &before);
  // Until here the orchestrator's death is SIGKILL (os/child.h): there is nothing to clean up yet.
  if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
    perror("mignificient-keeper: prctl");
    return 2;
  }
  const pid_t keeper = getpid(), program = fork();
  if (program < 0) {
    perror("mignificient-keeper: fork");
    return 2;
  }
  if (program == 0) RunProgram(argv + 1, keeper, before);
  LetGoOfDescriptors();
  siginfo_t how{};
  for (;;) {
    const int signal = sigwaitinfo(&awaited, nullptr);
    if (signal == SIGTERM || (signal == SIGCHLD && Reap(program, how))) break;
  }
  KillDescendants(program, how);
  EndAs(how);
}
