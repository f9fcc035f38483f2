#include "cli/host_checks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/futex.h>
#include <linux/magic.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "os/unique_fd.h"

namespace mignificient::cli {
namespace {

std::string FileText(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  std::string all = text.str();
  while (all.ends_with('\n')) all.pop_back();
  return all;
}

// "always [madvise] never" -> "madvise"
std::string_view Chosen(std::string_view choices) {
  const size_t begin = choices.find('['), end = choices.find(']');
  return begin == choices.npos || end == choices.npos ? std::string_view() : choices.substr(begin + 1, end - begin - 1);
}

std::string FindInPath(const std::string& name) {
  const char* path = ::getenv("PATH");
  std::stringstream folders(path != nullptr ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');)
    if (!folder.empty() && ::access((folder + "/" + name).c_str(), X_OK) == 0) return folder + "/" + name;
  return {};
}

// The exit status of what a forked child answers; the child may do what cannot be undone.
template <typename Body>
int InChild(const Body& body) {
  const pid_t child = ::fork();
  if (child < 0) return -1;
  if (child == 0) ::_exit(body());
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Check Needed(std::string name, bool there, std::string found, std::string advice) {
  return {.name = std::move(name),
          .health = there ? Health::kOk : Health::kMissing,
          .found = std::move(found),
          .advice = there ? std::string() : std::move(advice),
          .required = true};
}

std::string Bytes(rlim_t size) {
  return size == RLIM_INFINITY ? "unlimited" : fmt::format("{} MiB", size >> 20);
}

std::string OutputOf(const std::string& command) {
  std::string output;
  FILE* pipe = ::popen(command.c_str(), "re");
  if (pipe == nullptr) return output;
  char buffer[256];
  while (std::fgets(buffer, sizeof buffer, pipe) != nullptr) output += buffer;
  if (::pclose(pipe) != 0) return {};
  while (output.ends_with('\n')) output.pop_back();
  return output;
}

std::string ShellQuoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace

std::string_view Name(Health health) {
  return health == Health::kOk ? "ok" : health == Health::kWarning ? "warning" : "missing";
}

Check CheckKernel() {
  utsname name{};
  ::uname(&name);
  int major = 0, minor = 0;
  const bool known = std::sscanf(name.release, "%d.%d", &major, &minor) == 2;
  const bool recent = known && (major > 5 || (major == 5 && minor >= 16));
  return {.name = "kernel",
          .health = recent ? Health::kOk : Health::kWarning,
          .found = fmt::format("{} {}", name.sysname, name.release),
          .advice = recent ? "" : "Linux 5.16 or newer has everything that is used; the lines below were tried."};
}

Check CheckMemorySealing() {
  const os::UniqueFd memory(::memfd_create("mignificient-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  const bool sealed = memory && ::ftruncate(memory.get(), 4096) == 0 &&
                      ::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0;
  return Needed("memfd sealing", sealed, sealed ? "works" : std::strerror(errno),
                "Channels are sealed memfds: a kernel or sandbox that allows memfd_create is needed.");
}

Check CheckPidfd() {
  const os::UniqueFd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  return Needed("pidfd", static_cast<bool>(self), self ? "works" : std::strerror(errno),
                "Processes are watched through pidfds: Linux 5.3 or a sandbox that allows pidfd_open is needed.");
}

Check CheckMembarrier() {
  const long commands = ::syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
  const bool works = commands > 0 && (commands & MEMBARRIER_CMD_GLOBAL_EXPEDITED) != 0;
  return {.name = "membarrier",
          .health = works ? Health::kOk : Health::kWarning,
          .found = works ? "works" : "not there",
          .advice = works ? "" : "Each command to a GPU server costs a memory fence more."};
}

Check CheckFutexWaitv() {
  // Waits for a value that is not there: EAGAIN at once where the call exists.
  uint32_t word = 1;
  futex_waitv wait{.val = 0, .uaddr = reinterpret_cast<uint64_t>(&word), .flags = FUTEX_32, .__reserved = 0};
  const bool works = ::syscall(SYS_futex_waitv, &wait, 1, 0, nullptr, CLOCK_MONOTONIC) >= 0 || errno == EAGAIN;
  return {.name = "futex_waitv",
          .health = works ? Health::kOk : Health::kWarning,
          .found = works ? "works" : std::strerror(errno),
          .advice = works ? "" : "GPU servers look for work each millisecond while idle: Linux 5.16 avoids that."};
}

Check CheckUserNamespaces() {
  const int failed = InChild([] { return ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 ? 0 : errno; });
  return {.name = "user namespaces",
          .health = failed == 0 ? Health::kOk : Health::kMissing,
          .found = failed == 0 ? "can be made" : std::strerror(failed < 0 ? EAGAIN : failed),
          .advice = failed == 0 ? ""
                                : "Functions cannot be sandboxed without root: allow them (sysctl "
                                  "kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0, "
                                  "user.max_user_namespaces)."};
}

Check JudgeCgroups(const CgroupView& view) {
  Check check{.name = "cgroups v2"};
  if (!view.unified) {
    check.health = Health::kMissing;
    check.found = "not mounted at /sys/fs/cgroup";
    check.advice =
        "Boot with systemd.unified_cgroup_hierarchy=1; without it memory and processes of functions have no limit.";
    return check;
  }
  std::vector<std::string> lacking;
  std::stringstream words(view.controllers);
  std::vector<std::string> there;
  for (std::string word; words >> word;) there.push_back(word);
  for (const char* wanted : {"cpu", "memory", "pids"})
    if (std::find(there.begin(), there.end(), wanted) == there.end()) lacking.emplace_back(wanted);
  check.found = fmt::format("{}, controllers {}", view.writable ? "delegated" : "not delegated",
                            view.controllers.empty() ? "none" : view.controllers);
  if (view.writable && lacking.empty()) return check;
  check.health = Health::kWarning;
  check.advice = view.writable ? fmt::format("Delegate the controllers {} too.", fmt::join(lacking, ", "))
                               : "Run the node in a systemd service with Delegate=yes.";
  return check;
}

Check CheckCgroups() {
  CgroupView view;
  struct statfs mount{};
  view.unified = ::statfs("/sys/fs/cgroup", &mount) == 0 && mount.f_type == CGROUP2_SUPER_MAGIC;
  view.own = FileText("/proc/self/cgroup");
  const size_t at = view.own.find("0::");
  const std::string group = at == view.own.npos ? "/" : view.own.substr(at + 3, view.own.find('\n', at) - at - 3);
  const std::string folder = "/sys/fs/cgroup" + group;
  view.controllers = FileText(folder + "/cgroup.controllers");
  view.writable = ::access(folder.c_str(), W_OK) == 0 && ::access((folder + "/cgroup.procs").c_str(), W_OK) == 0;
  return JudgeCgroups(view);
}

Check JudgeHugePages(std::string_view transparent, std::string_view shared) {
  const std::string_view own = Chosen(transparent), of_shared = Chosen(shared);
  const bool works = of_shared == "always" || of_shared == "within_size" || of_shared == "advise";
  return {.name = "huge pages",
          .health = works ? Health::kOk : Health::kWarning,
          .found = fmt::format("transparent {}, shared memory {}", own.empty() ? "none" : own,
                               of_shared.empty() ? "none" : of_shared),
          .advice = works ? ""
                          : "Large payloads and copies touch more pages: echo advise "
                            ">/sys/kernel/mm/transparent_hugepage/shmem_enabled"};
}

Check CheckHugePages() {
  const std::string folder = "/sys/kernel/mm/transparent_hugepage/";
  return JudgeHugePages(FileText(folder + "enabled"), FileText(folder + "shmem_enabled"));
}

Check CheckLockedMemory() {
  rlimit limit{};
  ::getrlimit(RLIMIT_MEMLOCK, &limit);
  const bool enough = limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= (1ull << 30) || ::geteuid() == 0;
  return {.name = "locked memory",
          .health = enough ? Health::kOk : Health::kWarning,
          .found = fmt::format("limit {}", Bytes(limit.rlim_cur)),
          .advice = enough ? "" : "Pinned host memory may be refused: LimitMEMLOCK=infinity, or ulimit -l unlimited."};
}

Check CheckDescriptors() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const bool enough = limit.rlim_max >= 65536;
  return {.name = "open files",
          .health = enough ? Health::kOk : Health::kWarning,
          .found = fmt::format("limit {}", limit.rlim_max),
          .advice = enough ? "" : "A container takes about ten, a connection one: LimitNOFILE=1048576, or ulimit -Hn."};
}

Check CheckBubblewrap() {
  const std::string path = FindInPath("bwrap");
  return {.name = "bubblewrap",
          .health = path.empty() ? Health::kWarning : Health::kOk,
          .found = path.empty() ? "no bwrap in the PATH" : path,
          .advice = path.empty() ? "Sandboxes of functions will need it: apt-get install bubblewrap" : ""};
}

Check CheckPython(const std::string& configured) {
  const std::string name = configured.empty() ? "python3" : configured;
  const std::string path = name.starts_with('/') ? name : FindInPath(name);
  const std::string version =
      path.empty() ? std::string()
                   : OutputOf(ShellQuoted(path) + " -I -c 'import sys; print(\"%d.%d.%d\" % sys.version_info[:3])'");
  int major = 0, minor = 0;
  const bool works =
      std::sscanf(version.c_str(), "%d.%d", &major, &minor) == 2 && (major > 3 || (major == 3 && minor >= 9));
  return {.name = "python",
          .health = works ? Health::kOk : Health::kWarning,
          .found = version.empty() ? fmt::format("{} does not run", name) : fmt::format("{} {}", path, version),
          .advice = works ? "" : "Python functions need Python 3.9 or newer: executor.python names the interpreter."};
}

}  // namespace mignificient::cli
