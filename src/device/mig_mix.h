// `mig.auto`: which instances a GPU should have for the functions that wait. Pure; when to ask, and whether to do it,
// is for the node to decide.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "device/mig_plan.h"

namespace mignificient::device {

// Invocations that wait for an instance of one kind.
struct Demand {
  std::string mig_instance;  // as requests say it: "3g", "3g.40gb" or "any"
  uint64_t memory_mib = 0;   // what the instance must have at least
  uint32_t count = 0;
};

// Whether an instance of `profile` serves the demand.
bool Serves(const GpuProfile& profile, const Demand& demand);

// Serves more of what waits at once than the instances that exist, and as much as any mix can; of such mixes the one
// that destroys the fewest instances, then the one that takes the fewest compute slices. Busy instances are kept, serve
// nothing, and are in the way. nullopt: nothing that can be done serves more.
std::optional<InstancePlan> PlanMix(const ProfileTable& table, std::span<const MigInstance> existing,
                                    std::span<const Demand> demands);

}  // namespace mignificient::device
