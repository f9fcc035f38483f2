// Where an invocation goes (DESIGN 5.1):
//   (A) an idle container of its owner on an idle partition
//   (C) else the queue of its owner's container whose partition is least busy
//   (D) no container: a new one on an idle, else on the least busy partition with room; idle containers are ended,
//       least recently used first, where that makes room
//   (E) nothing can ever hold it: refused
// Nothing overtakes: an invocation that waits for room blocks every partition that could hold it for those that came
// later, so the partitions drain until there is room, and nobody starves.
#include <algorithm>
#include <string>

#include "sched/scheduler.h"

namespace mignificient::sched {

bool Matches(const PartitionSpec& partition, std::string_view mig_instance) {
  return mig_instance == "any" || mig_instance == partition.mig_size || mig_instance == partition.instance_size;
}

bool Scheduler::CouldHold(size_t partition, const Demand& demand) const {
  const PartitionSpec& spec = specs_[partition];
  return Matches(spec, demand.mig_instance) && spec.memory_mib >= spec.context_mib &&
         demand.memory_mib <= spec.memory_mib - spec.context_mib;
}

std::string Scheduler::WhyNever(const Demand& demand) const {
  std::string offers;
  bool matches = false;
  for (size_t i = 0; i < specs_.size(); ++i) {
    if (CouldHold(i, demand)) return {};
    matches |= Matches(specs_[i], demand.mig_instance);
    const uint64_t usable = specs_[i].memory_mib - std::min(specs_[i].memory_mib, specs_[i].context_mib);
    offers += (offers.empty() ? "" : ", ") + specs_[i].instance_size + " with " + std::to_string(usable) + " MiB";
  }
  const std::string has = " This node has: " + (offers.empty() ? "no partition" : offers) + ".";
  if (!matches) return "No partition of this node is a mig-instance [" + demand.mig_instance + "]." + has;
  return "No partition can hold gpu-memory [" + std::to_string(demand.memory_mib) + "] MiB on mig-instance [" +
         demand.mig_instance + "]." + has;
}

bool Scheduler::Serves(const Container& container, const Demand& demand) const {
  return container.owner == demand.owner && container.state != ContainerState::kEnding &&
         container.budget_mib >= demand.memory_mib && Matches(specs_[container.partition], demand.mig_instance);
}

void Scheduler::PlaceWaiting() {
  std::set<size_t> blocked;
  for (const InvocationId id : std::deque<InvocationId>(waiting_for_room_)) {
    if (Place(id, blocked)) {
      std::erase(waiting_for_room_, id);
      continue;
    }
    const Demand& demand = invocations_.at(id).demand;
    MakeRoom(demand, blocked);
    for (size_t i = 0; i < specs_.size(); ++i)
      if (CouldHold(i, demand)) blocked.insert(i);
    if (blocked.size() == specs_.size()) return;
  }
}

bool Scheduler::Place(InvocationId id, const std::set<size_t>& blocked) {
  const Demand& demand = invocations_.at(id).demand;
  if (const auto container = IdleContainer(demand, blocked)) return Enqueue(id, *container), true;
  if (const auto container = QueueableContainer(demand, blocked)) return Enqueue(id, *container), true;
  const auto partition = PartitionWithRoom(demand, blocked);
  if (!partition) return false;
  Enqueue(id, StartContainer(*partition, id));
  return true;
}

std::optional<ContainerId> Scheduler::IdleContainer(const Demand& demand, const std::set<size_t>& blocked) const {
  for (const auto& [id, container] : containers_)
    if (Serves(container, demand) && container.state == ContainerState::kIdle && Load(container.partition) == 0 &&
        !blocked.contains(container.partition))
      return id;
  return std::nullopt;
}

std::optional<ContainerId> Scheduler::QueueableContainer(const Demand& demand, const std::set<size_t>& blocked) const {
  std::optional<ContainerId> best;
  for (const auto& [id, container] : containers_) {
    if (!Serves(container, demand) || blocked.contains(container.partition)) continue;
    if (!best || Load(container.partition) < Load(containers_.at(*best).partition)) best = id;
  }
  return best;
}

// The least busy one; among equals the one with the least memory to spare, so that large requests find room later.
std::optional<size_t> Scheduler::PartitionWithRoom(const Demand& demand, const std::set<size_t>& blocked) const {
  std::optional<size_t> best;
  for (size_t i = 0; i < specs_.size(); ++i) {
    if (blocked.contains(i) || !CouldHold(i, demand)) continue;
    if (partitions_[i].free_mib < demand.memory_mib + specs_[i].context_mib) continue;
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
    for (const ContainerId id : IdleOn(i)) {
      if (room >= demand.memory_mib + specs_[i].context_mib) break;
      victims.push_back(id);
      room += containers_.at(id).reserved_mib;
    }
    if (room < demand.memory_mib + specs_[i].context_mib) continue;
    if (!best || victims.size() < best->size()) best = std::move(victims);
  }
  if (!best) return;
  for (const ContainerId id : *best) {
    containers_.at(id).state = ContainerState::kEnding;
    actions_.emplace_back(std::in_place_type<Evict>, Evict{id});
  }
}

std::vector<ContainerId> Scheduler::IdleOn(size_t partition) const {
  std::vector<ContainerId> idle;
  for (const auto& [id, container] : containers_) {
    const auto waits_for_it = [&, wanted = id](InvocationId invocation) {
      return invocations_.at(invocation).container == wanted;
    };
    if (container.partition == partition && container.state == ContainerState::kIdle &&
        std::ranges::none_of(partitions_[partition].queue, waits_for_it))
      idle.push_back(id);
  }
  std::ranges::sort(idle, {}, [this](ContainerId id) { return containers_.at(id).last_used; });
  return idle;
}

bool Scheduler::HasEnding(size_t partition) const {
  return std::ranges::any_of(containers_, [&](const auto& entry) {
    return entry.second.partition == partition && entry.second.state == ContainerState::kEnding;
  });
}

size_t Scheduler::Load(size_t partition) const {
  return partitions_[partition].queue.size() + (partitions_[partition].owner ? 1 : 0);
}

ContainerId Scheduler::StartContainer(size_t partition, InvocationId invocation) {
  const Demand& demand = invocations_.at(invocation).demand;
  const ContainerId id = next_container_++;
  const uint64_t reserved = demand.memory_mib + specs_[partition].context_mib;
  partitions_[partition].free_mib -= reserved;
  containers_.emplace(id, Container{partition, demand.owner, reserved, demand.memory_mib});
  actions_.push_back(Start{id, invocation, partition, demand});
  return id;
}

}  // namespace mignificient::sched
