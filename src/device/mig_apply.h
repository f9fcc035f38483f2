// Brings the GPUs into the state that a configuration asks for: first a plan for all of them, then its steps, undone
// again when one of them fails. Never resets a GPU.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "device/mig_config.h"
#include "device/mig_state.h"

namespace mignificient::device {

// What is to be done to one GPU.
struct GpuPlan {
  uint32_t gpu = 0;
  std::optional<bool> set_mode;  // to MIG mode on or off; off comes after the instances are gone
  // The instances are planned once MIG mode is on: until then the driver does not say which profiles there are.
  bool instances_follow_mode = false;
  ProfileCounts wanted;
  InstancePlan instances;

  bool Empty() const { return !set_mode && instances.Empty() && !instances_follow_mode; }
};

// One for each GPU that the configuration names; where several entries name a GPU, the last one counts. An error, which
// names the GPU, if any of them cannot be brought there: then nothing may be done to any.
Result<std::vector<GpuPlan>> PlanMig(const std::vector<GpuMig>& gpus, const MigConfig& config);

// How the GPUs differ from what the configuration asks for, one sentence each; none: they are as it says. As in
// nvidia-mig-parted, each GPU must be named by the configuration.
std::vector<std::string> DifferencesFrom(const std::vector<GpuMig>& gpus, const MigConfig& config);

// The GPUs as one configuration, in nvidia-mig-parted's words.
MigConfig ExportMig(const std::vector<GpuMig>& gpus);

// Something that runs on a partition: a container of the node.
struct Occupant {
  std::string what;       // "container c-1 of user demo"
  std::string partition;  // UUID
};

// Why the plans may not be carried out now, one sentence each: processes and occupants on GPUs that they change. An
// occupant of a partition that is on none of `gpus` counts for all of them.
std::vector<std::string> Obstacles(const std::vector<GpuMig>& gpus, const std::vector<GpuPlan>& plans,
                                   const std::vector<Occupant>& occupants);

// What the plans will do, one sentence for each step.
std::vector<std::string> DescribePlans(const std::vector<GpuMig>& gpus, const std::vector<GpuPlan>& plans);

struct ApplyReport {
  std::vector<std::string> done;     // steps that hold, one sentence each
  std::vector<std::string> pending;  // changes of MIG mode that wait for an idle GPU or a reset; nothing else was done
  std::optional<Error> failure;      // of a step, after which the earlier ones were undone
  std::vector<std::string> left;     // what then still differs from before, one sentence for each GPU; none: nothing
};

ApplyReport ApplyMig(Nvml& nvml, const std::vector<GpuMig>& gpus, const std::vector<GpuPlan>& plans);

}  // namespace mignificient::device
