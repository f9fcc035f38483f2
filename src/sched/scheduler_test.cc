#include "sched/scheduler.h"

#include <gtest/gtest.h>

#include <random>

namespace mignificient::sched {
namespace {

std::vector<PartitionSpec> TwoPartitions() {
  return {{"MIG-a", "3g", "3g.40gb", 40000, 0}, {"MIG-b", "4g", "4g.40gb", 44000, 0}};
}

Arrived Arrival(InvocationId id, std::string owner, uint64_t memory = 1000, std::string instance = "any") {
  return {id, {std::move(owner), std::move(instance), memory}};
}

template <typename Kind>
std::vector<Kind> Of(const std::vector<Action>& actions) {
  std::vector<Kind> found;
  for (const Action& action : actions)
    if (const Kind* kind = std::get_if<Kind>(&action)) found.push_back(*kind);
  return found;
}

// The container that an arrival starts.
Start StartOf(Scheduler& scheduler, const Arrived& arrival) {
  const auto starts = Of<Start>(scheduler.On(arrival));
  EXPECT_EQ(starts.size(), 1u);
  return starts.empty() ? Start{} : starts[0];
}

TEST(SchedulerTest, AFirstInvocationStartsAContainerAndOwnsThePartitionOnceItIsReady) {
  Scheduler scheduler(TwoPartitions());
  const Start start = StartOf(scheduler, Arrival(1, "alice/f"));
  const auto grants = Of<Grant>(scheduler.On(Started{start.container}));
  ASSERT_EQ(grants.size(), 1u);
  EXPECT_EQ(grants[0].invocation, 1u);
  EXPECT_EQ(scheduler.Owner(start.partition), 1u);
}

TEST(SchedulerTest, AnIdleContainerIsReused) {
  Scheduler scheduler(TwoPartitions());
  const Start start = StartOf(scheduler, Arrival(1, "alice/f"));
  scheduler.On(Started{start.container});
  scheduler.On(Finished{1});
  const auto actions = scheduler.On(Arrival(2, "alice/f"));
  EXPECT_TRUE(Of<Start>(actions).empty());
  ASSERT_EQ(Of<Grant>(actions).size(), 1u);
  EXPECT_EQ(Of<Grant>(actions)[0].container, start.container);
}

TEST(SchedulerTest, ContainersAreNotSharedBetweenOwners) {
  Scheduler scheduler(TwoPartitions());
  const Start first = StartOf(scheduler, Arrival(1, "alice/f"));
  const Start second = StartOf(scheduler, Arrival(2, "bob/f"));
  EXPECT_NE(first.container, second.container);
  EXPECT_NE(first.partition, second.partition) << "the second goes to the idle partition";
}

TEST(SchedulerTest, ABusyContainerQueues) {
  Scheduler scheduler(TwoPartitions());
  const Start start = StartOf(scheduler, Arrival(1, "alice/f"));
  scheduler.On(Started{start.container});
  EXPECT_TRUE(scheduler.On(Arrival(2, "alice/f")).empty());
  EXPECT_TRUE(scheduler.On(Arrival(3, "alice/f")).empty());
  EXPECT_EQ(Of<Grant>(scheduler.On(Finished{1}))[0].invocation, 2u);
  EXPECT_EQ(Of<Grant>(scheduler.On(Finished{2}))[0].invocation, 3u);
}

TEST(SchedulerTest, MigInstanceIsHonoured) {
  Scheduler scheduler(TwoPartitions());
  EXPECT_EQ(StartOf(scheduler, Arrival(1, "a", 1, "4g")).partition, 1u);
  EXPECT_EQ(StartOf(scheduler, Arrival(2, "b", 1, "4g.40gb")).partition, 1u);
  EXPECT_EQ(StartOf(scheduler, Arrival(3, "c", 1, "3g")).partition, 0u);
}

TEST(SchedulerTest, WhatCanNeverFitIsRefusedAtOnceWithItsNumbers) {
  Scheduler scheduler(TwoPartitions());
  const auto too_large = Of<Reject>(scheduler.On(Arrival(1, "a", 44001)));
  ASSERT_EQ(too_large.size(), 1u);
  EXPECT_NE(too_large[0].reason.find("44001"), std::string::npos);
  EXPECT_NE(too_large[0].reason.find("3g.40gb with 40000 MiB"), std::string::npos);
  const auto no_such = Of<Reject>(scheduler.On(Arrival(2, "a", 1, "7g")));
  ASSERT_EQ(no_such.size(), 1u);
  EXPECT_NE(no_such[0].reason.find("[7g]"), std::string::npos);
  EXPECT_EQ(scheduler.Waiting(), 0u);
}

TEST(SchedulerTest, TheContextsMemoryCounts) {
  Scheduler scheduler({{"GPU-a", "7g", "7g", 1000, 300}});
  EXPECT_EQ(Of<Reject>(scheduler.On(Arrival(1, "a", 701))).size(), 1u);
  StartOf(scheduler, Arrival(2, "a", 700));
  EXPECT_EQ(scheduler.FreeMemoryMib(0), 0u);
}

TEST(SchedulerTest, AContainerThatStillStartsDoesNotHoldUpAReadyOne) {
  Scheduler scheduler({{"GPU-a", "7g", "7g", 10000, 0}});
  const Start ready = StartOf(scheduler, Arrival(1, "a"));
  scheduler.On(Started{ready.container});
  StartOf(scheduler, Arrival(2, "b"));
  scheduler.On(Arrival(3, "a"));
  EXPECT_EQ(Of<Grant>(scheduler.On(Finished{1}))[0].invocation, 3u);
}

TEST(SchedulerTest, AYieldGivesThePartitionToTheNext) {
  Scheduler scheduler({{"GPU-a", "7g", "7g", 10000, 0}});
  const Start a = StartOf(scheduler, Arrival(1, "a")), b = StartOf(scheduler, Arrival(2, "b"));
  scheduler.On(Started{a.container});
  scheduler.On(Started{b.container});
  EXPECT_EQ(Of<Grant>(scheduler.On(Yielded{1}))[0].invocation, 2u);
  scheduler.On(Arrival(3, "a"));
  EXPECT_TRUE(Of<Grant>(scheduler.On(Finished{2})).empty()) << "its container still runs the one that yielded";
  EXPECT_EQ(Of<Grant>(scheduler.On(Finished{1}))[0].invocation, 3u);
}

TEST(SchedulerTest, TheLeastRecentlyUsedIdleContainerMakesRoom) {
  Scheduler scheduler({{"GPU-a", "7g", "7g", 2000, 0}});
  const Start a = StartOf(scheduler, Arrival(1, "a")), b = StartOf(scheduler, Arrival(2, "b"));
  scheduler.On(Started{a.container});
  scheduler.On(Started{b.container});
  scheduler.On(Finished{1});
  scheduler.On(Finished{2});
  const auto evicted = Of<Evict>(scheduler.On(Arrival(3, "c")));
  ASSERT_EQ(evicted.size(), 1u);
  EXPECT_EQ(evicted[0].container, a.container);
  EXPECT_EQ(scheduler.FreeMemoryMib(0), 0u) << "not free before its processes are gone";
  EXPECT_EQ(Of<Start>(scheduler.On(Gone{a.container})).size(), 1u);
}

TEST(SchedulerTest, AStreamOfWarmInvocationsDoesNotStarveOneThatWaitsForRoom) {
  Scheduler scheduler({{"GPU-a", "7g", "7g", 1000, 0}});
  const Start a = StartOf(scheduler, Arrival(1, "a"));
  scheduler.On(Started{a.container});
  scheduler.On(Arrival(2, "b"));
  for (InvocationId id = 10; id < 20; ++id) EXPECT_TRUE(scheduler.On(Arrival(id, "a")).empty());
  const auto actions = scheduler.On(Finished{1});
  EXPECT_TRUE(Of<Grant>(actions).empty());
  ASSERT_EQ(Of<Evict>(actions).size(), 1u);
}

TEST(SchedulerTest, ACrashAbandonsTheQueueAndFreesThePartitionOnlyWhenTheProcessesAreGone) {
  Scheduler scheduler({{"GPU-a", "7g", "7g", 10000, 0}});
  const Start a = StartOf(scheduler, Arrival(1, "a")), b = StartOf(scheduler, Arrival(2, "b"));
  scheduler.On(Started{a.container});
  scheduler.On(Started{b.container});
  scheduler.On(Arrival(3, "a"));
  const auto actions = scheduler.On(Ending{a.container});
  ASSERT_EQ(Of<Abandon>(actions).size(), 1u);
  EXPECT_EQ(Of<Abandon>(actions)[0].invocation, 3u);
  EXPECT_TRUE(Of<Grant>(actions).empty());
  EXPECT_EQ(Of<Grant>(scheduler.On(Gone{a.container}))[0].invocation, 2u);
  EXPECT_EQ(scheduler.FreeMemoryMib(0), 9000u);
}

// A world that plays processes and callers at random and checks after every event what must always hold.
class World {
 public:
  explicit World(uint32_t seed) : random_(seed), scheduler_(Specs()) {}

