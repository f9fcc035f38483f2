// Partitions that are not there yet: who waits for one, and which GPU may be partitioned anew for that. The scheduler
// says only what is allowed; when it is worth it, and what is made, is for the node to decide.
//
// A GPU is given up only as a whole and only while nobody uses or could use what it has, so whoever asks for partitions
// that exist waits for none that are made. Between Vacate and the end of the change its partitions are vacant: nothing
// is placed on them, and nobody who asks for one is refused, because they may come back.
#include <algorithm>

#include "sched/scheduler.h"

namespace mignificient::sched {

std::vector<Scheduler::Wanted> Scheduler::WantedPartitions() const {
  std::vector<Wanted> all;
  for (const auto& [key, group] : groups_) {
    if (group.queue.empty() || IsHoused(group.demand)) continue;
    const size_t running = group.owner->running;
    size_t count = group.queue.size();
    if (const size_t most = group.demand.concurrency; most != 0)
      count = std::min(count, most - std::min(most, running));
    if (const size_t most = group.demand.max_containers; most != 0) count = std::min(count, most);
    all.push_back({group.demand, group.queue.front().second, count});
  }
  return all;
}

bool Scheduler::IsUnhoused(InvocationId invocation) const {
  const auto found = groups_of_.find(invocation);
  return found != groups_of_.end() && !IsHoused(found->second->demand);
}

bool Scheduler::MayVacate(const std::vector<size_t>& partitions) const {
  for (const size_t i : partitions)
    if (i >= specs_.size() || !partitions_[i].open || Load(i) != 0) return false;
  std::map<const OwnerState*, size_t> going;  // containers
  for (const ContainerId id : IdleOn(partitions)) ++going[containers_.at(id).owner];
  for (const auto& [owner, count] : going)
    if (owner->containers.size() - count < owner->keep) return false;
  return std::ranges::none_of(groups_, [&](const auto& entry) {
    const Group& group = entry.second;
    const auto could_hold = [&](size_t i) { return CouldHold(i, group.demand); };
    return !group.queue.empty() && std::ranges::any_of(partitions, could_hold);
  });
}

void Scheduler::Handle(const Vacate& event) {
  if (!MayVacate(event.partitions)) return;
  const std::vector<ContainerId> idle = IdleOn(event.partitions);
  for (const size_t i : event.partitions) {
    partitions_[i].open = false;
    partitions_[i].vacant = true;
  }
  for (const ContainerId id : idle) EvictIdle(id);
}

void Scheduler::Handle(const Makeable& event) {
  makeable_ = event.kinds;
  RejectWhatFitsNowhere();
}

size_t Scheduler::ContainersOn(size_t partition) const {
  return static_cast<size_t>(
      std::ranges::count_if(containers_, [&](const auto& entry) { return entry.second.partition == partition; }));
}

std::vector<ContainerId> Scheduler::IdleOn(const std::vector<size_t>& partitions) const {
  std::vector<ContainerId> idle;
  for (const auto& [id, container] : containers_)
    if (container.state == ContainerState::kIdle &&
        std::ranges::find(partitions, container.partition) != partitions.end())
      idle.push_back(id);
  std::ranges::sort(idle, {}, [this](ContainerId id) { return containers_.at(id).last_used; });
  return idle;
}

}  // namespace mignificient::sched
