#include "device/mig_plan.h"

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "device/fake_state.h"
#include "device/testing_gpu.h"

namespace mignificient::device {
namespace {

std::vector<WantedInstance> Wanted(const ProfileCounts& counts) {
  auto wanted = WantedInstances(H100Table(), counts);
  EXPECT_TRUE(wanted) << wanted.error().message();
  return wanted ? *wanted : std::vector<WantedInstance>{};
}

TEST(MigPlanTest, SmallerComputeInstancesShareGpuInstances) {
  EXPECT_EQ(Wanted({{"3g.40gb", 1}, {"1c.3g.40gb", 3}}), (std::vector<WantedInstance>{{9, {3}}, {9, {1, 1, 1}}}));
  EXPECT_EQ(Wanted({{"1c.3g.40gb", 1}, {"2c.3g.40gb", 2}}), (std::vector<WantedInstance>{{9, {2, 1}}, {9, {2}}}));
  EXPECT_EQ(
      WantedInstances(H100Table(), {{"1g.5gb", 1}}).error().message(),
      "Profile 1g.5gb does not exist on this GPU; it has 1g.10gb, 1g.10gb+me, 1g.20gb, 2g.20gb, 3g.40gb, 4g.40gb, "
      "7g.80gb.");
}

TEST(MigPlanTest, TheOrderOfTheFileDoesNotDecideWhetherItFits) {
  // One slice placed at 0 would leave no room for 4g.40gb.
  const auto plan = PlanInstances(H100Table(), {}, Wanted({{"1g.10gb", 3}, {"4g.40gb", 1}}));
  ASSERT_TRUE(plan) << plan.error().message();
  EXPECT_EQ(plan->create.size(), 4u);
}

TEST(MigPlanTest, WhatDoesNotFitIsExplained) {
  const auto refusal = [](const ProfileCounts& counts) {
    const auto plan = PlanInstances(H100Table(), {}, Wanted(counts));
    return plan ? std::string("planned") : plan.error().message();
  };
  EXPECT_EQ(refusal({{"3g.40gb", 3}}), "Of profile 3g.40gb 3 instances are wanted; at most 2 fit on the GPU.");
  EXPECT_EQ(refusal({{"1g.10gb", 7}, {"2g.20gb", 1}}),
            "7 of 1g.10gb, 1 of 2g.20gb need 9 compute slices; the GPU has 7.");
  EXPECT_EQ(refusal({{"3g.40gb", 2}, {"1g.10gb", 1}}),
            "1 of 1g.10gb, 2 of 3g.40gb do not fit on the GPU together: their memory slices overlap wherever they are "
            "placed.");
}

TEST(MigPlanTest, WhatIsThereAlreadyIsKept) {
  const std::vector<MigInstance> existing = {{1, 9, {0, 4}, {3}}, {3, 14, {4, 2}, {2}}};
  const auto plan = PlanInstances(H100Table(), existing, Wanted({{"3g.40gb", 1}, {"1g.10gb", 2}}));
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->destroy, std::vector<uint32_t>{3});
  EXPECT_EQ(plan->create.size(), 2u);
  EXPECT_TRUE(PlanInstances(H100Table(), existing, Wanted({{"3g.40gb", 1}, {"2g.20gb", 1}}))->Empty());
}

TEST(MigPlanTest, WhatIsInTheWayIsMoved) {
  // 3g at 0 leaves no place for 4g, which lies at 0 only.
  const std::vector<MigInstance> existing = {{1, 9, {0, 4}, {3}}};
  const auto plan = PlanInstances(H100Table(), existing, Wanted({{"3g.40gb", 1}, {"4g.40gb", 1}}));
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->destroy, std::vector<uint32_t>{1});
  EXPECT_EQ(plan->create.size(), 2u);
}

TEST(MigPlanTest, ABusyInstanceIsKeptRatherThanAnIdleOneOfItsKind) {
  const std::vector<MigInstance> existing = {{7, 19, {0, 1}, {1}}, {8, 19, {1, 1}, {1}, true}};
  EXPECT_EQ(PlanInstances(H100Table(), existing, Wanted({{"1g.10gb", 1}}))->destroy, std::vector<uint32_t>{7});
}

// All multisets of places that the driver would accept, found by asking the fake: the truth to compare with.
void EveryArrangement(FakeGpu& gpu, size_t from, std::set<std::vector<uint32_t>>& found) {
  std::vector<uint32_t> profiles;
  for (const FakeGpuInstance& instance : gpu.instances) profiles.push_back(instance.profile_id);
  std::ranges::sort(profiles);
  found.insert(profiles);
  std::vector<std::pair<uint32_t, Placement>> places;
  for (const FakeGpuProfile& profile : H100GpuProfiles())
    for (const Placement place : profile.placements) places.emplace_back(profile.profile.id, place);
  for (size_t i = from; i < places.size(); ++i) {
    const auto id = gpu.CreateInstance(places[i].first, places[i].second);
    if (!id) continue;
    EveryArrangement(gpu, i + 1, found);
    ASSERT_TRUE(gpu.DestroyInstance(*id));
  }
}

std::string Carry(FakeGpu& gpu, const InstancePlan& plan) {
  for (const uint32_t id : plan.destroy)
    if (const auto done = gpu.DestroyInstance(id); !done) return done.error().message();
  for (const CreateInstance& create : plan.create)
    if (const auto done = gpu.CreateInstance(create.profile_id, create.placement); !done) return done.error().message();
  return "";
}

// For every mix of up to four kinds in any number: it is planned exactly if the driver can hold it, and the plan works,
// from whatever was there before.
TEST(MigPlanTest, AnyMixThatFitsIsPlannedAndThePlanWorksAndNoOther) {
  const ProfileTable table = H100Table();
  FakeGpu gpu = FakeState::H100s(1, true).gpus[0];
  std::set<std::vector<uint32_t>> possible;
  EveryArrangement(gpu, 0, possible);
  ASSERT_GT(possible.size(), 50u);
  const std::vector<std::vector<uint32_t>> all(possible.begin(), possible.end());

  Dice dice(2);
  size_t fitting = 0, unfitting = 0;
  for (int round = 0; round < 3000; ++round) {
    std::vector<uint32_t> profiles;
    if (dice.Below(2) == 0) {
      profiles = all[dice.Below(static_cast<uint32_t>(all.size()))];
    } else {
      for (uint32_t count = dice.Below(9); count > 0; --count) profiles.push_back(table[dice.Below(7)].profile.id);
      std::ranges::sort(profiles);
    }
    std::vector<WantedInstance> wanted;
    for (const uint32_t id : profiles) wanted.push_back({id, {FindProfile(table, id)->profile.slices}});
    std::vector<MigInstance> existing;
    for (const FakeGpuInstance& i : gpu.instances)
      existing.push_back({i.id, i.profile_id, i.placement, {FindProfile(table, i.profile_id)->profile.slices}});

    const auto plan = PlanInstances(table, existing, wanted);
    ASSERT_EQ(plan.has_value(), possible.contains(profiles)) << fmt::format("{}", fmt::join(profiles, " "));
    plan ? ++fitting : ++unfitting;
    if (!plan) continue;
    ASSERT_EQ(Carry(gpu, *plan), "");
    std::vector<uint32_t> now;
    for (const FakeGpuInstance& i : gpu.instances) now.push_back(i.profile_id);
    std::ranges::sort(now);
    ASSERT_EQ(now, profiles);
  }
  EXPECT_GT(fitting, 1000u);
  EXPECT_GT(unfitting, 500u);
}

}  // namespace
}  // namespace mignificient::device
