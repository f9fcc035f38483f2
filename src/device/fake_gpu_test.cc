#include "device/fake_gpu.h"

#include <gtest/gtest.h>

#include <set>

#include "device/fake_nvml.h"
#include "device/testing_gpu.h"

namespace mignificient::device {
namespace {

FakeGpu MigGpu() {
  return FakeState::H100s(1, true).gpus[0];
}

template <typename T>
std::string Refusal(const Result<T>& result) {
  return result ? "done" : result.error().message();
}

TEST(FakeGpuTest, TheProfileTableIsThatOfAnH100) {
  const FakeGpu gpu = MigGpu();
  std::string text;
  const std::vector<GpuProfile> profiles = gpu.Profiles().value();
  for (const GpuProfile& p : profiles)
    text += fmt::format("{} {} {}/{} {} {}\n", p.name, p.id, gpu.Remaining(p.id).value(), p.instances,
                        p.multiprocessors, p.memory_mib);
  EXPECT_EQ(text,
            "1g.10gb 19 7/7 16 9984\n1g.10gb+me 20 1/1 16 9984\n1g.20gb 15 4/4 26 20096\n2g.20gb 14 3/3 32 20096\n"
            "3g.40gb 9 2/2 60 40448\n4g.40gb 5 1/1 64 40448\n7g.80gb 0 1/1 132 81152\n");
}

TEST(FakeGpuTest, CreatingRefusesWhatTheDriverRefuses) {
  FakeGpu gpu = MigGpu();
  EXPECT_EQ(gpu.CreateInstance(9, {4, 4}).value(), 1u);
  EXPECT_EQ(Refusal(gpu.CreateInstance(0, {0, 8})),
            "nvmlDeviceCreateGpuInstanceWithPlacement fails: Insufficient Resources "
            "(NVML_ERROR_INSUFFICIENT_RESOURCES).");
  EXPECT_EQ(gpu.CreateInstance(9, {2, 4}).error().code(), Code::kInvalidArgument);  // not one of its places
  EXPECT_EQ(gpu.CreateInstance(77, {0, 1}).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(gpu.CreateInstance(20, {0, 1}).value(), 7u);
  EXPECT_EQ(gpu.CreateInstance(20, {1, 1}).error().code(), Code::kExhausted);  // +me: at most one
  EXPECT_EQ(gpu.CreateInstance(14, {2, 2}).value(), 3u);
  EXPECT_EQ(gpu.Remaining(19).value(), 1u);
}

TEST(FakeGpuTest, WhatIsInUseIsNotDestroyed) {
  FakeGpu gpu = MigGpu();
  const uint32_t id = gpu.CreateInstance(9, {0, 4}).value();
  ASSERT_EQ(gpu.CreateCompute(id, 2).value(), 0u);
  EXPECT_EQ(Refusal(gpu.DestroyInstance(id)),
            "nvmlGpuInstanceDestroy fails: In use by another client (NVML_ERROR_IN_USE).");
  gpu.processes = {{4711, id, 0}};
  EXPECT_EQ(gpu.DestroyCompute(id, 0).error().code(), Code::kExhausted);
  gpu.processes.clear();
  EXPECT_TRUE(gpu.DestroyCompute(id, 0));
  EXPECT_EQ(gpu.DestroyCompute(id, 0).error().code(), Code::kNotFound);
  EXPECT_TRUE(gpu.DestroyInstance(id));
  EXPECT_EQ(gpu.DestroyInstance(id).error().code(), Code::kNotFound);
}

TEST(FakeGpuTest, MigModeStaysPendingWhileTheGpuIsInUseOrNeedsAReset) {
  FakeGpu gpu = FakeState::H100s(1, false).gpus[0];
  EXPECT_EQ(gpu.Remaining(19).value(), 7u);  // driver 580 tells the table even so
  gpu.profiles_need_mig = true;
  EXPECT_EQ(gpu.Profiles().error().code(), Code::kUnsupported);
  EXPECT_EQ(gpu.CreateInstance(19, {0, 1}).error().code(), Code::kUnsupported);
  gpu.processes = {{4711}};
  EXPECT_EQ(gpu.SetMode(true).value(), ModeChange::kInUse);
  EXPECT_EQ(gpu.mode, (MigMode{false, true}));
  gpu.processes.clear();
  EXPECT_EQ(gpu.SetMode(true).value(), ModeChange::kDone);
  gpu.mode_needs_reset = true;
  EXPECT_EQ(gpu.SetMode(false).value(), ModeChange::kResetRequired);
  EXPECT_TRUE(gpu.mode.current);
  gpu.Reset();
  EXPECT_FALSE(gpu.mode.current);
  gpu.mig_capable = false;
  EXPECT_EQ(gpu.SetMode(true).error().code(), Code::kUnsupported);
}

TEST(FakeGpuTest, ComputeInstancesAreNamedAndMeasuredAsTheDriverDoes) {
  FakeGpu gpu = MigGpu();
  const uint32_t id = gpu.CreateInstance(9, {0, 4}).value();
  ASSERT_TRUE(gpu.CreateCompute(id, 0));                                 // one slice
  ASSERT_EQ(gpu.CreateCompute(id, 1).error().code(), Code::kExhausted);  // two slices lie at 0 only
  const auto devices = gpu.Devices();
  ASSERT_EQ(devices.size(), 1u);
  EXPECT_EQ(devices[0].name, "NVIDIA H100 80GB HBM3 MIG 1c.3g.40gb");
  EXPECT_EQ(devices[0].multiprocessors, 16u);
  EXPECT_EQ(devices[0].uuid.size(), std::string("MIG-").size() + 36);
}

// Whatever is asked of it: no two instances overlap, no limit is exceeded, nothing busy disappears.
TEST(FakeGpuTest, InvariantsHoldAfterAnySequenceOfOrders) {
  Dice dice(1);
  FakeGpu gpu = MigGpu();
  for (int step = 0; step < 5000; ++step) {
    const FakeGpuProfile& profile = H100GpuProfiles()[dice.Below(7)];
    if (dice.Below(2) == 0) {
      std::ignore = gpu.CreateInstance(
          profile.profile.id, profile.placements[dice.Below(static_cast<uint32_t>(profile.placements.size()))]);
    } else if (!gpu.instances.empty()) {
      std::ignore = gpu.DestroyInstance(gpu.instances[dice.Below(static_cast<uint32_t>(gpu.instances.size()))].id);
    }
    uint32_t memory = 0, slices = 0;
    std::set<uint32_t> ids;
    for (const FakeGpuInstance& instance : gpu.instances) {
      const uint32_t mask = ((1u << instance.placement.size) - 1) << instance.placement.start;
      ASSERT_EQ(memory & mask, 0u);
      memory |= mask;
      slices += FindH100GpuProfile(instance.profile_id)->profile.slices;
      ASSERT_TRUE(ids.insert(instance.id).second);
    }
    ASSERT_LE(slices, kH100ComputeSlices);
    ASSERT_LT(memory, 1u << kH100MemorySlices);
  }
}

TEST(FakeStateTest, WhatIsWrittenParsesBackToTheSame) {
  FakeState state = FakeState::H100s(2, true);
  const uint32_t id = state.gpus[1].CreateInstance(9, {4, 4}).value();
  ASSERT_TRUE(state.gpus[1].CreateCompute(id, 0));
  state.gpus[0].processes = {{1}};
  state.xids = {{state.gpus[1].uuid, 79, id, 0}};
  state.failures = {{"nvmlGpuInstanceDestroy", NvmlStatus::kInUse, 2}};
  const std::string text = FakeStateJson(state);
  const auto parsed = ParseFakeState(text);
  ASSERT_TRUE(parsed) << parsed.error().message();
  EXPECT_EQ(FakeStateJson(*parsed), text);
}

TEST(FakeStateTest, ErrorsNameTheField) {
  const auto refusal = [](std::string_view text) { return Refusal(ParseFakeState(text)); };
  EXPECT_EQ(refusal(R"({"gpu": []})"), "Field [gpu] is not known. Did you mean `gpus`?");
  EXPECT_EQ(refusal(R"({"gpus": [{"mig": "yes"}]})"), "Field [gpus[0].mig] is \"yes\"; it must be true or false.");
  EXPECT_EQ(refusal(R"({"gpus": [{"mig": true, "instances": [{"id": 1, "profile": "3g.40gb", "start": 2}]}]})"),
            "Field [gpus[0].instances[0].start] is 2; profile 3g.40gb cannot lie there.");
  EXPECT_EQ(refusal(R"({"gpus": [{}], "xids": [{"gpu": 1, "xid": 79}]})"),
            "Field [xids[0].gpu] is 1; there are 1 GPUs.");
}

TEST(FakeNvmlTest, WithoutRightsQuestionsAreAnsweredAndOrdersAreNot) {
  FakeState state = FakeState::H100s(1, true);
  state.root = false;
  FakeNvml nvml(std::move(state));
  EXPECT_TRUE(nvml.Gpu(0));
  EXPECT_TRUE(nvml.MigDevices(0));
  EXPECT_EQ(nvml.GpuInstances(0).error().code(), Code::kForbidden);
  EXPECT_EQ(nvml.SetMode(0, false).error().code(), Code::kForbidden);
}

TEST(FakeNvmlTest, ALostGpuAnswersNothing) {
  FakeNvml nvml(FakeState::H100s(2, false));
  ASSERT_TRUE(nvml.Change([](FakeState& state) { state.gpus[1].lost = true; }));
  EXPECT_TRUE(nvml.Gpu(0));
  EXPECT_EQ(Refusal(nvml.Gpu(1)), "nvmlDeviceGetUUID fails: GPU is lost (NVML_ERROR_GPU_IS_LOST).");
}

TEST(FakeNvmlTest, AnInjectedFailureComesOnceAndInItsTurn) {
  FakeState state = FakeState::H100s(1, true);
  state.failures = {{"nvmlDeviceCreateGpuInstanceWithPlacement", NvmlStatus::kUnknown, 1}};
  FakeNvml nvml(std::move(state));
  EXPECT_TRUE(nvml.CreateGpuInstance(0, 19, {0, 1}));
  EXPECT_FALSE(nvml.CreateGpuInstance(0, 19, {1, 1}));
  EXPECT_TRUE(nvml.CreateGpuInstance(0, 19, {1, 1}));
}

}  // namespace
}  // namespace mignificient::device
