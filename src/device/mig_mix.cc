#include "device/mig_mix.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <tuple>

namespace mignificient::device {
namespace {

// How many of the instances of `profiles` can each serve one of the demands, matched as well as can be.
uint32_t Served(const ProfileTable& table, std::span<const uint32_t> profiles, std::span<const Demand> demands) {
  std::vector<std::vector<size_t>> served_by(demands.size());  // demand -> instances that serve it now
  std::vector<bool> tried;
  const std::function<bool(size_t)> assign = [&](size_t instance) {
    const PlacedProfile* profile = FindProfile(table, profiles[instance]);
    for (size_t d = 0; d < demands.size(); ++d) {
      if (tried[d] || profile == nullptr || !Serves(profile->profile, demands[d])) continue;
      tried[d] = true;
      if (served_by[d].size() < demands[d].count) {
        served_by[d].push_back(instance);
        return true;
      }
      for (size_t& other : served_by[d]) {
        if (!assign(other)) continue;  // it finds another demand, so this one takes its place
        other = instance;
        return true;
      }
    }
    return false;
  };
  uint32_t served = 0;
  for (size_t i = 0; i < profiles.size(); ++i) {
    tried.assign(demands.size(), false);
    if (assign(i)) ++served;
  }
  return served;
}

// All multisets of profiles that some demand can use, as far as compute slices go.
void EachMix(const ProfileTable& table, std::span<const Demand> demands, size_t from, uint32_t slices, size_t most,
             std::vector<uint32_t>& mix, const std::function<void(const std::vector<uint32_t>&)>& use) {
  use(mix);
  if (mix.size() == most) return;
  for (size_t i = from; i < table.size(); ++i) {
    const GpuProfile& profile = table[i].profile;
    const bool useful = std::ranges::any_of(demands, [&](const Demand& d) { return Serves(profile, d); });
    if (!useful || profile.slices > slices || std::ranges::count(mix, profile.id) >= profile.instances) continue;
    mix.push_back(profile.id);
    EachMix(table, demands, i, slices - profile.slices, most, mix, use);
    mix.pop_back();
  }
}

}  // namespace

bool Serves(const GpuProfile& profile, const Demand& demand) {
  if (demand.count == 0 || profile.memory_mib < demand.memory_mib) return false;
  return demand.mig_instance == "any" || demand.mig_instance == profile.name ||
         demand.mig_instance == fmt::format("{}g", profile.slices);
}

std::optional<InstancePlan> PlanMix(const ProfileTable& table, std::span<const MigInstance> existing,
                                    std::span<const Demand> demands) {
  uint32_t busy = 0, slices = 0;
  size_t waiting = 0;
  std::vector<uint32_t> idle_profiles;
  for (size_t i = 0; i < existing.size() && i < 16; ++i) {
    busy |= static_cast<uint32_t>(existing[i].busy) << i;
    if (!existing[i].busy) idle_profiles.push_back(existing[i].profile_id);
  }
  for (const PlacedProfile& placed : table) slices = std::max(slices, placed.profile.slices);
  for (const Demand& demand : demands) waiting += demand.count;

  // More served, fewer destroyed, fewer slices created.
  using Score = std::tuple<uint32_t, int, int>;
  Score best{Served(table, idle_profiles, demands), 0, 0};
  std::optional<InstancePlan> plan;
  std::vector<uint32_t> mix;
  EachMix(table, demands, 0, slices, std::min<size_t>(waiting, 16), mix, [&](const std::vector<uint32_t>& created) {
    int created_slices = 0;
    for (const uint32_t id : created) created_slices += static_cast<int>(FindProfile(table, id)->profile.slices);
    for (uint32_t mask = 0; mask < 1u << std::min<size_t>(existing.size(), 16); ++mask) {
      if ((mask & busy) != busy) continue;
      std::vector<MigInstance> kept;
      std::vector<uint32_t> serving = created;
      InstancePlan candidate;
      for (size_t i = 0; i < existing.size(); ++i) {
        if ((mask >> i & 1) == 0) {
          candidate.destroy.push_back(existing[i].id);
          continue;
        }
        kept.push_back(existing[i]);
        if (!existing[i].busy) serving.push_back(existing[i].profile_id);
      }
      const Score score{Served(table, serving, demands), -static_cast<int>(candidate.destroy.size()), -created_slices};
      // Nothing is changed for less than one more that is served.
      if (std::get<0>(score) <= std::get<0>(best) && !plan) continue;
      if (score <= best) continue;
      const auto places = Arrange(table, kept, created);
      if (!places) continue;
      for (size_t i = 0; i < created.size(); ++i)
        candidate.create.push_back({created[i], (*places)[i], {FindProfile(table, created[i])->profile.slices}});
      best = score;
      plan = std::move(candidate);
    }
  });
  return plan;
}

}  // namespace mignificient::device
