// Which instances of one GPU to destroy and which to create, and where, so that it has those that are wanted. Pure:
// what the driver said goes in, a plan comes out.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "device/mig_config.h"
#include "device/nvml.h"

namespace mignificient::device {

struct PlacedProfile {
  GpuProfile profile;
  std::vector<Placement> placements;  // where it may lie on an empty GPU
};
using ProfileTable = std::vector<PlacedProfile>;

// Null where there is none.
const PlacedProfile* FindProfile(const ProfileTable& table, uint32_t id);
const PlacedProfile* FindProfile(const ProfileTable& table, std::string_view name);

// A GPU instance, with the sizes of its compute instances in slices, largest first.
struct MigInstance {
  uint32_t id = 0;
  uint32_t profile_id = 0;
  Placement placement;
  std::vector<uint32_t> compute;
  bool busy = false;
};

struct WantedInstance {
  uint32_t profile_id = 0;
  std::vector<uint32_t> compute;  // largest first
  auto operator<=>(const WantedInstance&) const = default;
};

struct CreateInstance {
  uint32_t profile_id = 0;
  Placement placement;
  std::vector<uint32_t> compute;
};

// First all of `destroy` (ids), then all of `create`, in their order.
struct InstancePlan {
  std::vector<uint32_t> destroy;
  std::vector<CreateInstance> create;

  bool Empty() const { return destroy.empty() && create.empty(); }
};

// The GPU instances that hold the MIG devices of `counts`: each whole profile is one, and smaller compute instances
// (1c.3g.40gb) share as few as they fit into. kInvalidArgument for a profile that the GPU does not have.
Result<std::vector<WantedInstance>> WantedInstances(const ProfileTable& table, const ProfileCounts& counts);

// The names and counts of the MIG devices that `instances` hold: what nvidia-mig-parted compares.
ProfileCounts CountDevices(const ProfileTable& table, std::span<const MigInstance> instances);

// Keeps as many as possible of the instances that exist, busy ones first, and finds a place for the rest; if there is
// any arrangement with all of `wanted`, it finds one. kExhausted, saying what does not fit, if there is none.
// Destroying a busy instance is for the caller to refuse.
Result<InstancePlan> PlanInstances(const ProfileTable& table, std::span<const MigInstance> existing,
                                   std::vector<WantedInstance> wanted);

// Places for instances of `profile_ids` beside those in `fixed`, in the order of `profile_ids`; nullopt if there are
// none.
std::optional<std::vector<Placement>> Arrange(const ProfileTable& table, std::span<const MigInstance> fixed,
                                              std::span<const uint32_t> profile_ids);

}  // namespace mignificient::device
