#include "sched/scheduler.h"

#include <gtest/gtest.h>

namespace mignificient::sched {
namespace {

std::vector<PartitionSpec> TwoPartitions() {
  return {{"MIG-a", "3g", "3g.40gb", 40000, 0}, {"MIG-b", "4g", "4g.40gb", 44000, 0}};
}

Arrived Arrival(InvocationId id, std::string owner, uint64_t memory = 1000, std::string instance = "any") {
  Demand demand{.owner = std::move(owner), .user = "", .mig_instance = std::move(instance), .memory_mib = memory};
  demand.user = demand.owner.substr(0, demand.owner.find('/'));
  return {id, std::move(demand)};
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
  const auto runs = Of<Grant>(scheduler.On(Started{start.container}));
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_EQ(runs[0].invocation, 1u);
  EXPECT_EQ(scheduler.Owner(start.partition), 1u);
}

TEST(SchedulerTest, AnIdleContainerIsReused) {
  Scheduler scheduler(TwoPartitions());
  const Start start = StartOf(scheduler, Arrival(1, "alice/f"));
  scheduler.On(Started{start.container});
  scheduler.On(Finished{1, 10});
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
  Scheduler scheduler({{"GPU-a", "7g", "7g", 10000, 0}});
  const Start start = StartOf(scheduler, Arrival(1, "alice/f"));
  scheduler.On(Started{start.container});
  EXPECT_TRUE(scheduler.On(Arrival(2, "alice/f")).empty());
  EXPECT_TRUE(scheduler.On(Arrival(3, "alice/f")).empty());
  EXPECT_EQ(Of<Grant>(scheduler.On(Finished{1, 10}))[0].invocation, 2u);
  EXPECT_EQ(Of<Grant>(scheduler.On(Finished{2, 10}))[0].invocation, 3u);
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
  EXPECT_EQ(Of<Grant>(scheduler.On(Finished{1, 10}))[0].invocation, 3u);
}

TEST(SchedulerTest, AYieldGivesThePartitionToTheNext) {
  Scheduler scheduler({{"GPU-a", "7g", "7g", 10000, 0}});
  const Start a = StartOf(scheduler, Arrival(1, "a")), b = StartOf(scheduler, Arrival(2, "b"));
  scheduler.On(Started{a.container});
  scheduler.On(Started{b.container});
  EXPECT_EQ(Of<Grant>(scheduler.On(Released{1}))[0].invocation, 2u);
  scheduler.On(Arrival(3, "a"));
  EXPECT_TRUE(Of<Grant>(scheduler.On(Finished{2, 10})).empty()) << "its container still runs the one that yielded";
  EXPECT_EQ(Of<Grant>(scheduler.On(Finished{1, 10}))[0].invocation, 3u);
}

TEST(SchedulerTest, TheLeastRecentlyUsedIdleContainerMakesRoom) {
  Scheduler scheduler({{"GPU-a", "7g", "7g", 2000, 0}});
  const Start a = StartOf(scheduler, Arrival(1, "a")), b = StartOf(scheduler, Arrival(2, "b"));
  scheduler.On(Started{a.container});
  scheduler.On(Started{b.container});
  scheduler.On(Finished{1, 10});
  scheduler.On(Finished{2, 10});
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
  const auto actions = scheduler.On(Finished{1, 10});
  EXPECT_TRUE(Of<Grant>(actions).empty());
  ASSERT_EQ(Of<Evict>(actions).size(), 1u);
}

TEST(SchedulerTest, WhileItsContainerIsBusyAnIdlePartitionGetsAnotherOne) {
  Scheduler scheduler(TwoPartitions());
  const Start first = StartOf(scheduler, Arrival(1, "a"));
  scheduler.On(Started{first.container});
  const Start second = StartOf(scheduler, Arrival(2, "a"));
  EXPECT_NE(second.partition, first.partition);
  EXPECT_TRUE(scheduler.On(Arrival(3, "a")).empty()) << "no partition is idle any more";
  EXPECT_EQ(Of<Grant>(scheduler.On(Finished{1, 10}))[0].invocation, 2u)
      << "whichever container is ready first takes it";
  EXPECT_EQ(Of<Grant>(scheduler.On(Started{second.container}))[0].invocation, 3u);
}

TEST(SchedulerTest, WhoRunsBesideOthersWhileAPartitionIsIdleGetsAContainerThereForItsNext) {
  std::vector<PartitionSpec> partitions = TwoPartitions();
  for (PartitionSpec& partition : partitions) partition.model = SharingModel::kOverlapCpu;
  Scheduler scheduler(partitions);
  const auto warm_up = [&](InvocationId id, const std::string& owner) {
    const Start start = StartOf(scheduler, Arrival(id, owner));
    scheduler.On(Started{start.container});
    scheduler.On(Finished{id, 10});
    return start;
  };
  const Start a = warm_up(1, "a");
  const Start b = warm_up(2, "b");
  ASSERT_EQ(a.partition, b.partition) << "it was idle";
  scheduler.On(Arrival(3, "a"));
  const auto actions = scheduler.On(Arrival(4, "b"));
  ASSERT_EQ(Of<Grant>(actions).size(), 1u);
  EXPECT_EQ(Of<Grant>(actions)[0].container, b.container) << "it does not wait for the new container";
  ASSERT_EQ(Of<Start>(actions).size(), 1u);
  const Start spread = Of<Start>(actions)[0];
  EXPECT_NE(spread.partition, b.partition);
  scheduler.On(Finished{4, 10});
  EXPECT_TRUE(Of<Start>(scheduler.On(Arrival(5, "b"))).empty()) << "one is on its way";
  scheduler.On(Started{spread.container});
  scheduler.On(Finished{5, 10});
  EXPECT_EQ(Of<Grant>(scheduler.On(Arrival(6, "b")))[0].container, spread.container);
}

TEST(SchedulerTest, WhoHasItsMaximumOfContainersRunsBesideOthersAndGetsNoMore) {
  std::vector<PartitionSpec> partitions = TwoPartitions();
  for (PartitionSpec& partition : partitions) partition.model = SharingModel::kFullOverlap;
  Scheduler scheduler(partitions);
  const Start a = StartOf(scheduler, Arrival(1, "a"));
  scheduler.On(Started{a.container});
  scheduler.On(Finished{1, 10});
  Arrived arrival = Arrival(2, "b");
  arrival.demand.max_containers = 1;
  const Start b = StartOf(scheduler, arrival);
  scheduler.On(Started{b.container});
  scheduler.On(Finished{2, 10});
  scheduler.On(Arrival(3, "a"));
  arrival.invocation = 4;
  const auto actions = scheduler.On(arrival);
  EXPECT_EQ(Of<Grant>(actions).size(), 1u);
  EXPECT_TRUE(Of<Start>(actions).empty());
}

TEST(SchedulerTest, AMaximumOfContainersIsUsedOnBusyPartitionsTooAndNeverExceeded) {
  Scheduler scheduler({{"GPU-a", "7g", "7g", 10000, 0}});
  Arrived arrival = Arrival(1, "a");
  arrival.demand.max_containers = 2;
  StartOf(scheduler, arrival);
  arrival.invocation = 2;
  StartOf(scheduler, arrival);
  arrival.invocation = 3;
  EXPECT_TRUE(scheduler.On(arrival).empty());
}

TEST(SchedulerTest, ConcurrencyBoundsWhatRunsOfAFunction) {
  PartitionSpec gpu{"GPU-a", "7g", "7g", 10000, 0};
  gpu.model = SharingModel::kFullOverlap;
  Scheduler scheduler({gpu});
  Arrived arrival = Arrival(1, "a");
  arrival.demand.max_containers = 4;
  arrival.demand.concurrency = 1;
  const Start first = StartOf(scheduler, arrival);
  scheduler.On(Started{first.container});
  arrival.invocation = 2;
  EXPECT_TRUE(scheduler.On(arrival).empty());
  EXPECT_EQ(Of<Grant>(scheduler.On(Finished{1, 10})).size(), 1u);
}

TEST(SchedulerTest, ACrashLeavesThoseThatWaitToAnotherContainerAndFreesThePartitionOnlyWhenTheProcessesAreGone) {
  Scheduler scheduler({{"GPU-a", "7g", "7g", 10000, 0}});
  const Start a = StartOf(scheduler, Arrival(1, "a")), b = StartOf(scheduler, Arrival(2, "b"));
  scheduler.On(Started{a.container});
  scheduler.On(Started{b.container});
  scheduler.On(Arrival(3, "a"));
  const auto actions = scheduler.On(Ending{a.container});
  EXPECT_TRUE(Of<Abandon>(actions).empty());
  EXPECT_TRUE(Of<Grant>(actions).empty()) << "its GPU work may still run";
  ASSERT_EQ(Of<Start>(actions).size(), 1u);
  EXPECT_EQ(Of<Start>(actions)[0].invocation, 3u);
  EXPECT_EQ(Of<Grant>(scheduler.On(Gone{a.container}))[0].invocation, 2u);
  EXPECT_EQ(scheduler.FreeMemoryMib(0), 8000u);
}

TEST(SchedulerTest, AContainerThatDoesNotStartAbandonsThoseThatWaitForIt) {
  Scheduler scheduler({{"GPU-a", "7g", "7g", 10000, 0}});
  const Start a = StartOf(scheduler, Arrival(1, "a"));
  scheduler.On(Arrival(2, "a"));
  const auto abandoned = Of<Abandon>(scheduler.On(Ending{a.container}));
  ASSERT_EQ(abandoned.size(), 2u);
  EXPECT_EQ(abandoned[0].invocation, 1u);
  scheduler.On(Gone{a.container});
  EXPECT_EQ(scheduler.Containers(), 0u);
  StartOf(scheduler, Arrival(3, "a"));
}

TEST(SchedulerTest, AContainerThatOthersKeptFromStartingIsTriedAgainOnce) {
  Scheduler scheduler({{"GPU-a", "7g", "7g", 10000, 0}});
  const Start first = StartOf(scheduler, Arrival(1, "a"));
  scheduler.On(Arrival(2, "a"));
  const auto actions = scheduler.On(Ending{first.container, true});
  EXPECT_TRUE(Of<Abandon>(actions).empty());
  const auto starts = Of<Start>(actions);
  ASSERT_FALSE(starts.empty());
  EXPECT_EQ(starts[0].invocation, 1u);
  EXPECT_NE(starts[0].container, first.container);
  size_t abandoned = 0;
  for (const Start& start : starts) abandoned += Of<Abandon>(scheduler.On(Ending{start.container, true})).size();
  EXPECT_EQ(abandoned, 2u);
}

TEST(SchedulerTest, OnceAContainerHasStartedTheNextMayBeTriedAgain) {
  Scheduler scheduler({{"GPU-a", "7g", "7g", 10000, 0}});
  for (InvocationId id = 1; id <= 3; ++id) {
    const Start first = StartOf(scheduler, Arrival(id, "a"));
    const auto again = Of<Start>(scheduler.On(Ending{first.container, true}));
    ASSERT_EQ(again.size(), 1u);
    EXPECT_EQ(Of<Grant>(scheduler.On(Started{again[0].container}))[0].invocation, id);
    scheduler.On(Finished{id, 10});
    scheduler.On(Ending{again[0].container});
    scheduler.On(Gone{first.container});
    scheduler.On(Gone{again[0].container});
  }
}

// An invocation that was granted a container which failed before anything ran in it comes again.
TEST(SchedulerTest, AnInvocationMayComeAgainOnceItIsOver) {
  Scheduler scheduler({{"GPU-a", "7g", "7g", 10000, 0}});
  const Start first = StartOf(scheduler, Arrival(1, "a"));
  ASSERT_EQ(Of<Grant>(scheduler.On(Started{first.container})).size(), 1u);
  scheduler.On(Ending{first.container});
  scheduler.On(Finished{1, 0});
  const Start second = StartOf(scheduler, Arrival(1, "a"));
  EXPECT_EQ(Of<Grant>(scheduler.On(Started{second.container}))[0].invocation, 1u);
  scheduler.On(Gone{first.container});
  scheduler.On(Finished{1, 10});
  EXPECT_EQ(scheduler.RunningOn(0), 0u);
}

TEST(SchedulerTest, ASecondContainerThatDoesNotStartIsNotTriedAgainAtOnce) {
  Scheduler scheduler(TwoPartitions());
  const Start first = StartOf(scheduler, Arrival(1, "a"));
  scheduler.On(Started{first.container});
  const Start second = StartOf(scheduler, Arrival(2, "a"));
  EXPECT_TRUE(Of<Abandon>(scheduler.On(Ending{second.container})).empty());
  EXPECT_TRUE(scheduler.On(Gone{second.container}).empty());
  EXPECT_EQ(Of<Grant>(scheduler.On(Finished{1, 10}))[0].invocation, 2u);
}

TEST(SchedulerTest, KeptContainersAreStartedAheadAndGiveWayLast) {
  Scheduler scheduler({{"GPU-a", "7g", "7g", 2000, 0}});
  const auto kept = Of<Start>(scheduler.On(Keep{{{Arrival(0, "a").demand, 1}}}));
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].invocation, 0u);
  scheduler.On(Started{kept[0].container});
  EXPECT_TRUE(scheduler.On(Expired{kept[0].container}).empty());
  const Start b = StartOf(scheduler, Arrival(1, "b"));
  scheduler.On(Started{b.container});
  scheduler.On(Finished{1, 10});
  const auto first = Of<Evict>(scheduler.On(Arrival(2, "c")));
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].container, b.container) << "although it was used last";
  scheduler.On(Withdrawn{2});
  scheduler.On(Gone{b.container});
  EXPECT_EQ(Of<Evict>(scheduler.On(Arrival(3, "d", 2000))).size(), 1u)
      << "what waits counts for more than what may come";
}

