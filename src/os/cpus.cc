#include "os/cpus.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "os/unique_fd.h"

namespace mignificient::os {
namespace {

// The beginning of a small file; empty where it cannot be read.
std::string Read(const std::string& path) {
  char text[4096];
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const ssize_t got = fd ? ::read(fd.get(), text, sizeof text) : 0;
  return got > 0 ? std::string(text, static_cast<size_t>(got)) : std::string();
}

// Of one group; files that are not there, or say `max` or -1, are no limit.
std::optional<double> QuotaOf(const std::string& folder) {
  double quota = 0, period = 0;
  if (std::sscanf(Read(folder + "/cpu.max").c_str(), "%lf %lf", &quota, &period) == 2 && period > 0)  // version 2
    return quota / period;
  if (std::sscanf(Read(folder + "/cpu.cfs_quota_us").c_str(), "%lf", &quota) == 1 && quota > 0 &&
      std::sscanf(Read(folder + "/cpu.cfs_period_us").c_str(), "%lf", &period) == 1 && period > 0)
    return quota / period;
  return std::nullopt;
}

bool NamesCpu(std::string_view controllers) {
  while (!controllers.empty()) {
    const size_t comma = std::min(controllers.find(','), controllers.size());
    if (controllers.substr(0, comma) == "cpu") return true;
    controllers.remove_prefix(std::min(comma + 1, controllers.size()));
  }
  return false;
}

}  // namespace

std::optional<double> CpuQuota(const std::string& groups, const std::string& mounted) {
  std::optional<double> least;
  const std::string text = Read(groups);
  std::string_view rest = text;
  while (!rest.empty()) {  // "0::/a/b" or "4:cpu,cpuacct:/a/b"
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    if (!controllers.empty() && !NamesCpu(controllers)) continue;
    const std::string top = controllers.empty() ? mounted : mounted + "/cpu";
    // What holds for a group holds for those in it. In a container the path may be another one's: then only the top is
    // there, which is ours.
    std::string group(line.substr(second + 1));
    for (;;) {
      const auto quota = QuotaOf(top + group);
      if (quota && (!least || *quota < *least)) least = quota;
      if (group.empty()) break;
      group.resize(group.rfind('/') == group.npos ? 0 : group.rfind('/'));
    }
  }
  return least;
}

int AvailableCpus() {
  cpu_set_t set;
  const int allowed = ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  const auto quota = CpuQuota();
  return std::max(quota ? std::min(allowed, static_cast<int>(*quota)) : allowed, 1);
}

}  // namespace mignificient::os
