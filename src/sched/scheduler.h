// Where invocations run and when: placement on partitions (placement.cc), the order between users (fairness.h), and who
// may use a partition's GPU under its sharing model (turns.cc). Events in, actions out; no clock, no I/O: the same
// events give the same actions.
//
// An invocation arrives and waits. It runs once a container of its owner is idle on a partition that can take one more;
// it may then own the partition's GPU, give it up, want it again; it ends. A container is started for one owner, is
// reserved on its partition from Start until Gone, and runs one invocation at a time.
//
// What no partition can hold is refused, unless one that could hold it can be made (Makeable): then it is unhoused, and
// waits. Whoever makes partitions has them vacated first (repartition.cc).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>
#include <vector>

#include "sched/fairness.h"

namespace mignificient::sched {

using InvocationId = uint64_t;  // chosen by the caller, not 0; comes again only once it is finished or abandoned
using ContainerId = uint64_t;   // chosen by the scheduler, never reused

// While one invocation owns a partition's GPU, the next may ...
enum class SharingModel {
  kSequential,        // not start
  kOverlapCpu,        // run on the CPU; its GPU commands wait at the gate
  kOverlapCpuMemcpy,  // also copy memory
  kFullOverlap,       // run everything: nobody owns the GPU
};
std::string_view Name(SharingModel model);  // "overlap_cpu"
std::optional<SharingModel> FindSharingModel(std::string_view name);

// What an invocation's container may do on the GPU.
enum class Gate { kLocked, kCpuOnly, kMemcpy, kFull };

struct PartitionSpec {
  std::string uuid;
  std::string mig_size;       // "3g"
  std::string instance_size;  // "3g.40gb"
  uint64_t memory_mib = 0;
  uint64_t context_mib = 0;  // taken by each GPU server besides what its containers ask for
  SharingModel model = SharingModel::kSequential;
  uint32_t running_limit = 16;  // invocations that run at once under the other models
  bool shares_context = false;  // containers of one user share a GPU server
  bool operator==(const PartitionSpec&) const = default;
};

struct Demand {
  std::string owner;         // user and function: who may share a container
  std::string user;          // who is charged
  std::string mig_instance;  // "any", "3g", "3g.40gb"
  uint64_t memory_mib = 0;
  uint32_t concurrency = 0;     // of the owner's invocations that run at once; 0: no limit
  uint32_t max_containers = 0;  // of the owner; 0: one for each partition that has room when the others are busy
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
struct Wants {  // its GPU commands wait at the gate
  InvocationId invocation = 0;
};
struct Released {  // it holds at a command boundary and its GPU work is drained: after AskRelease, or it yielded
  InvocationId invocation = 0;
};
struct QuantumOver {  // it has owned its partition's GPU for long enough if somebody else needs it
  InvocationId invocation = 0;
};
struct Finished {  // the invocation ended well and its GPU work is drained; the container can take another
  InvocationId invocation = 0;
  double microseconds = 0;  // how long it ran
};
struct Withdrawn {  // an invocation that does not run yet is given up (timeout, caller gone)
  InvocationId invocation = 0;
};
struct Ending {  // the container takes no more invocations (crash, kill): it is being ended
  ContainerId container = 0;
  bool others_fault = false;  // had it not started: through no fault of its own, so another may be started at once
};
struct Gone {  // its processes are reaped: its memory is free
  ContainerId container = 0;
};
struct Expired {  // the container was idle for longer than its function wants to keep it
  ContainerId container = 0;
};
struct Keep {  // instead of what was kept before: containers that are started ahead, where there is room
  struct Wish {
    Demand demand;
    uint32_t containers = 0;
  };
  std::vector<Wish> wishes;
};
struct Opened {  // a partition is there (again); one that differs from an earlier one of its uuid is another
  PartitionSpec spec;
};
struct Closed {  // nothing new is placed on it; its containers are ended by whoever closes it
  size_t partition = 0;
};
struct Makeable {  // instead of what could be made before: what waits for one of these is not refused
  std::vector<PartitionSpec> kinds;
};
struct Vacate {  // a GPU's partitions take nothing until Opened, their idle containers are evicted; only if MayVacate
  std::vector<size_t> partitions;
};
using Event = std::variant<Arrived, Started, Wants, Released, QuantumOver, Finished, Withdrawn, Ending, Gone, Expired,
                           Keep, Opened, Closed, Makeable, Vacate>;

// Actions.
struct Start {
  ContainerId container = 0;
  InvocationId invocation = 0;  // the one it is started for; 0: it is kept ahead
  size_t partition = 0;         // index into partitions()
  Demand demand;
};
struct Grant {  // the invocation runs now, behind this gate
  InvocationId invocation = 0;
  ContainerId container = 0;
  Gate gate{};
};
struct SetGate {  // of a running invocation
  InvocationId invocation = 0;
  ContainerId container = 0;
  Gate gate{};
};
struct AskRelease {  // Released must follow, unless it ends first; asked again when it becomes more urgent
  InvocationId invocation = 0;
  ContainerId container = 0;
  enum class When { kIdle, kNow } when{};  // once the GPU has nothing to do for it | at the next command
};
struct Reject {  // nothing can ever hold it
  InvocationId invocation = 0;
  std::string reason;
};
struct Abandon {  // the container that it waited for did not start
  InvocationId invocation = 0;
  ContainerId container = 0;
};
struct Evict {  // end this idle container; Ending is implied, Gone must follow
  ContainerId container = 0;
};
struct Unhoused {  // no partition that is open could hold it: it waits for one to be made. May be said again
  InvocationId invocation = 0;
};
using Action = std::variant<Start, Grant, SetGate, AskRelease, Reject, Abandon, Evict, Unhoused>;

struct Rules {
  std::map<std::string, double> weights;  // of users; 1 for those who are not named
  bool idle_release = true;  // an owner whose GPU work has ended gives way to who waits, before its invocation ends
};

class Scheduler {
 public:
  explicit Scheduler(std::vector<PartitionSpec> partitions, Rules rules = {});
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Events about invocations and containers that are not (or no longer) known do nothing: processes and callers end
  // in any order.
  std::vector<Action> On(Event event);

