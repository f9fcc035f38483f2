#include "sched/scheduler.h"

#include <algorithm>
#include <utility>

namespace mignificient::sched {

Scheduler::Scheduler(std::vector<PartitionSpec> partitions, Rules rules)
    : specs_(std::move(partitions)), rules_(std::move(rules)), order_(rules_.weights) {
  for (const PartitionSpec& spec : specs_) partitions_.emplace_back().free_mib = spec.memory_mib;
}

std::vector<Action> Scheduler::On(Event event) {
  ++tick_;
  actions_.clear();
  std::visit([this](auto& of_a_kind) { Handle(of_a_kind); }, event);
  for (size_t i = 0; i < specs_.size(); ++i) SettleOwner(i, false);
  PlaceWaiting();
  for (size_t i = 0; i < specs_.size(); ++i) SettleOwner(i, true);
  StartKept();
  return std::move(actions_);
}

void Scheduler::Handle(Arrived& event) {
  Demand& demand = event.demand;
  if (!IsHoused(demand)) {
    if (std::string reason = WhyNever(demand); !reason.empty()) {
      actions_.emplace_back(std::in_place_type<Reject>, Reject{event.invocation, std::move(reason)});
      return;
    }
    actions_.emplace_back(std::in_place_type<Unhoused>, Unhoused{event.invocation});
  }
  OwnerState& owner = OwnerOf(demand.owner);
  Group& group = groups_[{owner.number, demand.memory_mib, demand.mig_instance}];
  if (std::exchange(group.owner, &owner) == nullptr) ++owner.groups;
  group.queue.emplace_back(order_.Tag(demand.user), event.invocation);
  group.demand = std::move(demand);  // what a function says of itself may have changed: the latest counts
  groups_of_.emplace(event.invocation, &group);
  ++waiting_;
}

void Scheduler::Handle(const Started& event) {
  const auto found = containers_.find(event.container);
  if (found == containers_.end() || found->second.state != ContainerState::kStarting) return;
  found->second.state = ContainerState::kIdle;
  found->second.last_used = tick_;
  found->second.owner->tried_again = false;
  --partitions_[found->second.partition].starting;
}

void Scheduler::Handle(const Wants& event) {
  const auto found = running_.find(event.invocation);
  if (found == running_.end()) return;
  const Container& container = containers_.at(found->second.container);
  Partition& at = partitions_[container.partition];
  const bool needs = specs_[container.partition].model != SharingModel::kFullOverlap && at.owner != event.invocation &&
                     container.state == ContainerState::kRunning;
  if (needs && std::ranges::find(at.wants, event.invocation) == at.wants.end()) at.wants.push_back(event.invocation);
}

void Scheduler::Handle(const Released& event) {
  const auto found = running_.find(event.invocation);
  if (found == running_.end()) return;
  const size_t partition = containers_.at(found->second.container).partition;
  Partition& at = partitions_[partition];
  found->second.released = true;
  if (at.owner == event.invocation) at.owner.reset();
  actions_.emplace_back(std::in_place_type<SetGate>,
                        SetGate{event.invocation, found->second.container, GateOfOthers(partition)});
}

void Scheduler::Handle(const QuantumOver& event) {
  for (Partition& at : partitions_)
    if (at.owner == event.invocation) at.quantum_over = true;
}

void Scheduler::Handle(const Finished& event) {
  const auto found = running_.find(event.invocation);
  if (found == running_.end()) return;
  order_.Took(found->second.user, event.microseconds);
  const ContainerId id = found->second.container;
  found->second.owner->no_more = false;
  Leave(event.invocation);
  Container& container = containers_.at(id);
  if (container.state != ContainerState::kRunning) return;
  container.state = ContainerState::kIdle;
  container.last_used = tick_;
}

void Scheduler::Handle(const Withdrawn& event) {
  const auto found = groups_of_.find(event.invocation);
  if (found == groups_of_.end()) return;
  std::erase_if(found->second->queue, [&](const auto& entry) { return entry.second == event.invocation; });
  groups_of_.erase(found);
  --waiting_;
}

void Scheduler::Handle(const Ending& event) {
  const auto found = containers_.find(event.container);
  if (found == containers_.end() || found->second.state == ContainerState::kEnding) return;
  const bool had_started = found->second.state != ContainerState::kStarting;
  OwnerState& owner = *found->second.owner;
  EndContainer(event.container);
  if (had_started) return;
  if (event.others_fault && !std::exchange(owner.tried_again, true)) return;
  owner.no_more = true;
  if (owner.containers.empty()) AbandonAll(owner, event.container);
}

// A running invocation keeps the GPU until Gone: its work is only over when its processes are.
void Scheduler::EndContainer(ContainerId id) {
  Container& container = containers_.at(id);
  Partition& at = partitions_[container.partition];
  if (container.state == ContainerState::kStarting) {
    --at.starting;
    at.last_use = tick_;
  }
  container.state = ContainerState::kEnding;
  container.owner->containers.erase(id);
  std::erase_if(at.wants, [&](InvocationId invocation) { return running_.at(invocation).container == id; });
}

void Scheduler::AbandonAll(const OwnerState& owner, ContainerId container) {
  for (auto& [key, group] : groups_) {
    if (group.owner != &owner) continue;
    for (const auto& [tag, id] : group.queue) {
      actions_.emplace_back(std::in_place_type<Abandon>, Abandon{id, container});
      groups_of_.erase(id);
      --waiting_;
    }
    group.queue.clear();
  }
}

void Scheduler::Handle(const Gone& event) {
  Handle(Ending{event.container});
  const auto found = containers_.find(event.container);
  if (found == containers_.end()) return;
  const std::string owner = found->second.demand.owner;
  for (auto it = running_.begin(); it != running_.end();) {
    const auto invocation = it++;
    if (invocation->second.container == event.container) Leave(invocation->first);
  }
  Free(found->second);
  containers_.erase(found);
  Forget(owner);
}

Scheduler::OwnerState& Scheduler::OwnerOf(const std::string& name) {
  OwnerState& owner = owners_[name];
  if (owner.number == 0) owner.number = ++last_owner_;
  return owner;
}

void Scheduler::Forget(const std::string& name) {
  const auto owner = owners_.find(name);
  if (owner == owners_.end() || !owner->second.containers.empty() || owner->second.running != 0) return;
  if (owner->second.keep != 0 || owner->second.groups != 0) return;
  const bool ends =
      std::ranges::any_of(containers_, [&](const auto& entry) { return entry.second.owner == &owner->second; });
  if (!ends) owners_.erase(owner);
}

void Scheduler::ForgetEmptyGroups() {
  for (auto it = groups_.begin(); it != groups_.end();) {
    const auto entry = it++;
    Group& group = entry->second;
    if (!group.queue.empty()) continue;
    const bool last = --group.owner->groups == 0 && group.owner->containers.empty();
    const std::string owner = last ? std::move(group.demand.owner) : std::string();
    groups_.erase(entry);
    if (last) Forget(owner);
  }
}

void Scheduler::Handle(const Expired& event) {
  const auto found = containers_.find(event.container);
  if (found == containers_.end() || found->second.state != ContainerState::kIdle) return;
  const OwnerState& owner = *found->second.owner;
  if (owner.containers.size() <= owner.keep) return;
  EvictIdle(event.container);
}

void Scheduler::Handle(const Keep& event) {
  const std::vector<Keep::Wish> before = std::move(wishes_);
  wishes_ = event.wishes;
  for (const Keep::Wish& wish : before) OwnerOf(wish.demand.owner).keep = 0;
  for (const Keep::Wish& wish : wishes_) {
    OwnerState& owner = OwnerOf(wish.demand.owner);
    owner.keep = wish.containers;
    owner.no_more = false;
  }
  for (const Keep::Wish& wish : before) Forget(wish.demand.owner);
}

void Scheduler::Handle(const Opened& event) {
  const auto same = std::ranges::find(specs_, event.spec);
  if (same == specs_.end()) {
    specs_.push_back(event.spec);
    partitions_.emplace_back().free_mib = event.spec.memory_mib;
    return;
  }
  Partition& at = partitions_[static_cast<size_t>(same - specs_.begin())];
  at.open = true;
  at.vacant = false;
}

void Scheduler::Handle(const Closed& event) {
  if (event.partition >= partitions_.size()) return;
  partitions_[event.partition].open = partitions_[event.partition].vacant = false;
  RejectWhatFitsNowhere();
}

}  // namespace mignificient::sched