  void Step() {
    switch (Pick(8)) {
      case 0:
      case 1:
      case 2:
        return Arrive();
      case 3:
        return Send(ContainerEvent<Started>(starting_));
      case 4:
        return FinishOne();
      case 5:
        return YieldOne();
      case 6:
        return Pick(3) == 0 ? WithdrawOne() : Send(ContainerEvent<Gone>(ending_));
      case 7:
        return Pick(10) == 0 ? CrashOne() : FinishOne();
    }
  }

  // No new arrivals: everything that waits must end.
  void Settle() {
    for (int i = 0; i < 10000 && !(waiting_.empty() && running_.empty()); ++i) {
      Send(ContainerEvent<Started>(starting_));
      FinishOne();
      Send(ContainerEvent<Gone>(ending_));
    }
    EXPECT_TRUE(waiting_.empty()) << waiting_.size() << " invocations starve";
    EXPECT_EQ(scheduler_.Waiting(), 0u);
  }

 private:
  static std::vector<PartitionSpec> Specs() {
    return {{"a", "3g", "3g.40gb", 4000, 100}, {"b", "4g", "4g.40gb", 5000, 100}, {"c", "4g", "4g.40gb", 2000, 100}};
  }
  uint32_t Pick(size_t choices) { return static_cast<uint32_t>(random_() % choices); }
  template <typename Set>
  auto PickFrom(const Set& set) {
    return *std::next(set.begin(), Pick(set.size()));
  }