TEST(SchedulerTest, AKeptContainerThatEndsIsReplacedUnlessItDidNotStart) {
  Scheduler scheduler({{"GPU-a", "7g", "7g", 2000, 0}});
  const auto starts = Of<Start>(scheduler.On(Keep{{{Arrival(0, "a").demand, 1}}}));
  scheduler.On(Started{starts[0].container});
  const auto again = Of<Start>(scheduler.On(Ending{starts[0].container}));
  ASSERT_EQ(again.size(), 1u);
  EXPECT_TRUE(scheduler.On(Ending{again[0].container}).empty());
}

TEST(SchedulerTest, AnIdleContainerExpires) {
  Scheduler scheduler({{"GPU-a", "7g", "7g", 2000, 0}});
  const Start a = StartOf(scheduler, Arrival(1, "a"));
  scheduler.On(Started{a.container});
  EXPECT_TRUE(scheduler.On(Expired{a.container}).empty()) << "it runs";
  scheduler.On(Finished{1, 10});
  EXPECT_EQ(Of<Evict>(scheduler.On(Expired{a.container})).size(), 1u);
}

TEST(SchedulerTest, ContainersOfOneUserPayForOneContextWhereTheyShareIt) {
  PartitionSpec gpu{"GPU-a", "7g", "7g", 10000, 500};
  gpu.shares_context = true;
  Scheduler scheduler({gpu});
  const Start f = StartOf(scheduler, Arrival(1, "alice/f")), g = StartOf(scheduler, Arrival(2, "alice/g"));
  EXPECT_EQ(scheduler.FreeMemoryMib(0), 7500u);
  StartOf(scheduler, Arrival(3, "bob/f"));
  EXPECT_EQ(scheduler.FreeMemoryMib(0), 6000u);
  scheduler.On(Withdrawn{1});
  scheduler.On(Withdrawn{2});
  scheduler.On(Gone{f.container});
  EXPECT_EQ(scheduler.FreeMemoryMib(0), 7000u) << "the other one still has it";
  scheduler.On(Gone{g.container});
  EXPECT_EQ(scheduler.FreeMemoryMib(0), 8500u);
}

