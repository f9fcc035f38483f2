#include "device/mig_apply.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "device/fake_nvml.h"
#include "device/testing_gpu.h"

namespace mignificient::device {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

MigConfig On(ProfileCounts counts) {
  return {{.mig_enabled = true, .mig_devices = std::move(counts)}};
}
const MigConfig kOff = {{.mig_enabled = false}};

// Plans and carries out; the error of the plan, or the report.
Result<ApplyReport> Apply(FakeNvml& nvml, const MigConfig& config) {
  MIG_ASSIGN(const auto gpus, ReadAllMig(nvml));
  MIG_ASSIGN(const auto plans, PlanMig(gpus, config));
  return ApplyMig(nvml, gpus, plans);
}

ProfileCounts Now(FakeNvml& nvml, uint32_t gpu) {
  const auto mig = ReadGpuMig(nvml, gpu).value();
  return CountDevices(mig.table, mig.instances);
}

std::vector<std::string> Differences(FakeNvml& nvml, const MigConfig& config) {
  return DifferencesFrom(ReadAllMig(nvml).value(), config);
}

TEST(MigApplyTest, ModeAndInstancesBecomeWhatTheConfigurationSaysOnEachGpu) {
  FakeNvml nvml(FakeState::H100s(2, false));
  const MigConfig config = {
      {.all_devices = false, .devices = {0}, .mig_enabled = true, .mig_devices = {{"3g.40gb", 2}}},
      {.all_devices = false, .devices = {1}, .mig_enabled = false}};
  const auto report = Apply(nvml, config);
  ASSERT_TRUE(report && !report->failure);
  EXPECT_EQ(Now(nvml, 0), (ProfileCounts{{"3g.40gb", 2}}));
  EXPECT_FALSE(nvml.Mode(1).value()->current);
  EXPECT_THAT(Differences(nvml, config), IsEmpty());
}

TEST(MigApplyTest, ApplyingAgainChangesNothing) {
  FakeNvml nvml(FakeState::H100s(1, false));
  const MigConfig config = On({{"1g.10gb", 3}, {"4g.40gb", 1}});
  ASSERT_TRUE(Apply(nvml, config));
  const std::string before = FakeStateJson(nvml.State().value());
  const auto plans = PlanMig(ReadAllMig(nvml).value(), config).value();
  EXPECT_TRUE(plans[0].Empty());
  EXPECT_THAT(Apply(nvml, config)->done, IsEmpty());
  EXPECT_EQ(FakeStateJson(nvml.State().value()), before);
}

TEST(MigApplyTest, WhatDoesNotFitChangesNothing) {
  FakeState state = FakeState::H100s(2, true);
  state.gpus[0].mode = {};
  state.gpus[0].profiles_need_mig = true;
  FakeNvml nvml(std::move(state));
  const std::string before = FakeStateJson(nvml.State().value());
  const auto known = Apply(nvml, On({{"3g.40gb", 3}}));
  ASSERT_FALSE(known);
  EXPECT_THAT(known.error().message(), HasSubstr("at most 2 fit on the GPU.\n - While planning for GPU 1"));
  EXPECT_EQ(FakeStateJson(nvml.State().value()), before);

  MigConfig first = On({{"3g.40gb", 3}});
  first[0].all_devices = false;
  first[0].devices = {0};
  const auto unknown = Apply(nvml, first);
  ASSERT_TRUE(unknown);
  ASSERT_TRUE(unknown->failure);
  EXPECT_THAT(unknown->failure->message(), HasSubstr("at most 2 fit on the GPU."));
  EXPECT_THAT(unknown->left, IsEmpty());
  EXPECT_EQ(FakeStateJson(nvml.State().value()), before);  // MIG mode is off again
}

TEST(MigApplyTest, SmallComputeInstancesAreCreatedInAnOrderThatFits) {
  FakeNvml nvml(FakeState::H100s(1, true));
  // The driver puts three slices at 0, and then has no room for the second two.
  const auto report = Apply(nvml, On({{"3c.7g.80gb", 1}, {"2c.7g.80gb", 2}}));
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->failure) << report->failure->message();
  EXPECT_EQ(Now(nvml, 0), (ProfileCounts{{"2c.7g.80gb", 2}, {"3c.7g.80gb", 1}}));
}

