// Who may use a partition's GPU, under its sharing model (DESIGN 5.2).
//
// Under `sequential` an invocation owns the GPU from its start. Under the overlapping models others run beside the
// owner; whoever waits at the gate is next, oldest first. The GPU is never idle while somebody waits for it: an owner
// that has nothing on it is asked to give it up (idle release), and when nobody waits, one who has not used it yet gets
// it ahead of its first command, which costs nothing and can be asked back.
#include <algorithm>

#include "sched/scheduler.h"

namespace mignificient::sched {

std::string_view Name(SharingModel model) {
  switch (model) {
    case SharingModel::kSequential:
      return "sequential";
    case SharingModel::kOverlapCpu:
      return "overlap_cpu";
    case SharingModel::kOverlapCpuMemcpy:
      return "overlap_cpu_memcpy";
    case SharingModel::kFullOverlap:
      return "full_overlap";
  }
  return "";
}

std::optional<SharingModel> FindSharingModel(std::string_view name) {
  using enum SharingModel;
  for (const SharingModel model : {kSequential, kOverlapCpu, kOverlapCpuMemcpy, kFullOverlap})
    if (Name(model) == name) return model;
  return std::nullopt;
}

// Of a running invocation that does not own the GPU.
Gate Scheduler::GateOfOthers(size_t partition) const {
  switch (specs_[partition].model) {
    case SharingModel::kSequential:
      return Gate::kLocked;
    case SharingModel::kOverlapCpu:
      return Gate::kCpuOnly;
    case SharingModel::kOverlapCpuMemcpy:
      return Gate::kMemcpy;
    case SharingModel::kFullOverlap:
      return Gate::kFull;
  }
  return Gate::kLocked;
}

bool Scheduler::CanRunOneMore(size_t partition) const {
  const Partition& at = partitions_[partition];
  if (!at.open || at.running.size() >= specs_[partition].running_limit) return false;
  if (specs_[partition].model != SharingModel::kSequential) return true;
  return !at.owner && (at.wants.empty() || at.turn_of_waiting);
}

// The first of the group.
void Scheduler::RunIn(Group& group, ContainerId id) {
  const auto [tag, invocation] = group.queue.front();
  group.queue.pop_front();
  groups_of_.erase(invocation);
  --waiting_;
  order_.Went(tag);
  Container& container = containers_.at(id);
  container.state = ContainerState::kRunning;
  running_.emplace(invocation, Running{group.owner, group.demand.user, id});
  ++group.owner->running;
  Partition& at = partitions_[container.partition];
  at.running.push_back(invocation);
  at.last_use = tick_;
  at.turn_of_waiting = false;
  const bool owned = specs_[container.partition].model != SharingModel::kFullOverlap;
  const bool owns =
      owned && !at.owner && (at.wants.empty() || specs_[container.partition].model == SharingModel::kSequential);
  if (owns) {
    at.owner = invocation;
    at.release_asked.reset();
    at.quantum_over = false;
  }
  actions_.emplace_back(std::in_place_type<Grant>,
                        Grant{invocation, id, owns ? Gate::kFull : GateOfOthers(container.partition)});
}

// `nobody_can_start`: those that wait to start have had their chance.
void Scheduler::SettleOwner(size_t partition, bool nobody_can_start) {
  Partition& at = partitions_[partition];
  const SharingModel model = specs_[partition].model;
  if (model == SharingModel::kFullOverlap) return;
  if (at.owner) return AskOwner(partition);
  if (!at.wants.empty()) {
    if (model == SharingModel::kSequential && at.turn_of_waiting && !nobody_can_start) return;
    GiveGpu(partition, at.wants.front());
    at.turn_of_waiting = true;
    return AskOwner(partition);
  }
  const auto ahead = std::ranges::find_if(at.running, [this](InvocationId id) {
    const Running& running = running_.at(id);
    return !running.released && containers_.at(running.container).state == ContainerState::kRunning;
  });
  if (ahead != at.running.end()) GiveGpu(partition, *ahead);
}

void Scheduler::GiveGpu(size_t partition, InvocationId invocation) {
  Partition& at = partitions_[partition];
  at.owner = invocation;
  at.release_asked.reset();
  at.quantum_over = false;
  std::erase(at.wants, invocation);
  actions_.emplace_back(std::in_place_type<SetGate>,
                        SetGate{invocation, running_.at(invocation).container, Gate::kFull});
}

// Asks the owner to give the GPU up where somebody needs it and the model, or its quantum, allows that.
void Scheduler::AskOwner(size_t partition) {
  using When = AskRelease::When;
  Partition& at = partitions_[partition];
  const bool sequential = specs_[partition].model == SharingModel::kSequential;
  if (at.wants.empty() && !(sequential && at.quantum_over && SomebodyCouldStart(partition))) return;
  std::optional<When> when;
  if (!sequential && rules_.idle_release) when = When::kIdle;
  if (at.quantum_over) when = When::kNow;
  if (!when || (at.release_asked && *at.release_asked >= *when)) return;
  const ContainerId container = running_.at(*at.owner).container;
  if (containers_.at(container).state != ContainerState::kRunning) return;  // it ends: Gone will free the GPU
  at.release_asked = when;
  actions_.emplace_back(std::in_place_type<AskRelease>, AskRelease{*at.owner, container, *when});
}

// Sequential: is there an invocation that waits for nothing but its turn here?
bool Scheduler::SomebodyCouldStart(size_t partition) const {
  return std::ranges::any_of(groups_, [&](const auto& entry) {
    const Group& group = entry.second;
    if (group.queue.empty()) return false;
    if (group.demand.concurrency != 0 && group.owner->running >= group.demand.concurrency) return false;
    return std::ranges::any_of(group.owner->containers, [&](ContainerId id) {
      const Container& container = containers_.at(id);
      return container.partition == partition && container.state == ContainerState::kIdle && Serves(container, group);
    });
  });
}

void Scheduler::Leave(InvocationId invocation) {
  const auto found = running_.find(invocation);
  Partition& at = partitions_[containers_.at(found->second.container).partition];
  if (at.owner == invocation) at.owner.reset();
  std::erase(at.wants, invocation);
  std::erase(at.running, invocation);
  at.last_use = tick_;
  --found->second.owner->running;
  running_.erase(found);
}

}  // namespace mignificient::sched
