#include "device/mig_plan.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <numeric>

namespace mignificient::device {
namespace {

bool Overlap(Placement a, Placement b) {
  return a.start < b.start + b.size && b.start < a.start + a.size;
}

// The whole GPU's compute slices: those of its largest profile.
uint32_t ComputeSlices(const ProfileTable& table) {
  uint32_t most = 0;
  for (const PlacedProfile& placed : table) most = std::max(most, placed.profile.slices);
  return most;
}

uint32_t Slices(const ProfileTable& table, uint32_t profile_id) {
  const PlacedProfile* profile = FindProfile(table, profile_id);
  return profile == nullptr ? 0 : profile->profile.slices;
}

// A GPU that is being filled. Backtracks over the places of one profile after the other, hardest first.
class Filling {
 public:
  Filling(const ProfileTable& table, std::span<const MigInstance> fixed) : table_(table), free_(ComputeSlices(table)) {
    for (const MigInstance& instance : fixed) Take({instance.profile_id, instance.placement});
  }

  // Places `order[next..]`; what it chose is then in `chosen()`, in that order.
  bool Fill(std::span<const uint32_t> order, size_t next) {
    if (next == order.size()) return !overfull_;
    const PlacedProfile* profile = FindProfile(table_, order[next]);
    if (profile == nullptr || profile->profile.slices > free_ || Count(order[next]) >= profile->profile.instances)
      return false;
    // Instances of one profile are alike: trying them in another order finds nothing new.
    const bool same = next > 0 && order[next] == order[next - 1];
    const uint32_t from = same ? taken_.back().placement.start + 1 : 0;
    for (const Placement place : profile->placements) {
      if (place.start < from) continue;
      if (std::ranges::any_of(taken_, [&](const Taken& other) { return Overlap(other.placement, place); })) continue;
      Take({order[next], place});
      if (Fill(order, next + 1)) return true;
      free_ += profile->profile.slices;
      taken_.pop_back();
    }
    return false;
  }

  std::vector<Placement> Last(size_t count) const {
    std::vector<Placement> places;
    for (size_t i = taken_.size() - count; i < taken_.size(); ++i) places.push_back(taken_[i].placement);
    return places;
  }

 private:
  struct Taken {
    uint32_t profile_id;
    Placement placement;
  };

  void Take(Taken taken) {
    const uint32_t slices = Slices(table_, taken.profile_id);
    overfull_ |= slices > free_;
    free_ -= std::min(slices, free_);
    taken_.push_back(taken);
  }

  uint32_t Count(uint32_t profile_id) const {
    return static_cast<uint32_t>(std::ranges::count(taken_, profile_id, &Taken::profile_id));
  }