TEST(MigApplyTest, AFailedStepIsRolledBack) {
  for (const auto& [function, after] :
       {std::pair{"nvmlDeviceCreateGpuInstanceWithPlacement", 2u},
        std::pair{"nvmlGpuInstanceCreateComputeInstance", 3u}, std::pair{"nvmlGpuInstanceDestroy", 1u},
        std::pair{"nvmlComputeInstanceDestroy", 1u}}) {
    FakeNvml nvml(FakeState::H100s(1, true));
    ASSERT_TRUE(Apply(nvml, On({{"3g.40gb", 1}, {"1c.3g.40gb", 3}})));
    const auto before = ReadGpuMig(nvml, 0).value();
    ASSERT_TRUE(nvml.Change([&](FakeState& state) { state.failures = {{function, NvmlStatus::kUnknown, after}}; }));
    const auto report = Apply(nvml, On({{"1g.10gb", 7}}));
    ASSERT_TRUE(report);
    ASSERT_TRUE(report->failure) << function;
    EXPECT_THAT(report->failure->message(), HasSubstr("NVML_ERROR_UNKNOWN"));
    EXPECT_THAT(report->left, IsEmpty()) << function;
    const auto now = ReadGpuMig(nvml, 0).value();
    EXPECT_EQ(CountDevices(now.table, now.instances), CountDevices(before.table, before.instances)) << function;
  }
}

TEST(MigApplyTest, WhatCannotBeRolledBackIsReportedExactly) {
  FakeNvml nvml(FakeState::H100s(1, true));
  ASSERT_TRUE(Apply(nvml, On({{"3g.40gb", 2}})));
  ASSERT_TRUE(nvml.Change([](FakeState& state) {
    for (int i = 0; i < 3; ++i)
      state.failures.push_back({"nvmlDeviceCreateGpuInstanceWithPlacement", NvmlStatus::kUnknown, 0});
  }));
  const auto report = Apply(nvml, On({{"1g.10gb", 4}, {"3g.40gb", 1}}));
  ASSERT_TRUE(report && report->failure);
  EXPECT_THAT(report->left, ElementsAre("GPU 0: MIG mode is on, with 1 x 3g.40gb; before it had 2 x 3g.40gb."));
}

TEST(MigApplyTest, AModeThatStaysPendingIsSaidAndNothingElseIsDone) {
  FakeState state = FakeState::H100s(1, false);
  state.gpus[0].mode_needs_reset = true;
  FakeNvml nvml(std::move(state));
  const MigConfig config = On({{"7g.80gb", 1}});
  const auto report = Apply(nvml, config);
  ASSERT_TRUE(report && !report->failure);
  ASSERT_EQ(report->pending.size(), 1u);
  EXPECT_THAT(report->pending[0], HasSubstr("MIG mode on is pending until the GPU is reset"));
  EXPECT_THAT(Differences(nvml, config), ElementsAre("GPU 0: MIG mode is off, not on."));
  ASSERT_TRUE(nvml.Change([](FakeState& s) { s.gpus[0].Reset(); }));
  EXPECT_THAT(Apply(nvml, config)->pending, IsEmpty());
  EXPECT_EQ(Now(nvml, 0), (ProfileCounts{{"7g.80gb", 1}}));
}

TEST(MigApplyTest, MigModeGoesOffAfterTheInstances) {
  FakeNvml nvml(FakeState::H100s(1, true));
  ASSERT_TRUE(Apply(nvml, On({{"2g.20gb", 3}})));
  const auto report = Apply(nvml, kOff);
  ASSERT_TRUE(report && !report->failure);
  EXPECT_THAT(report->pending, IsEmpty());
  EXPECT_FALSE(nvml.Mode(0).value()->current);
}

TEST(MigApplyTest, AGpuWithoutMigIsFineWhereNoneIsWanted) {
  FakeState state = FakeState::H100s(1, false);
  state.gpus[0].mig_capable = false;
  FakeNvml nvml(std::move(state));
  EXPECT_THAT(Differences(nvml, kOff), IsEmpty());
  EXPECT_TRUE(Apply(nvml, kOff));
  EXPECT_EQ(Apply(nvml, On({})).error().code(), Code::kUnsupported);
}

