#include "device/mig_mix.h"

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "device/fake_state.h"
#include "device/testing_gpu.h"

namespace mignificient::device {
namespace {

using Demands = std::vector<Demand>;

std::string Text(const std::optional<InstancePlan>& plan) {
  if (!plan) return "nothing";
  std::vector<std::string> created;
  for (const CreateInstance& create : plan->create)
    created.push_back(FindProfile(H100Table(), create.profile_id)->profile.name);
  std::ranges::sort(created);
  return fmt::format("-{} +{}", plan->destroy.size(), fmt::join(created, ","));
}

std::string Plan(std::vector<MigInstance> existing, const Demands& demands) {
  return Text(PlanMix(H100Table(), existing, demands));
}

TEST(MigMixTest, AnEmptyGpuGetsWhatWaits) {
  EXPECT_EQ(Plan({}, {{"3g", 0, 1}, {"4g", 0, 1}}), "-0 +3g.40gb,4g.40gb");
  EXPECT_EQ(Plan({}, {{"1g.20gb", 0, 2}}), "-0 +1g.20gb,1g.20gb");
  EXPECT_EQ(Plan({}, {{"any", 0, 1}}), "-0 +1g.10gb");
  EXPECT_EQ(Plan({}, {{"any", 30000, 1}}), "-0 +3g.40gb");
  EXPECT_EQ(Plan({}, {}), "nothing");
  EXPECT_EQ(Plan({}, {{"5g", 0, 3}}), "nothing");
}

TEST(MigMixTest, MoreThanFitsIsServedAsFarAsItGoes) {
  EXPECT_EQ(Plan({}, {{"3g", 0, 5}}), "-0 +3g.40gb,3g.40gb");
  EXPECT_EQ(Plan({}, {{"7g", 0, 1}, {"1g.10gb", 0, 2}}), "-0 +1g.10gb,1g.10gb");
}

TEST(MigMixTest, WhatAlreadyServesIsLeftAlone) {
  const std::vector<MigInstance> existing = {{1, 9, {0, 4}, {3}}};
  EXPECT_EQ(Plan(existing, {{"3g", 0, 1}}), "nothing");
  EXPECT_EQ(Plan(existing, {{"3g", 0, 2}}), "-0 +3g.40gb");
  EXPECT_EQ(Plan(existing, {{"4g", 0, 1}}), "-1 +4g.40gb");
}

TEST(MigMixTest, BusyInstancesStayAndServeNothing) {
  const std::vector<MigInstance> existing = {{1, 9, {0, 4}, {3}, true}};
  EXPECT_EQ(Plan(existing, {{"3g", 0, 1}}), "-0 +3g.40gb");
  EXPECT_EQ(Plan(existing, {{"4g", 0, 1}}), "nothing");
  EXPECT_EQ(Plan(existing, {{"7g", 0, 1}}), "nothing");
}

TEST(MigMixTest, WhateverIsThereAndWaitsThePlanServesMoreAndTouchesNothingBusy) {
  const ProfileTable table = H100Table();
  Dice dice(4);
  int planned = 0;
  for (int round = 0; round < 150; ++round) {
    FakeGpu gpu = FakeState::H100s(1, true).gpus[0];
    std::vector<MigInstance> existing;
    for (uint32_t tries = dice.Below(6); tries > 0; --tries) {
      const PlacedProfile& profile = table[dice.Below(7)];
      const Placement place = profile.placements[dice.Below(static_cast<uint32_t>(profile.placements.size()))];
      if (const auto id = gpu.CreateInstance(profile.profile.id, place))
        existing.push_back({*id, profile.profile.id, place, {profile.profile.slices}, dice.Below(3) == 0});
    }
    const char* kinds[] = {"1g", "2g", "3g", "4g", "7g", "1g.20gb", "any"};
    Demands demands;
    for (uint32_t i = dice.Below(3) + 1; i > 0; --i)
      demands.push_back({kinds[dice.Below(7)], dice.Below(2) * 15000, dice.Below(3) + 1});

    const auto plan = PlanMix(table, existing, demands);
    if (!plan) continue;
    ++planned;
    for (const uint32_t id : plan->destroy) {
      ASSERT_FALSE(std::ranges::find(existing, id, &MigInstance::id)->busy);
      ASSERT_TRUE(gpu.DestroyInstance(id));
    }
    for (const CreateInstance& create : plan->create) {
      ASSERT_TRUE(gpu.CreateInstance(create.profile_id, create.placement));
      ASSERT_TRUE(std::ranges::any_of(
          demands, [&](const Demand& d) { return Serves(FindProfile(table, create.profile_id)->profile, d); }));
    }
    ASSERT_FALSE(plan->create.empty());
    // Having done it, there is nothing more to do.
    std::vector<MigInstance> now;
    for (const FakeGpuInstance& i : gpu.instances) {
      const auto old = std::ranges::find(existing, i.placement, &MigInstance::placement);
      now.push_back({i.id, i.profile_id, i.placement, {}, old != existing.end() && old->busy});
    }
    ASSERT_EQ(Text(PlanMix(table, now, demands)), "nothing");
  }
  EXPECT_GT(planned, 50);
}

}  // namespace
}  // namespace mignificient::device