  const ProfileTable& table_;
  uint32_t free_;  // compute slices
  bool overfull_ = false;
  std::vector<Taken> taken_;
};

std::string Described(const ProfileTable& table, std::span<const WantedInstance> wanted) {
  std::vector<std::string> parts;
  for (const PlacedProfile& placed : table) {
    const auto count = std::ranges::count(wanted, placed.profile.id, &WantedInstance::profile_id);
    if (count > 0) parts.push_back(fmt::format("{} of {}", count, placed.profile.name));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

// Why no arrangement was found.
Error DoesNotFit(const ProfileTable& table, std::span<const WantedInstance> wanted) {
  uint32_t slices = 0;
  for (const PlacedProfile& placed : table) {
    const auto count = std::ranges::count(wanted, placed.profile.id, &WantedInstance::profile_id);
    slices += static_cast<uint32_t>(count) * placed.profile.slices;
    if (count > placed.profile.instances)
      return {Code::kExhausted, fmt::format("Of profile {} {} instances are wanted; at most {} fit on the GPU.",
                                            placed.profile.name, count, placed.profile.instances)};
  }
  if (slices > ComputeSlices(table))
    return {Code::kExhausted, fmt::format("{} need {} compute slices; the GPU has {}.", Described(table, wanted),
                                          slices, ComputeSlices(table))};
  return {Code::kExhausted,
          fmt::format("{} do not fit on the GPU together: their memory slices overlap wherever they are placed.",
                      Described(table, wanted))};
}

WantedInstance AsWanted(const MigInstance& instance) {
  return {instance.profile_id, instance.compute};
}

// `wanted` without one of each of `kept`; nullopt if one of them is not wanted.
std::optional<std::vector<WantedInstance>> Without(std::vector<WantedInstance> wanted,
                                                   std::span<const MigInstance> kept) {
  for (const MigInstance& instance : kept) {
    const auto found = std::ranges::find(wanted, AsWanted(instance));
    if (found == wanted.end()) return {};
    wanted.erase(found);
  }
  return wanted;
}

// All subsets of `count` things as bit masks: those with more of `precious`, then those with more things first.
std::vector<uint32_t> Subsets(size_t count, uint32_t precious) {
  std::vector<uint32_t> masks(size_t{1} << count);
  std::iota(masks.begin(), masks.end(), 0u);
  std::ranges::stable_sort(masks, [&](uint32_t a, uint32_t b) {
    const auto rank = [&](uint32_t mask) { return std::pair(std::popcount(mask & precious), std::popcount(mask)); };
    return rank(a) > rank(b);
  });
  return masks;
}

}  // namespace

const PlacedProfile* FindProfile(const ProfileTable& table, uint32_t id) {
  const auto found = std::ranges::find(table, id, [](const PlacedProfile& p) { return p.profile.id; });
  return found == table.end() ? nullptr : &*found;
}

const PlacedProfile* FindProfile(const ProfileTable& table, std::string_view name) {
  const auto found = std::ranges::find(table, name, [](const PlacedProfile& p) { return p.profile.name; });
  return found == table.end() ? nullptr : &*found;
}

Result<std::vector<WantedInstance>> WantedInstances(const ProfileTable& table, const ProfileCounts& counts) {
  std::vector<WantedInstance> wanted;
  std::map<uint32_t, std::vector<uint32_t>> parts;  // profile id -> compute instances smaller than it
  for (const auto& [text, count] : counts) {
    MIG_ASSIGN(const ProfileName name, ParseProfileName(text));
    const PlacedProfile* profile = FindProfile(table, name.gpu_profile);
    if (profile == nullptr) {
      std::vector<std::string_view> known;
      for (const PlacedProfile& placed : table) known.push_back(placed.profile.name);
      return Fail(Code::kInvalidArgument, "Profile {} does not exist on this GPU; it has {}.", name.gpu_profile,
                  fmt::join(known, ", "));
    }
    for (uint32_t i = 0; i < count; ++i) {
      if (name.compute_slices == name.slices)
        wanted.push_back({profile->profile.id, {name.slices}});
      else
        parts[profile->profile.id].push_back(name.compute_slices);
    }
  }
  for (auto& [profile_id, sizes] : parts) {  // largest first, each into the first with room
    std::ranges::sort(sizes, std::greater());
    const size_t first = wanted.size();
    for (const uint32_t size : sizes) {
      auto room = std::find_if(wanted.begin() + static_cast<ptrdiff_t>(first), wanted.end(), [&](const auto& other) {
        return std::reduce(other.compute.begin(), other.compute.end()) + size <= Slices(table, profile_id);
      });
      if (room == wanted.end()) room = wanted.insert(room, {profile_id, {}});
      room->compute.push_back(size);
    }
  }
  return wanted;
}

ProfileCounts CountDevices(const ProfileTable& table, std::span<const MigInstance> instances) {
  ProfileCounts counts;
  for (const MigInstance& instance : instances) {
    const PlacedProfile* profile = FindProfile(table, instance.profile_id);
    if (profile == nullptr) continue;
    for (const uint32_t slices : instance.compute)
      ++counts[ProfileName{profile->profile.name, profile->profile.slices, slices}.Text()];
  }
  return counts;
}

std::optional<std::vector<Placement>> Arrange(const ProfileTable& table, std::span<const MigInstance> fixed,
                                              std::span<const uint32_t> profile_ids) {
  // Those with the fewest and largest places first; `order[i]` is where the i-th of them stood.
  std::vector<size_t> order(profile_ids.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto rank = [&](size_t i) {
    const PlacedProfile* profile = FindProfile(table, profile_ids[i]);
    const bool known = profile != nullptr && !profile->placements.empty();
    return std::tuple(known ? ~profile->placements.front().size : 0u, known ? profile->placements.size() : 0,
                      profile_ids[i]);
  };
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return rank(a) < rank(b); });
  std::vector<uint32_t> sorted;
  for (const size_t i : order) sorted.push_back(profile_ids[i]);
  Filling filling(table, fixed);
  if (!filling.Fill(sorted, 0)) return {};
  const std::vector<Placement> chosen = filling.Last(sorted.size());
  std::vector<Placement> places(profile_ids.size());
  for (size_t i = 0; i < order.size(); ++i) places[order[i]] = chosen[i];
  return places;
}

Result<InstancePlan> PlanInstances(const ProfileTable& table, std::span<const MigInstance> existing,
                                   std::vector<WantedInstance> wanted) {
  constexpr size_t kMost = 16;  // twice what any GPU has
  if (existing.size() > kMost)
    return Fail(Code::kUnsupported, "The GPU has {} GPU instances; at most {} can be planned with.", existing.size(),
                kMost);
  uint32_t busy = 0;
  for (size_t i = 0; i < existing.size(); ++i) busy |= static_cast<uint32_t>(existing[i].busy) << i;
  for (const uint32_t mask : Subsets(existing.size(), busy)) {
    std::vector<MigInstance> kept;
    InstancePlan plan;
    for (size_t i = 0; i < existing.size(); ++i) {
      if ((mask >> i & 1) != 0)
        kept.push_back(existing[i]);
      else
        plan.destroy.push_back(existing[i].id);
    }
    const auto missing = Without(wanted, kept);
    if (!missing) continue;
    std::vector<uint32_t> profile_ids;
    for (const WantedInstance& instance : *missing) profile_ids.push_back(instance.profile_id);
    const auto places = Arrange(table, kept, profile_ids);
    if (!places) continue;
    for (size_t i = 0; i < missing->size(); ++i)
      plan.create.push_back({(*missing)[i].profile_id, (*places)[i], (*missing)[i].compute});
    return plan;
  }
  return std::unexpected(DoesNotFit(table, wanted));
}

}  // namespace mignificient::device
