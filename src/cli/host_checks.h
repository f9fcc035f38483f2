// What the machine offers to a node: one check per thing, each tried, not guessed from versions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mignificient::cli {

enum class Health {
  kOk,
  kWarning,  // works, with less than there could be
  kMissing,  // not there
};
std::string_view Name(Health health);  // "ok", "warning", "missing"

struct Check {
  std::string name;
  Health health = Health::kOk;
  std::string found;      // a few words
  std::string advice;     // what to do; empty: nothing
  bool required = false;  // the node cannot work without it
};

Check CheckKernel();
Check CheckMemorySealing();
Check CheckPidfd();
Check CheckMembarrier();
Check CheckFutexWaitv();
Check CheckUserNamespaces();
Check CheckCgroups();
Check CheckHugePages();
Check CheckLockedMemory();
Check CheckDescriptors();
Check CheckBubblewrap();
Check CheckPython(const std::string& configured);  // a path or a name; empty: python3

// Of the files that the kernel shows; exposed for tests.
struct CgroupView {
  std::string own;          // /proc/self/cgroup
  std::string controllers;  // cgroup.controllers of the own group
  bool unified = false;     // version 2 is mounted at /sys/fs/cgroup
  bool writable = false;    // the own group's
};
Check JudgeCgroups(const CgroupView& view);
Check JudgeHugePages(std::string_view transparent, std::string_view shared);

}  // namespace mignificient::cli
