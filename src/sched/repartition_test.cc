#include <gtest/gtest.h>

#include "sched/scheduler.h"

namespace mignificient::sched {
namespace {

// One GPU with two partitions, another with one.
std::vector<PartitionSpec> TwoGpus() {
  return {{"a", "1g", "1g.10gb", 10000, 0}, {"b", "1g", "1g.10gb", 10000, 0}, {"c", "2g", "2g.20gb", 20000, 0}};
}
const std::vector<size_t> kFirstGpu = {0, 1};

Makeable Kinds() {
  return {{{"", "3g", "3g.40gb", 40000, 0}, {"", "1g", "1g.10gb", 10000, 0}}};
}

Arrived Arrival(InvocationId id, std::string owner, std::string instance, uint64_t memory = 1000) {
  return {id, {.owner = owner, .user = owner, .mig_instance = std::move(instance), .memory_mib = memory}};
}

template <typename Kind>
std::vector<Kind> Of(const std::vector<Action>& actions) {
  std::vector<Kind> found;
  for (const Action& action : actions)
    if (const Kind* kind = std::get_if<Kind>(&action)) found.push_back(*kind);
  return found;
}

// A container of `owner`, idle, on the partition that its only arrival chose.
Start IdleContainer(Scheduler& scheduler, InvocationId id, const std::string& owner, const std::string& instance) {
  const auto starts = Of<Start>(scheduler.On(Arrival(id, owner, instance)));
  EXPECT_EQ(starts.size(), 1u);
  scheduler.On(Started{starts.at(0).container});
  scheduler.On(Finished{id, 10});
  return starts.at(0);
}

TEST(RepartitionTest, WhatCanBeMadeWaitsAndWhatCannotIsRefusedWithWhatCanBeMade) {
  Scheduler scheduler(TwoGpus());
  EXPECT_EQ(Of<Reject>(scheduler.On(Arrival(1, "a", "3g"))).size(), 1u) << "nothing can be made yet";
  scheduler.On(Kinds());
  const auto waits = scheduler.On(Arrival(2, "a", "3g"));
  EXPECT_TRUE(Of<Reject>(waits).empty());
  ASSERT_EQ(Of<Unhoused>(waits).size(), 1u);
  EXPECT_TRUE(scheduler.IsUnhoused(2));
  EXPECT_TRUE(Of<Unhoused>(scheduler.On(Arrival(3, "a", "any", 30000))).size() == 1) << "by its memory";
  const auto never = Of<Reject>(scheduler.On(Arrival(4, "a", "7g")));
  ASSERT_EQ(never.size(), 1u);
  EXPECT_NE(never[0].reason.find("[7g]"), std::string::npos);
  EXPECT_NE(never[0].reason.find("It can make: 3g.40gb with 40000 MiB"), std::string::npos);
  EXPECT_EQ(Of<Reject>(scheduler.On(Arrival(5, "a", "3g", 40001))).size(), 1u);
  EXPECT_EQ(scheduler.Waiting(), 2u);
}

TEST(RepartitionTest, WhoAsksForWhatIsThereIsNotUnhousedHoweverLongTheQueue) {
  Scheduler scheduler(TwoGpus());
  scheduler.On(Kinds());
  for (InvocationId id = 1; id < 9; ++id) EXPECT_TRUE(Of<Unhoused>(scheduler.On(Arrival(id, "a", "2g"))).empty());
  EXPECT_TRUE(scheduler.WantedPartitions().empty());
}

TEST(RepartitionTest, WhatIsWantedIsCountedAsFarAsItCouldRunAtOnce) {
  Scheduler scheduler(TwoGpus());
  scheduler.On(Kinds());
  Arrived arrival = Arrival(1, "a", "3g");
  arrival.demand.concurrency = 2;
  for (; arrival.invocation < 6; ++arrival.invocation) scheduler.On(arrival);
  scheduler.On(Arrival(6, "b", "3g.40gb"));
  const auto wanted = scheduler.WantedPartitions();
  ASSERT_EQ(wanted.size(), 2u);
  EXPECT_EQ(wanted[0].first, 1u);
  EXPECT_EQ(wanted[0].count, 2u);
  EXPECT_EQ(wanted[1].count, 1u);
}

TEST(RepartitionTest, AGpuIsVacatedLeastRecentlyUsedFirstAndItsPartitionsTakeNothingUntilTheyAreOpened) {
  Scheduler scheduler(TwoGpus());
  scheduler.On(Kinds());
  const Start first = IdleContainer(scheduler, 1, "a", "1g"), second = IdleContainer(scheduler, 2, "b", "1g");
  scheduler.On(Arrival(3, "a", "1g"));  // which makes its container the last one used
  scheduler.On(Finished{3, 10});
  scheduler.On(Arrival(4, "c", "3g"));
  ASSERT_TRUE(scheduler.MayVacate(kFirstGpu));
  const auto evicted = Of<Evict>(scheduler.On(Vacate{kFirstGpu}));
  ASSERT_EQ(evicted.size(), 2u);
  EXPECT_EQ(evicted[0].container, second.container);
  EXPECT_EQ(evicted[1].container, first.container);
  EXPECT_TRUE(scheduler.IsVacant(0) && !scheduler.IsOpen(0));
  EXPECT_EQ(scheduler.ContainersOn(0) + scheduler.ContainersOn(1), 2u) << "their processes are not gone yet";

  const auto meanwhile = scheduler.On(Arrival(5, "a", "1g"));
  EXPECT_TRUE(Of<Start>(meanwhile).empty());
  EXPECT_TRUE(Of<Reject>(meanwhile).empty()) << "it may come back";
  scheduler.On(Gone{first.container});
  scheduler.On(Gone{second.container});
  EXPECT_EQ(scheduler.ContainersOn(0) + scheduler.ContainersOn(1), 0u);

  EXPECT_TRUE(Of<Reject>(scheduler.On(Closed{0})).empty());
  EXPECT_TRUE(Of<Reject>(scheduler.On(Closed{1})).empty()) << "another can be made";
  const auto opened = Of<Start>(scheduler.On(Opened{{"a", "3g", "3g.40gb", 40000, 0}}));
  ASSERT_EQ(opened.size(), 1u);
  EXPECT_EQ(opened[0].invocation, 4u);
  EXPECT_EQ(opened[0].partition, 3u) << "of the same uuid, but another";
  EXPECT_TRUE(scheduler.IsUnhoused(5)) << "now it is the other's turn to wait";
}

TEST(RepartitionTest, WhenNothingComesOfItThePartitionsAreUsedAgain) {
  Scheduler scheduler(TwoGpus());
  scheduler.On(Kinds());
  scheduler.On(Arrival(1, "c", "3g"));
  scheduler.On(Vacate{kFirstGpu});
  scheduler.On(Arrival(2, "a", "1g"));
  const auto starts = Of<Start>(scheduler.On(Opened{TwoGpus()[0]}));
  ASSERT_EQ(starts.size(), 1u);
  EXPECT_EQ(starts[0].partition, 0u);
  EXPECT_EQ(starts[0].invocation, 2u);
  EXPECT_TRUE(scheduler.IsUnhoused(1)) << "still waits";
}

TEST(RepartitionTest, AGpuThatIsUsedIsNotVacated) {
  Scheduler scheduler(TwoGpus());
  scheduler.On(Kinds());
  const Start start = Of<Start>(scheduler.On(Arrival(1, "a", "1g"))).at(0);
  const auto refuses = [&](const char* why) {
    EXPECT_FALSE(scheduler.MayVacate(kFirstGpu)) << why;
    EXPECT_TRUE(scheduler.On(Vacate{kFirstGpu}).empty()) << why;
    EXPECT_TRUE(scheduler.IsOpen(0) && scheduler.IsOpen(1)) << why;
  };
  refuses("a container starts");
  scheduler.On(Started{start.container});
  refuses("an invocation runs");
  scheduler.On(Released{1});
  refuses("it runs on without the GPU");
  scheduler.On(Finished{1, 10});
  EXPECT_TRUE(scheduler.MayVacate(kFirstGpu));
  EXPECT_FALSE(scheduler.MayVacate({0, 7}));
}

TEST(RepartitionTest, AGpuThatSomebodyWaitsForIsNotVacated) {
  Scheduler scheduler(TwoGpus());
  scheduler.On(Kinds());
  Arrived arrival = Arrival(1, "a", "any", 15000);  // only the second GPU holds it
  arrival.demand.concurrency = 1;
  scheduler.On(Started{Of<Start>(scheduler.On(arrival)).at(0).container});
  EXPECT_TRUE(scheduler.MayVacate(kFirstGpu));
  arrival = Arrival(2, "a", "any", 5000);
  arrival.demand.concurrency = 1;
  EXPECT_TRUE(scheduler.On(arrival).empty()) << "it waits for the other one of its function";
  EXPECT_FALSE(scheduler.MayVacate(kFirstGpu));
}

TEST(RepartitionTest, ContainersThatAreKeptAreUse) {
  Scheduler scheduler(TwoGpus());
  scheduler.On(Kinds());
  const auto kept = Of<Start>(scheduler.On(Keep{{{Arrival(0, "a", "1g").demand, 1}}}));
  scheduler.On(Started{kept.at(0).container});
  EXPECT_FALSE(scheduler.MayVacate(kFirstGpu));
  scheduler.On(Keep{});
  EXPECT_TRUE(scheduler.MayVacate(kFirstGpu));
}

TEST(RepartitionTest, UseIsTold) {
  Scheduler scheduler(TwoGpus());
  EXPECT_EQ(scheduler.LastUse(2), 0u);
  std::vector<uint64_t> uses;
  const Start start = Of<Start>(scheduler.On(Arrival(1, "a", "2g"))).at(0);
  uses.push_back(scheduler.LastUse(2));
  scheduler.On(Started{start.container});
  uses.push_back(scheduler.LastUse(2));
  scheduler.On(Finished{1, 10});
  uses.push_back(scheduler.LastUse(2));
  EXPECT_LT(0u, uses[0]);
  EXPECT_LT(uses[0], uses[1]);
  EXPECT_LT(uses[1], uses[2]);
  scheduler.On(Expired{start.container});
  EXPECT_EQ(scheduler.LastUse(2), uses[2]);
}

TEST(RepartitionTest, WhatCanNoLongerBeMadeIsRefused) {
  Scheduler scheduler(TwoGpus());
  scheduler.On(Kinds());
  scheduler.On(Arrival(1, "a", "3g"));
  EXPECT_EQ(Of<Reject>(scheduler.On(Makeable{})).size(), 1u);
  EXPECT_EQ(scheduler.Waiting(), 0u);
}

}  // namespace
}  // namespace mignificient::sched