TEST(MigApplyTest, WhatRunsOnAGpuThatChangesIsAnObstacle) {
  FakeNvml nvml(FakeState::H100s(2, true));
  ASSERT_TRUE(Apply(nvml, On({{"3g.40gb", 2}})));
  ASSERT_TRUE(nvml.Change([](FakeState& state) { state.gpus[1].processes = {{4711, 1, 0}}; }));
  const auto gpus = ReadAllMig(nvml).value();
  MigConfig config = On({{"3g.40gb", 1}});
  const std::vector<Occupant> occupants = {{"Container c-1 of user u", gpus[0].devices[0].uuid},
                                           {"Container c-2", "?"}};
  EXPECT_THAT(Obstacles(gpus, PlanMig(gpus, config).value(), occupants),
              ElementsAre(HasSubstr("Container c-1 of user u runs on GPU 0 (MIG-"), "Process 4711 runs on GPU 1.",
                          "Container c-2 runs on ?, which is on no GPU that can be told."));
  config[0].mig_devices = {{"3g.40gb", 2}};  // nothing is to be changed
  EXPECT_THAT(Obstacles(gpus, PlanMig(gpus, config).value(), occupants), IsEmpty());
}

TEST(MigApplyTest, TheLastEntryThatNamesAGpuCountsAndAssertWantsEachNamed) {
  FakeNvml nvml(FakeState::H100s(2, false));
  MigConfig config = On({});
  config.push_back({.all_devices = false, .devices = {1}, .mig_enabled = false});
  ASSERT_TRUE(Apply(nvml, config));
  EXPECT_TRUE(nvml.Mode(0).value()->current);
  EXPECT_FALSE(nvml.Mode(1).value()->current);
  config.erase(config.begin());
  EXPECT_THAT(Differences(nvml, config), ElementsAre("GPU 0: The configuration does not name it."));
}

TEST(MigApplyTest, WithoutRightsTheErrorSaysSo) {
  FakeState state = FakeState::H100s(1, false);
  state.root = false;
  FakeNvml nvml(std::move(state));
  const auto report = Apply(nvml, On({}));
  ASSERT_TRUE(report && report->failure);
  EXPECT_EQ(report->failure->code(), Code::kForbidden);
  EXPECT_THAT(report->left, IsEmpty());
}

TEST(MigExportTest, AlikeGpusShareAnEntryAsInMigParted) {
  FakeNvml nvml(FakeState::H100s(3, true));
  MigConfig config = {{.all_devices = false, .devices = {0, 2}, .mig_enabled = true, .mig_devices = {{"1g.10gb", 7}}},
                      {.all_devices = false, .devices = {1}, .mig_enabled = false}};
  ASSERT_TRUE(Apply(nvml, config));
  const MigConfig exported = ExportMig(ReadAllMig(nvml).value());
  ASSERT_EQ(exported.size(), 2u);
  EXPECT_EQ(exported[0].devices, (std::vector<uint32_t>{0, 2}));
  EXPECT_TRUE(exported[0].device_filter.empty());
  EXPECT_THAT(Differences(nvml, exported), IsEmpty());
  ASSERT_TRUE(Apply(nvml, kOff));
  EXPECT_TRUE(ExportMig(ReadAllMig(nvml).value())[0].all_devices);
}

// From any state to any configuration that fits, and what is exported is what was asked for.
TEST(MigApplyTest, AnyConfigurationThatFitsIsReachedFromAnyOther) {
  FakeNvml nvml(FakeState::H100s(1, false));
  Dice dice(3);
  const ProfileTable table = H100Table();
  int reached = 0;
  for (int round = 0; round < 300; ++round) {
    ProfileCounts counts;
    for (uint32_t i = dice.Below(6); i > 0; --i) {
      const GpuProfile& profile = table[dice.Below(7)].profile;
      const bool part = dice.Below(4) == 0 && profile.slices > 1;
      ++counts[part ? "1c." + profile.name : profile.name];
    }
    const MigConfig config = dice.Below(8) == 0 ? kOff : On(counts);
    const std::string before = FakeStateJson(nvml.State().value());
    const auto report = Apply(nvml, config);
    if (report && !report->failure) {
      ++reached;
      ASSERT_THAT(Differences(nvml, config), IsEmpty());
      ASSERT_THAT(DifferencesFrom(ReadAllMig(nvml).value(), ExportMig(ReadAllMig(nvml).value())), IsEmpty());
    } else {
      ASSERT_EQ(FakeStateJson(nvml.State().value()), before);
    }
  }
  EXPECT_GT(reached, 100);
}

}  // namespace
}  // namespace mignificient::device
