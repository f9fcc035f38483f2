#include "device/repartition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "device/fake_nvml.h"
#include "device/mig_apply.h"

namespace mignificient::device {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

void Make(FakeNvml& nvml, const ProfileCounts& counts) {
  const auto gpus = ReadAllMig(nvml).value();
  const auto plans = PlanMig(gpus, {{.mig_enabled = true, .mig_devices = counts}}).value();
  ASSERT_FALSE(ApplyMig(nvml, gpus, plans).failure);
}

ProfileCounts Now(FakeNvml& nvml) {
  const auto mig = ReadGpuMig(nvml, 0).value();
  return CountDevices(mig.table, mig.instances);
}

class RepartitionTest : public testing::Test {
 protected:
  RepartitionTest() : nvml(FakeState::H100s(1, true)), uuid(nvml.Gpu(0)->uuid) {}

  FakeNvml nvml;
  std::string uuid;
  const std::vector<Demand> three{{"3g", 0, 1}};
};

TEST_F(RepartitionTest, WhatCouldBeMadeIsTheProfileTable) {
  const auto makeable = MakeableOf(nvml, 0, uuid);
  ASSERT_TRUE(makeable);
  EXPECT_THAT(*makeable, SizeIs(7));
  EXPECT_THAT(*makeable, Contains(testing::Field(&Partition::instance_size, "3g.40gb")));
  const auto& first = makeable->front();
  EXPECT_EQ(first.gpu_uuid, uuid);
  EXPECT_GT(first.memory_mib, 0u);
}

TEST_F(RepartitionTest, TheMixIsMadeAndInstancesThatAreNotInTheWayStay) {
  Make(nvml, {{"1g.10gb", 7}});
  EXPECT_THAT(PlanRepartition(nvml, 0, uuid, three).value(), Contains(HasSubstr("create 3g.40gb")));
  EXPECT_EQ(Now(nvml), (ProfileCounts{{"1g.10gb", 7}})) << "planning changes nothing";
  const auto done = Repartition(nvml, 0, uuid, three);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(Now(nvml), (ProfileCounts{{"1g.10gb", 4}, {"3g.40gb", 1}}));
  EXPECT_THAT(Repartition(nvml, 0, uuid, three).value(), IsEmpty());
}

TEST_F(RepartitionTest, AProcessOnTheGpuIsInTheWayHoweverLongItIsWaitedFor) {
  Make(nvml, {{"1g.10gb", 7}});
  ASSERT_TRUE(nvml.Change([](FakeState& state) { state.gpus[0].processes = {{4711, 9, 0}}; }));
  EXPECT_THAT(PlanRepartition(nvml, 0, uuid, three).value(), testing::Not(IsEmpty()));
  const auto done = Repartition(nvml, 0, uuid, three);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message(), "Process 4711 runs on GPU 0.");
  EXPECT_EQ(Now(nvml), (ProfileCounts{{"1g.10gb", 7}}));
}

TEST_F(RepartitionTest, AFailureIsUndoneOrToldExactly) {
  Make(nvml, {{"1g.10gb", 7}});
  const auto fail = [&](int times) {
    ASSERT_TRUE(nvml.Change([&](FakeState& state) {
      for (int i = 0; i < times; ++i)
        state.failures.push_back({"nvmlDeviceCreateGpuInstanceWithPlacement", NvmlStatus::kUnknown, 0});
    }));
  };
  fail(1);
  const auto undone = Repartition(nvml, 0, uuid, three);
  ASSERT_FALSE(undone);
  EXPECT_THAT(undone.error().message(), HasSubstr("NVML_ERROR_UNKNOWN"));
  EXPECT_EQ(Now(nvml), (ProfileCounts{{"1g.10gb", 7}}));
  fail(2);
  const auto left = Repartition(nvml, 0, uuid, three);
  ASSERT_FALSE(left);
  EXPECT_THAT(left.error().message(), HasSubstr("leaving this behind: GPU 0: MIG mode is on, with 6 x 1g.10gb"));
}

TEST_F(RepartitionTest, InstancesThatAreCutUpStayAndThoseWithoutComputeInstancesGo) {
  Make(nvml, {{"1c.3g.40gb", 3}});
  ASSERT_TRUE(nvml.CreateGpuInstance(0, 19, {4, 1}));  // a 1g.10gb that nothing can run on
  const auto done = Repartition(nvml, 0, uuid, {{Demand{"3g", 0, 2}}});
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(Now(nvml), (ProfileCounts{{"1c.3g.40gb", 3}, {"3g.40gb", 1}}));
  EXPECT_THAT(PlanRepartition(nvml, 0, uuid, {{Demand{"7g", 0, 1}}}).value(), IsEmpty());
}

TEST_F(RepartitionTest, AnotherGpuOrOneOutsideMigModeIsLeftAlone) {
  EXPECT_THAT(Repartition(nvml, 0, "GPU-x", three).error().message(), HasSubstr("not [GPU-x]"));
  FakeNvml off(FakeState::H100s(1, false));
  EXPECT_THAT(Repartition(off, 0, off.Gpu(0)->uuid, three).error().message(), HasSubstr("is not in MIG mode"));
  EXPECT_FALSE(MakeableOf(off, 0, off.Gpu(0)->uuid));
}

TEST_F(RepartitionTest, WithoutRightsNothingCanBeMade) {
  ASSERT_TRUE(nvml.Change([](FakeState& state) { state.root = false; }));
  EXPECT_EQ(MakeableOf(nvml, 0, uuid).error().code(), Code::kForbidden);
}

}  // namespace
}  // namespace mignificient::device
