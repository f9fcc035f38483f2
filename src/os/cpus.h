// How many processors this process may use, and so whether a thread may look again and again for what comes soon.
#pragma once

#include <optional>
#include <string>

namespace mignificient::os {

// Those that its affinity and the quotas of its control groups leave it. At least 1.
int AvailableCpus();

// Threads that look again for a millisecond do not take the processor from those they wait for.
inline bool CpusToSpare() {
  constexpr int kMany = 8;
  static const bool many = AvailableCpus() >= kMany;
  return many;
}

// Processors' worth of time that the strictest of this process' control groups allows (versions 1 and 2; cpu.max of
// kernel.org's cgroup-v2.rst, cpu.cfs_quota_us of sched-bwc.rst). nullopt: no limit.
std::optional<double> CpuQuota(const std::string& groups = "/proc/self/cgroup",
                               const std::string& mounted = "/sys/fs/cgroup");

}  // namespace mignificient::os
