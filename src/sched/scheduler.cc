#include "sched/scheduler.h"

#include <algorithm>

namespace mignificient::sched {

Scheduler::Scheduler(std::vector<PartitionSpec> partitions) : specs_(std::move(partitions)) {
  for (const PartitionSpec& spec : specs_) partitions_.push_back({.free_mib = spec.memory_mib});
}

std::vector<Action> Scheduler::On(const Event& event) {
  ++tick_;
  actions_.clear();
  std::visit([this](const auto& of_a_kind) { Handle(of_a_kind); }, event);
  PlaceWaiting();
  GrantTurns();
  return std::move(actions_);
}

size_t Scheduler::Waiting() const {
  return static_cast<size_t>(
      std::count_if(invocations_.begin(), invocations_.end(), [](const auto& entry) { return !entry.second.granted; }));
}

void Scheduler::Handle(const Arrived& event) {
  if (std::string reason = WhyNever(event.demand); !reason.empty()) {
    actions_.push_back(Reject{event.invocation, std::move(reason)});
    return;
  }
  invocations_.emplace(event.invocation, Invocation{event.demand});
  waiting_for_room_.push_back(event.invocation);
}

void Scheduler::Handle(const Started& event) {
  const auto found = containers_.find(event.container);
  if (found == containers_.end() || found->second.state != ContainerState::kStarting) return;
  found->second.state = ContainerState::kIdle;
  found->second.last_used = tick_;
}

void Scheduler::Handle(const Yielded& event) {
  Release(event.invocation);
}

void Scheduler::Handle(const Finished& event) {
  const auto found = invocations_.find(event.invocation);
  if (found == invocations_.end() || !found->second.granted) return;
  Release(event.invocation);
  if (const auto container = containers_.find(*found->second.container);
      container != containers_.end() && container->second.state == ContainerState::kRunning) {
    container->second.state = ContainerState::kIdle;
    container->second.last_used = tick_;
  }
  invocations_.erase(found);
}

void Scheduler::Handle(const Withdrawn& event) {
  const auto found = invocations_.find(event.invocation);
  if (found == invocations_.end() || found->second.granted) return;
  if (found->second.container)
    std::erase(partitions_[containers_.at(*found->second.container).partition].queue, event.invocation);
  else
    std::erase(waiting_for_room_, event.invocation);
  invocations_.erase(found);
}

// The running invocation ends with its container; what waited for this container is given back to the caller.
void Scheduler::Handle(const Ending& event) {
  const auto found = containers_.find(event.container);
  if (found == containers_.end()) return;
  found->second.state = ContainerState::kEnding;
  auto& queue = partitions_[found->second.partition].queue;
  for (auto it = invocations_.begin(); it != invocations_.end();) {
    if (it->second.container != event.container) {
      ++it;
      continue;
    }
    // A granted one keeps its partition until Gone: its GPU work is only over when its processes are.
    if (it->second.granted) {
      ++it;
      continue;
    }
    std::erase(queue, it->first);
    actions_.push_back(Abandon{it->first, event.container});
    it = invocations_.erase(it);
  }
}

void Scheduler::Handle(const Gone& event) {
  Handle(Ending{event.container});
  const auto found = containers_.find(event.container);
  if (found == containers_.end()) return;
  for (auto it = invocations_.begin(); it != invocations_.end();) {
    if (it->second.container == event.container) {
      Release(it->first);
      it = invocations_.erase(it);
    } else {
      ++it;
    }
  }
  partitions_[found->second.partition].free_mib += found->second.reserved_mib;
  containers_.erase(found);
}

void Scheduler::Enqueue(InvocationId id, ContainerId container) {
  invocations_.at(id).container = container;
  partitions_[containers_.at(container).partition].queue.push_back(id);
}

// The oldest invocation whose container is ready goes first: one that still starts does not hold up the others, and
// keeps its place.
void Scheduler::GrantTurns() {
  for (Partition& partition : partitions_) {
    if (partition.owner) continue;
    const auto next = std::find_if(partition.queue.begin(), partition.queue.end(), [this](InvocationId id) {
      return containers_.at(*invocations_.at(id).container).state == ContainerState::kIdle;
    });
    if (next == partition.queue.end()) continue;
    Invocation& invocation = invocations_.at(*next);
    invocation.granted = true;
    containers_.at(*invocation.container).state = ContainerState::kRunning;
    partition.owner = *next;
    actions_.push_back(Grant{*next, *invocation.container});
    partition.queue.erase(next);
  }
}

void Scheduler::Release(InvocationId id) {
  for (Partition& partition : partitions_)
    if (partition.owner == id) partition.owner.reset();
}

}  // namespace mignificient::sched