  const std::vector<PartitionSpec>& partitions() const { return specs_; }
  bool IsOpen(size_t partition) const { return partitions_[partition].open; }
  uint64_t FreeMemoryMib(size_t partition) const { return partitions_[partition].free_mib; }
  std::optional<InvocationId> Owner(size_t partition) const { return partitions_[partition].owner; }
  size_t WaitingForGpu(size_t partition) const { return partitions_[partition].wants.size(); }
  size_t RunningOn(size_t partition) const { return partitions_[partition].running.size(); }
  size_t Waiting() const { return waiting_; }  // invocations that do not run yet
  size_t Containers() const { return containers_.size(); }

  // repartition.cc
  // Invocations that ask for the same, which no open partition could hold: `first` has waited longest, `count` of them
  // could run at once if there were enough (0: their owner's others must end first).
  struct Wanted {
    Demand demand;
    InvocationId first = 0;
    size_t count = 0;
  };
  std::vector<Wanted> WantedPartitions() const;
  bool IsUnhoused(InvocationId invocation) const;  // and waits
  // Whether a GPU with these partitions is idle: all are open, nothing runs or starts there, none of its containers is
  // one of those that are kept, and nobody who waits could be held by them.
  bool MayVacate(const std::vector<size_t>& partitions) const;
  bool IsVacant(size_t partition) const { return partitions_[partition].vacant; }  // since Vacate
  size_t ContainersOn(size_t partition) const;                                     // those that end, too
  // The last event by which something started, ran or ended there; grows with each.
  uint64_t LastUse(size_t partition) const { return partitions_[partition].last_use; }

 private:
  struct Partition {
    uint64_t free_mib = 0;
    bool open = true;
    bool vacant = false;  // not open, because its GPU is partitioned anew
    uint64_t last_use = 0;
    std::optional<InvocationId> owner;
    std::optional<AskRelease::When> release_asked;  // of the owner
    bool quantum_over = false;                      // the owner's
    bool turn_of_waiting = false;                   // sequential: who waits to start comes before who wants back in
    std::deque<InvocationId> wants;                 // at the gate, oldest first
    std::vector<InvocationId> running;              // oldest first, those that gave up the GPU too
    size_t starting = 0;                            // containers
    std::map<std::string, size_t> of_user;          // containers, where they share contexts
  };
  // Names are long and alike: what is known of an owner is found by its name once, and referred to. It stays while any
  // of what refers to it does, and while it is kept.
  struct OwnerState {
    uint64_t number = 0;               // in the order of their coming
    std::set<ContainerId> containers;  // not those that end
    size_t running = 0;
    size_t groups = 0;         // of invocations that wait
    bool tried_again = false;  // a container of it did not start through another's fault, and none has started since
    bool no_more = false;  // a container of it did not start: none beyond the first until one has finished something
    uint32_t keep = 0;
  };
  enum class ContainerState { kStarting, kIdle, kRunning, kEnding };
  struct Container {
    size_t partition;
    OwnerState* owner;
    Demand demand;  // of whom it was started for: memory_mib is its budget
    ContainerState state = ContainerState::kStarting;
    uint64_t last_used = 0;  // in events
  };
  struct Running {
    OwnerState* owner;
    std::string user;
    ContainerId container;
    bool released = false;  // gave the GPU up; takes it again only when it wants it
  };
  // Invocations of one owner that ask for the same; only the first of them is ever considered for an idle container.
  struct Group {
    OwnerState* owner = nullptr;
    Demand demand;
    std::deque<std::pair<double, InvocationId>> queue;  // by tag
  };
  using GroupKey = std::tuple<uint64_t, uint64_t, std::string>;  // owner's number, MiB, mig-instance

