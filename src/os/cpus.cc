#include "os/cpus.h"

#include <sched.h>

#include <algorithm>

namespace mignificient::os {

int AvailableCpus() {
  cpu_set_t set;
  return ::sched_getaffinity(0, sizeof set, &set) == 0 ? std::max(CPU_COUNT(&set), 1) : 1;
}

}  // namespace mignificient::os
