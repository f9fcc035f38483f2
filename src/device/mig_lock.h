// One process at a time partitions the GPUs of a machine: `mig apply`, or a node with mig.auto. What it has read and
// planned is then still so when it is carried out.
#pragma once

#include "base/result.h"
#include "device/nvml.h"
#include "os/unique_fd.h"

namespace mignificient::device {

// Held until the descriptor is closed, at the latest by the end of the process. Does not wait: kExhausted, with the pid
// of who holds it; kForbidden without the right to take it. A GPU that is only played in memory has nothing to hold.
Result<os::UniqueFd> LockMig(const Nvml& nvml);

}  // namespace mignificient::device