  void Arrive() {
    static const char* kInstances[] = {"any", "any", "3g", "4g", "4g.40gb"};
    const Demand demand{std::string(1, static_cast<char>('a' + Pick(6))), kInstances[Pick(5)], 1 + Pick(3000)};
    waiting_.insert(next_);
    demands_[next_] = demand;
    Send(Arrived{next_++, demand});
  }
  template <typename Kind>
  std::optional<Event> ContainerEvent(const std::set<ContainerId>& from) {
    if (from.empty()) return std::nullopt;
    return Kind{PickFrom(from)};
  }
  void FinishOne() {
    if (running_.empty()) return;
    const InvocationId id = PickFrom(running_);
    running_.erase(id);
    yielded_.erase(id);
    busy_.erase(container_of_.at(id));
    if (!ending_.contains(container_of_.at(id))) Send(Finished{id});
  }
  void YieldOne() {
    if (running_.empty()) return;
    const InvocationId id = PickFrom(running_);
    yielded_.insert(id);
    Send(Yielded{id});
  }
  void WithdrawOne() {
    if (waiting_.empty()) return;
    const InvocationId id = PickFrom(waiting_);
    waiting_.erase(id);
    Send(Withdrawn{id});
  }
  void CrashOne() {
    if (live_.empty()) return;
    const ContainerId id = PickFrom(live_);
    End(id);
    Send(Ending{id});
  }
  void End(ContainerId id) {
    live_.erase(id);
    starting_.erase(id);
    ending_.insert(id);
  }

