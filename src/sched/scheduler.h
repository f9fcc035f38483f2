// Where invocations run and when: placement on partitions, and turns on each partition under the `sequential` model.
// Events in, actions out; no clock, no I/O: the same events give the same actions.
//
// An invocation arrives, waits for room (or is given a container), waits for its turn, owns its partition, ends.
// A container is started for one (user, function), is reserved on its partition from kStart until kGone, and runs one
// invocation at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace mignificient::sched {

using InvocationId = uint64_t;  // chosen by the caller, never reused
using ContainerId = uint64_t;   // chosen by the scheduler, never reused

struct PartitionSpec {
  std::string uuid;
  std::string mig_size;       // "3g"
  std::string instance_size;  // "3g.40gb"
  uint64_t memory_mib = 0;
  uint64_t context_mib = 0;  // taken by each container besides what it asks for
};

struct Demand {
  std::string owner;         // user and function: who may share a container
  std::string mig_instance;  // "any", "3g", "3g.40gb"
  uint64_t memory_mib = 0;
};

// Does `mig_instance` of a request name this partition?
bool Matches(const PartitionSpec& partition, std::string_view mig_instance);

// Events.
struct Arrived {
  InvocationId invocation = 0;
  Demand demand;
};
struct Started {  // the container can take invocations
  ContainerId container = 0;
};
struct Yielded {  // the invocation needs its partition no more, its GPU work is drained; it goes on
  InvocationId invocation = 0;
};
struct Finished {  // the invocation ended well and its GPU work is drained; the container can take another
  InvocationId invocation = 0;
};
struct Withdrawn {  // an invocation that has not been granted is given up (timeout, caller gone)
  InvocationId invocation = 0;
};
struct Ending {  // the container takes no more invocations (crash, kill): it is being ended
  ContainerId container = 0;
};
struct Gone {  // its processes are reaped: its memory is free
  ContainerId container = 0;
};
using Event = std::variant<Arrived, Started, Yielded, Finished, Withdrawn, Ending, Gone>;

// Actions.
struct Start {
  ContainerId container = 0;
  InvocationId invocation = 0;  // the one it is started for
  size_t partition = 0;         // index into the specs
  Demand demand;
};
struct Grant {  // the invocation owns the container's partition and runs now
  InvocationId invocation = 0;
  ContainerId container = 0;
};
struct Reject {  // nothing can ever hold it
  InvocationId invocation = 0;
  std::string reason;
};
struct Abandon {  // its container ended before it was granted
  InvocationId invocation = 0;
  ContainerId container = 0;
};
struct Evict {  // end this idle container to make room; Ending is implied, Gone must follow
  ContainerId container = 0;
};
using Action = std::variant<Start, Grant, Reject, Abandon, Evict>;

class Scheduler {
 public:
  explicit Scheduler(std::vector<PartitionSpec> partitions);

  // Events about invocations and containers that are not (or no longer) known do nothing: processes and callers end
  // in any order.
  std::vector<Action> On(const Event& event);

  const std::vector<PartitionSpec>& partitions() const { return specs_; }
  uint64_t FreeMemoryMib(size_t partition) const { return partitions_[partition].free_mib; }
  std::optional<InvocationId> Owner(size_t partition) const { return partitions_[partition].owner; }
  size_t Waiting() const;  // invocations that have not been granted
  size_t Containers() const { return containers_.size(); }

 private:
  struct Partition {
    uint64_t free_mib = 0;
    std::optional<InvocationId> owner;
    std::deque<InvocationId> queue;  // placed and not granted, oldest first
  };
  enum class ContainerState { kStarting, kIdle, kRunning, kEnding };
  struct Container {
    size_t partition;
    std::string owner;
    uint64_t reserved_mib;
    uint64_t budget_mib;
    ContainerState state = ContainerState::kStarting;
    uint64_t last_used = 0;  // in events
  };
  struct Invocation {
    Demand demand;
    std::optional<ContainerId> container;  // none: waits for room
    bool granted = false;
  };

  void Handle(const Arrived& event);
  void Handle(const Started& event);
  void Handle(const Yielded& event);
  void Handle(const Finished& event);
  void Handle(const Withdrawn& event);
  void Handle(const Ending& event);
  void Handle(const Gone& event);

  std::string WhyNever(const Demand& demand) const;  // empty: it can fit some day
  bool CouldHold(size_t partition, const Demand& demand) const;
  bool Serves(const Container& container, const Demand& demand) const;

  void PlaceWaiting();
  bool Place(InvocationId id, const std::set<size_t>& blocked);
  std::optional<ContainerId> IdleContainer(const Demand& demand, const std::set<size_t>& blocked) const;
  std::optional<ContainerId> QueueableContainer(const Demand& demand, const std::set<size_t>& blocked) const;
  std::optional<size_t> PartitionWithRoom(const Demand& demand, const std::set<size_t>& blocked) const;
  void MakeRoom(const Demand& demand, const std::set<size_t>& blocked);
  std::vector<ContainerId> IdleOn(size_t partition) const;  // least recently used first
  bool HasEnding(size_t partition) const;
  size_t Load(size_t partition) const;

  ContainerId StartContainer(size_t partition, InvocationId id);
  void Enqueue(InvocationId id, ContainerId container);
  void GrantTurns();
  void Release(InvocationId id);

  std::vector<PartitionSpec> specs_;
  std::vector<Partition> partitions_;
  std::map<ContainerId, Container> containers_;
  std::map<InvocationId, Invocation> invocations_;
  std::deque<InvocationId> waiting_for_room_;  // oldest first
  ContainerId next_container_ = 1;
  uint64_t tick_ = 0;
  std::vector<Action> actions_;
};

}  // namespace mignificient::sched