  void Handle(Arrived& event);
  void Handle(const Started& event);
  void Handle(const Wants& event);
  void Handle(const Released& event);
  void Handle(const QuantumOver& event);
  void Handle(const Finished& event);
  void Handle(const Withdrawn& event);
  void Handle(const Ending& event);
  void Handle(const Gone& event);
  void Handle(const Expired& event);
  void Handle(const Keep& event);
  void Handle(const Opened& event);
  void Handle(const Closed& event);
  void Handle(const Makeable& event);
  void Handle(const Vacate& event);

  // placement.cc
  bool IsHoused(const Demand& demand) const;         // an open partition could hold it
  std::string WhyNever(const Demand& demand) const;  // of one that is not housed; empty: it can fit some day
  bool CouldHold(size_t partition, const Demand& demand) const;
  bool Serves(const Container& container, const Group& group) const;
  uint64_t Reservation(size_t partition, const Demand& demand) const;
  void PlaceWaiting();
  void SpreadOut(const Group& group, const std::set<size_t>& blocked);
  void StartFor(Group& group, std::set<size_t>& blocked);
  bool HasMost(const Group& group) const;  // as many containers as its owner may have
  size_t StartingFor(const Group& group) const;
  bool HasContainer(const Group& group) const;
  std::optional<ContainerId> IdleContainer(const Group& group, const std::set<size_t>& blocked) const;
  enum class Which { kAny, kIdle };
  std::optional<size_t> PartitionWithRoom(const Demand& demand, const std::set<size_t>& blocked, Which which) const;
  std::optional<size_t> PartitionForOneMore(const Demand& demand, const std::set<size_t>& blocked) const;
  void WaitForRoom(const Demand& demand, std::set<size_t>& blocked);
  bool EvictOneOf(const OwnerState& owner);
  void EvictIdle(ContainerId id);
  void MakeRoom(const Demand& demand, const std::set<size_t>& blocked);
  std::vector<ContainerId> EvictableOn(size_t partition) const;  // least recently used first
  bool HasEnding(size_t partition) const;
  size_t Load(size_t partition) const;
  void StartContainer(size_t partition, const Demand& demand, InvocationId invocation);
  void StartKept();
  void Free(const Container& container);

  // turns.cc
  bool CanRunOneMore(size_t partition) const;
  void RunIn(Group& group, ContainerId container);
  void SettleOwner(size_t partition, bool nobody_can_start);
  void GiveGpu(size_t partition, InvocationId invocation);
  void AskOwner(size_t partition);
  bool SomebodyCouldStart(size_t partition) const;
  void Leave(InvocationId invocation);
  Gate GateOfOthers(size_t partition) const;

  void RejectWhatFitsNowhere();
  std::vector<ContainerId> IdleOn(const std::vector<size_t>& partitions) const;  // least recently used first
  void EndContainer(ContainerId id);                                             // from now on it takes nothing
  void AbandonAll(const OwnerState& owner, ContainerId container);
  OwnerState& OwnerOf(const std::string& name);
  void Forget(const std::string& owner);  // where nothing refers to it any more
  void ForgetEmptyGroups();

  std::vector<PartitionSpec> specs_;
  Rules rules_;
  FairOrder order_;
  std::vector<Partition> partitions_;
  std::map<ContainerId, Container> containers_;
  std::map<InvocationId, Running> running_;
  std::map<InvocationId, Group*> groups_of_;  // of those that wait
  std::map<GroupKey, Group> groups_;
  std::map<std::string, OwnerState> owners_;
  uint64_t last_owner_ = 0;
  std::vector<Keep::Wish> wishes_;
  std::vector<PartitionSpec> makeable_;
  std::set<size_t> blocked_;        // partitions that somebody waits for room on, as of the last event
  std::set<std::string> unserved_;  // owners of those
  size_t waiting_ = 0;
  ContainerId next_container_ = 1;
  uint64_t tick_ = 0;
  std::vector<Action> actions_;
};

}  // namespace mignificient::sched