  void Send(std::optional<Event> event) {
    if (!event) return;
    if (const auto* started = std::get_if<Started>(&*event)) starting_.erase(started->container);
    if (const auto* gone = std::get_if<Gone>(&*event)) Forget(gone->container);
    for (const Action& action : scheduler_.On(*event)) std::visit([this](const auto& kind) { Check(kind); }, action);
    CheckMemory();
  }
  void Forget(ContainerId id) {
    ending_.erase(id);
    busy_.erase(id);
    reserved_.erase(id);
    std::erase_if(running_, [&](InvocationId running) { return container_of_.at(running) == id; });
  }

  void Check(const Start& action) {
    EXPECT_TRUE(Matches(Specs()[action.partition], action.demand.mig_instance));
    live_.insert(action.container);
    starting_.insert(action.container);
    owner_[action.container] = action.demand.owner;
    reserved_[action.container] = {action.partition, action.demand.memory_mib + 100};
  }
  void Check(const Grant& action) {
    EXPECT_EQ(waiting_.erase(action.invocation), 1u) << "granted once, and only what waits";
    EXPECT_TRUE(live_.contains(action.container) && !starting_.contains(action.container));
    EXPECT_TRUE(busy_.insert(action.container).second) << "one invocation at a time in a container";
    EXPECT_EQ(owner_.at(action.container), demands_.at(action.invocation).owner);
    const size_t partition = reserved_.at(action.container).first;
    for (const InvocationId other : running_) {
      if (yielded_.contains(other)) continue;
      EXPECT_NE(reserved_.at(container_of_.at(other)).first, partition) << "one owner per partition";
    }
    auto& last = last_of_container_[action.container];
    EXPECT_LT(last, action.invocation) << "first in, first out per container";
    last = action.invocation;
    running_.insert(action.invocation);
    container_of_[action.invocation] = action.container;
  }
  void Check(const Reject& action) { EXPECT_EQ(waiting_.erase(action.invocation), 1u); }
  void Check(const Abandon& action) { EXPECT_EQ(waiting_.erase(action.invocation), 1u); }
  void Check(const Evict& action) {
    EXPECT_TRUE(live_.contains(action.container) && !busy_.contains(action.container));
    End(action.container);
  }
  void CheckMemory() {
    for (size_t i = 0; i < Specs().size(); ++i) {
      uint64_t used = 0;
      for (const auto& [id, reservation] : reserved_)
        if (reservation.first == i) used += reservation.second;
      ASSERT_LE(used, Specs()[i].memory_mib);
      ASSERT_EQ(scheduler_.FreeMemoryMib(i), Specs()[i].memory_mib - used);
    }
    ASSERT_EQ(scheduler_.Waiting(), waiting_.size()) << "nothing lost";
  }

  std::mt19937 random_;
  Scheduler scheduler_;
  InvocationId next_ = 1;
  std::set<InvocationId> waiting_, running_, yielded_;
  std::set<ContainerId> live_, starting_, ending_, busy_;
  std::map<InvocationId, Demand> demands_;
  std::map<InvocationId, ContainerId> container_of_;
  std::map<ContainerId, std::string> owner_;
  std::map<ContainerId, std::pair<size_t, uint64_t>> reserved_;
  std::map<ContainerId, InvocationId> last_of_container_;
};

TEST(SchedulerPropertyTest, RandomEventsKeepTheInvariantsAndNobodyStarves) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    World world(seed);
    for (int i = 0; i < 1500; ++i) world.Step();
    world.Settle();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace mignificient::sched