TEST(SchedulerTest, AClosedPartitionTakesNothingAndWhatFitsNowhereElseIsRefused) {
  Scheduler scheduler(TwoPartitions());
  const Start three = StartOf(scheduler, Arrival(1, "a", 1000, "3g"));
  scheduler.On(Started{three.container});
  scheduler.On(Arrival(2, "a", 1000, "3g"));
  const auto rejected = Of<Reject>(scheduler.On(Closed{0}));
  ASSERT_EQ(rejected.size(), 1u);
  EXPECT_EQ(rejected[0].invocation, 2u);
  EXPECT_EQ(StartOf(scheduler, Arrival(3, "a")).partition, 1u);
  EXPECT_EQ(Of<Reject>(scheduler.On(Arrival(4, "a", 1000, "3g"))).size(), 1u);
  scheduler.On(Opened{TwoPartitions()[0]});
  EXPECT_TRUE(Of<Reject>(scheduler.On(Arrival(5, "a", 1000, "3g"))).empty());
}

TEST(SchedulerTest, UsersTakeTurns) {
  Scheduler scheduler({{"GPU-a", "7g", "7g", 10000, 0}});
  const Start a = StartOf(scheduler, Arrival(1, "alice/f")), b = StartOf(scheduler, Arrival(2, "bob/f"));
  for (InvocationId id = 3; id < 9; ++id) scheduler.On(Arrival(id, "alice/f"));
  scheduler.On(Arrival(9, "bob/f"));
  scheduler.On(Started{b.container});
  scheduler.On(Started{a.container});
  EXPECT_EQ(Of<Grant>(scheduler.On(Finished{2, 1e4}))[0].invocation, 1u);
  EXPECT_EQ(Of<Grant>(scheduler.On(Finished{1, 1e4}))[0].invocation, 3u) << "same tag, came first";
  EXPECT_EQ(Of<Grant>(scheduler.On(Finished{3, 1e4}))[0].invocation, 9u) << "bob does not wait for all of alice's";
}

}  // namespace
}  // namespace mignificient::sched
