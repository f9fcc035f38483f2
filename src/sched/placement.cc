// Where an invocation goes (DESIGN 5.1):
//   (A) an idle container of its owner on a partition that can run one more
//   (B) its owner's containers or their partitions are busy: a new container on an idle partition with room; where the
//       sharing model lets it run beside others at once, it does, and the new container is for those that come later
//   (C) else it waits for whichever of its owner's containers is idle first
//   (D) no container: a new one on an idle, else on the least busy partition with room; idle containers are ended,
//       least recently used first, where that makes room
//   (E) nothing can ever hold it: refused
// A function that names a maximum of containers wants as many: busy partitions with room hold them, too.
//
// Users take turns by their tags (fairness.h). Nothing overtakes: an invocation that waits for room blocks every
// partition that could hold it for those that come later, so the partitions drain until there is room, and nobody
// starves.
#include <algorithm>
#include <functional>
#include <string>

#include "sched/scheduler.h"

namespace mignificient::sched {
namespace {

uint64_t UsableMib(const PartitionSpec& spec) {
  return spec.memory_mib - std::min(spec.memory_mib, spec.context_mib);
}

bool Fits(const PartitionSpec& spec, const Demand& demand) {
  return Matches(spec, demand.mig_instance) && spec.memory_mib >= spec.context_mib &&
         demand.memory_mib <= UsableMib(spec);
}

// "3g.40gb with 40448 MiB, 4g.40gb with 40448 MiB": each kind once.
std::string Offers(const std::vector<PartitionSpec>& specs) {
  std::set<std::string> said;
  std::string offers;
  for (const PartitionSpec& spec : specs) {
    const std::string one = spec.instance_size + " with " + std::to_string(UsableMib(spec)) + " MiB";
    if (said.insert(one).second) offers += (offers.empty() ? "" : ", ") + one;
  }
  return offers;
}

}  // namespace

bool Matches(const PartitionSpec& partition, std::string_view mig_instance) {
  return mig_instance == "any" || mig_instance == partition.mig_size || mig_instance == partition.instance_size;
}

bool Scheduler::CouldHold(size_t partition, const Demand& demand) const {
  return partitions_[partition].open && Fits(specs_[partition], demand);
}

bool Scheduler::IsHoused(const Demand& demand) const {
  for (size_t i = 0; i < specs_.size(); ++i)
    if (CouldHold(i, demand)) return true;
  return false;
}

std::string Scheduler::WhyNever(const Demand& demand) const {
  std::vector<PartitionSpec> there;
  for (size_t i = 0; i < specs_.size(); ++i)
    if (partitions_[i].open || partitions_[i].vacant) there.push_back(specs_[i]);
  const auto fits = [&](const PartitionSpec& spec) { return Fits(spec, demand); };
  if (std::ranges::any_of(there, fits) || std::ranges::any_of(makeable_, fits)) return {};
  std::string has = " This node has: " + (there.empty() ? "no partition" : Offers(there)) + ".";
  if (!makeable_.empty()) has += " It can make: " + Offers(makeable_) + ".";
  const auto matches = [&](const PartitionSpec& spec) { return Matches(spec, demand.mig_instance); };
  if (std::ranges::none_of(there, matches) && std::ranges::none_of(makeable_, matches))
    return "No partition of this node is a mig-instance [" + demand.mig_instance + "]." + has;
  return "No partition can hold gpu-memory [" + std::to_string(demand.memory_mib) + "] MiB on mig-instance [" +
         demand.mig_instance + "]." + has;
}

bool Scheduler::Serves(const Container& container, const Group& group) const {
  const Demand& demand = group.demand;
  return container.owner == group.owner && container.state != ContainerState::kEnding &&
         container.demand.memory_mib >= demand.memory_mib &&
         Matches(specs_[container.partition], demand.mig_instance) && partitions_[container.partition].open;
}

uint64_t Scheduler::Reservation(size_t partition, const Demand& demand) const {
  const PartitionSpec& spec = specs_[partition];
  const bool has_context = spec.shares_context && partitions_[partition].of_user.contains(demand.user);
  return demand.memory_mib + (has_context ? 0 : spec.context_mib);
}

void Scheduler::PlaceWaiting() {
  std::vector<std::tuple<double, InvocationId, Group*>> firsts;  // a heap: the one whose turn is next is on top
  firsts.reserve(groups_.size());
  const auto add = [&firsts](Group& group) {
    if (group.queue.empty()) return;
    firsts.emplace_back(group.queue.front().first, group.queue.front().second, &group);
    std::ranges::push_heap(firsts, std::greater<>());
  };
  for (auto& [key, group] : groups_) add(group);
  std::set<size_t>& blocked = blocked_;
  blocked.clear();
  unserved_.clear();
  while (!firsts.empty()) {
    std::ranges::pop_heap(firsts, std::greater<>());
    Group& group = *std::get<Group*>(firsts.back());
    firsts.pop_back();
    if (group.demand.concurrency != 0 && group.owner->running >= group.demand.concurrency) continue;
    if (const auto container = IdleContainer(group, blocked)) {
      if (!partitions_[containers_.at(*container).partition].running.empty()) SpreadOut(group, blocked);
      RunIn(group, *container);
      add(group);
    } else {
      StartFor(group, blocked);
    }
  }
  ForgetEmptyGroups();
}

// The first of the group runs beside others; the next one need not, where a partition is idle.
void Scheduler::SpreadOut(const Group& group, const std::set<size_t>& blocked) {
  const Demand& demand = group.demand;
  if (HasMost(group) || group.owner->no_more || StartingFor(group) != 0) return;
  if (const auto partition = PartitionWithRoom(demand, blocked, Which::kIdle))
    StartContainer(*partition, demand, group.queue.front().second);
}

// New containers for those that no idle or starting one is for.
void Scheduler::StartFor(Group& group, std::set<size_t>& blocked) {
  const Demand& demand = group.demand;
  const OwnerState& known = *group.owner;
  for (size_t i = StartingFor(group); i < group.queue.size(); ++i) {
    if (demand.concurrency != 0 && known.running + i >= demand.concurrency) return;
    std::optional<size_t> partition;
    if (!HasContainer(group)) {
      if (!IsHoused(demand)) return;
      if (!HasMost(group) || EvictOneOf(known)) partition = PartitionWithRoom(demand, blocked, Which::kAny);
      if (!partition) return WaitForRoom(demand, blocked);
    } else if (!HasMost(group) && !known.no_more) {
      partition = PartitionForOneMore(demand, blocked);
    }
    if (!partition) return;
    StartContainer(*partition, demand, group.queue[i].second);
  }
}

void Scheduler::WaitForRoom(const Demand& demand, std::set<size_t>& blocked) {
  MakeRoom(demand, blocked);
  unserved_.insert(demand.owner);
  for (size_t i = 0; i < specs_.size(); ++i)
    if (CouldHold(i, demand)) blocked.insert(i);
}

// For an invocation that none of its owner's containers can serve, and that are as many as may be.
bool Scheduler::EvictOneOf(const OwnerState& owner) {
  for (const ContainerId id : owner.containers) {
    if (containers_.at(id).state != ContainerState::kIdle) continue;
    EvictIdle(id);
    return true;
  }
  return false;
}

void Scheduler::EvictIdle(ContainerId id) {
  EndContainer(id);
  actions_.emplace_back(std::in_place_type<Evict>, Evict{id});
}

std::optional<size_t> Scheduler::PartitionForOneMore(const Demand& demand, const std::set<size_t>& blocked) const {
  const auto idle = PartitionWithRoom(demand, blocked, Which::kIdle);
  return idle || demand.max_containers == 0 ? idle : PartitionWithRoom(demand, blocked, Which::kAny);
}

bool Scheduler::HasMost(const Group& group) const {
  const uint32_t most = group.demand.max_containers;
  return most != 0 && group.owner->containers.size() >= most;
}

size_t Scheduler::StartingFor(const Group& group) const {
  return static_cast<size_t>(std::ranges::count_if(group.owner->containers, [&](ContainerId id) {
    const Container& container = containers_.at(id);
    return container.state == ContainerState::kStarting && Serves(container, group);
  }));
}

bool Scheduler::HasContainer(const Group& group) const {
  return std::ranges::any_of(group.owner->containers,
                             [&](ContainerId id) { return Serves(containers_.at(id), group); });
}

std::optional<ContainerId> Scheduler::IdleContainer(const Group& group, const std::set<size_t>& blocked) const {
  std::optional<ContainerId> best;
  for (const ContainerId id : group.owner->containers) {
    const Container& container = containers_.at(id);
    if (container.state != ContainerState::kIdle || !Serves(container, group)) continue;
    if (blocked.contains(container.partition) || !CanRunOneMore(container.partition)) continue;
    if (!best || Load(container.partition) < Load(containers_.at(*best).partition)) best = id;
  }
  return best;
}

// The least busy one; among equals the one with the least memory, so that large requests find room later.
std::optional<size_t> Scheduler::PartitionWithRoom(const Demand& demand, const std::set<size_t>& blocked,
                                                   Which which) const {
  std::optional<size_t> best;
  for (size_t i = 0; i < specs_.size(); ++i) {
    if (blocked.contains(i) || !CouldHold(i, demand)) continue;
    if (partitions_[i].free_mib < Reservation(i, demand)) continue;
    if (which == Which::kIdle && Load(i) != 0) continue;
    if (!best || std::pair(Load(i), specs_[i].memory_mib) < std::pair(Load(*best), specs_[*best].memory_mib)) best = i;
  }
  return best;
}

// Ends idle containers on the partition where the fewest must go; none where even all of them are not enough, or where
// some are ending already.
void Scheduler::MakeRoom(const Demand& demand, const std::set<size_t>& blocked) {
  std::optional<std::vector<ContainerId>> best;
  for (size_t i = 0; i < specs_.size(); ++i) {
    if (blocked.contains(i) || !CouldHold(i, demand)) continue;
    if (HasEnding(i)) return;
    uint64_t room = partitions_[i].free_mib;
    std::vector<ContainerId> victims;
    std::map<std::string, size_t> left = partitions_[i].of_user;
    for (const ContainerId id : EvictableOn(i)) {
      if (room >= Reservation(i, demand)) break;
      victims.push_back(id);
      const Demand& freed = containers_.at(id).demand;
      const bool frees_context = !specs_[i].shares_context || (--left[freed.user] == 0 && freed.user != demand.user);
      room += freed.memory_mib + (frees_context ? specs_[i].context_mib : 0);
    }
    if (room < Reservation(i, demand)) continue;
    if (!best || victims.size() < best->size()) best = std::move(victims);
  }
  if (!best) return;
  for (const ContainerId id : *best) EvictIdle(id);
}

// Those that are kept ahead come last: an invocation that waits counts for more than one that may come.
std::vector<ContainerId> Scheduler::EvictableOn(size_t partition) const {
  std::vector<ContainerId> idle = IdleOn({partition}), kept;
  std::map<const OwnerState*, size_t> going;
  std::erase_if(idle, [&](ContainerId id) {
    const OwnerState& owner = *containers_.at(id).owner;
    if (owner.containers.size() > owner.keep + going[&owner]) return ++going[&owner], false;
    kept.push_back(id);
    return true;
  });
  idle.insert(idle.end(), kept.begin(), kept.end());
  return idle;
}

bool Scheduler::HasEnding(size_t partition) const {
  return std::ranges::any_of(containers_, [&](const auto& entry) {
    return entry.second.partition == partition && entry.second.state == ContainerState::kEnding;
  });
}

size_t Scheduler::Load(size_t partition) const {
  return partitions_[partition].running.size() + partitions_[partition].starting;
}

void Scheduler::StartContainer(size_t partition, const Demand& demand, InvocationId invocation) {
  const ContainerId id = next_container_++;
  partitions_[partition].free_mib -= Reservation(partition, demand);
  ++partitions_[partition].of_user[demand.user];
  ++partitions_[partition].starting;
  partitions_[partition].last_use = tick_;
  OwnerState& owner = OwnerOf(demand.owner);
  owner.containers.insert(id);
  containers_.emplace(id, Container{partition, &owner, demand});
  actions_.emplace_back(std::in_place_type<Start>, Start{id, invocation, partition, demand});
}

void Scheduler::StartKept() {
  for (const Keep::Wish& wish : wishes_) {
    const OwnerState& owner = OwnerOf(wish.demand.owner);
    while (owner.containers.size() < wish.containers && !owner.no_more && !unserved_.contains(wish.demand.owner)) {
      const auto partition = PartitionWithRoom(wish.demand, blocked_, Which::kAny);
      if (!partition) break;
      StartContainer(*partition, wish.demand, 0);
    }
  }
}

// What Reservation took.
void Scheduler::Free(const Container& container) {
  Partition& partition = partitions_[container.partition];
  partition.free_mib += container.demand.memory_mib;
  const auto user = partition.of_user.find(container.demand.user);
  const bool last = --user->second == 0;
  if (last) partition.of_user.erase(user);
  if (last || !specs_[container.partition].shares_context)
    partition.free_mib += specs_[container.partition].context_mib;
}

void Scheduler::RejectWhatFitsNowhere() {
  for (auto& [key, group] : groups_) {
    if (group.queue.empty() || IsHoused(group.demand)) continue;
    const std::string reason = WhyNever(group.demand);
    if (reason.empty()) {
      actions_.emplace_back(std::in_place_type<Unhoused>, Unhoused{group.queue.front().second});
      continue;
    }
    for (const auto& [tag, id] : group.queue) {
      actions_.emplace_back(std::in_place_type<Reject>, Reject{id, reason});
      groups_of_.erase(id);
      --waiting_;
    }
    group.queue.clear();
  }
}

}  // namespace mignificient::sched
