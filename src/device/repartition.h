// One GPU partitioned anew for what waits (mig_mix.h), through NVML. Blocks for as long as NVML does, 50 to 170 ms for
// each instance that is created or destroyed: not for an event loop.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "device/inventory.h"
#include "device/mig_mix.h"
#include "device/mig_state.h"
#include "device/nvml.h"

namespace mignificient::device {

// The partitions that could be made of a GPU in MIG mode: one of each profile, without a UUID. Fails where the driver
// does not tell, or only root.
Result<std::vector<Partition>> MakeableOf(Nvml& nvml, uint32_t gpu, const std::string& uuid);

// What Repartition would do if nothing ran on the GPU, one sentence for each step; nothing: it serves nothing better.
// Errors: the GPU at this index is another than `uuid`, or not in MIG mode.
Result<std::vector<std::string>> PlanRepartition(Nvml& nvml, uint32_t gpu, const std::string& uuid,
                                                 std::span<const Demand> demands);

// Waits a moment for processes that have just ended, then makes the mix. Gives what was done, one sentence for each
// step; nothing: nothing had to be. kExhausted where a process runs on the GPU, or another one partitions GPUs. After
// any error the GPU is as before, or the error says what is left.
Result<std::vector<std::string>> Repartition(Nvml& nvml, uint32_t gpu, const std::string& uuid,
                                             std::span<const Demand> demands);

}  // namespace mignificient::device
