#include "device/health.h"

#include <gtest/gtest.h>
#include <poll.h>

#include "device/fake_nvml.h"

namespace mignificient::device {
namespace {

// Two H100s with two 3g.40gb instances each.
FakeState TwoGpus() {
  FakeState state = FakeState::H100s(2, true);
  for (FakeGpu& gpu : state.gpus)
    for (const uint32_t start : {0u, 4u}) {
      const uint32_t id = gpu.CreateInstance(9, {start, 4}).value();
      EXPECT_TRUE(gpu.CreateCompute(id, 2));
    }
  return state;
}

std::vector<std::string> Uuids(const std::vector<Unhealthy>& found) {
  std::vector<std::string> uuids;
  for (const Unhealthy& one : found) uuids.push_back(one.partition);
  return uuids;
}

// Waits for the descriptor, as a loop does.
std::vector<Unhealthy> WaitAndTake(HealthWatch& watch) {
  pollfd event{watch.fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&event, 1, 60000), 1);
  return watch.Take();
}

bool Readable(const HealthWatch& watch) {
  pollfd event{watch.fd(), POLLIN, 0};
  return ::poll(&event, 1, 0) == 1;
}

class HealthWatchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    inventory_ = DiscoverWith(*nvml_).value();
    auto started = HealthWatch::Start(nvml_, inventory_);
    ASSERT_TRUE(started) << started.error().message();
    watch_ = std::move(*started);
  }
  void Raise(XidEvent event) {
    ASSERT_TRUE(nvml_->Change([&](FakeState& state) { state.xids.push_back(event); }));
  }

  std::shared_ptr<FakeNvml> nvml_ = std::make_shared<FakeNvml>(TwoGpus());
  Inventory inventory_;
  std::unique_ptr<HealthWatch> watch_;
};

TEST(AffectedTest, AnXidOfTheGpuHitsAllItsPartitionsAndOneOfAnInstanceHitsThatOne) {
  FakeNvml nvml(TwoGpus());
  const Inventory inventory = DiscoverWith(nvml).value();
  const Gpu& gpu = inventory.gpus[1];
  EXPECT_EQ(Uuids(Affected(inventory, {gpu.uuid, 79})),
            (std::vector<std::string>{gpu.instances[0].uuid, gpu.instances[1].uuid}));
  const auto one = Affected(inventory, {gpu.uuid, 94, *gpu.instances[1].gpu_instance, 0});
  ASSERT_EQ(Uuids(one), std::vector<std::string>{gpu.instances[1].uuid});
  EXPECT_EQ(one[0].Sentence(),
            fmt::format("Partition {} became unhealthy: Xid 94: contained ECC error.", gpu.instances[1].uuid));
  EXPECT_TRUE(Affected(inventory, {gpu.uuid, 94, 77, 0}).empty());
  EXPECT_TRUE(Affected(inventory, {"GPU-of-somebody-else", 79}).empty());
}

TEST(AffectedTest, WhatAProgramDidWrongMakesNothingUnhealthy) {
  FakeNvml nvml(TwoGpus());
  const Inventory inventory = DiscoverWith(nvml).value();
  for (const uint64_t xid : {13, 31, 43, 45, 68, 109}) {
    EXPECT_TRUE(IsApplicationXid(xid));
    EXPECT_TRUE(Affected(inventory, {inventory.gpus[0].uuid, xid}).empty()) << xid;
  }
  EXPECT_EQ(Affected(inventory, {inventory.gpus[0].uuid, 48}).size(), 2u);
  EXPECT_EQ(Affected(inventory, {inventory.gpus[0].uuid, 4000})[0].why, "Xid 4000");  // unknown ones count, too
}

TEST(AffectedTest, AGpuWithoutInstancesIsItsOwnPartition) {
  FakeNvml nvml(FakeState::H100s(1, false));
  const Inventory inventory = DiscoverWith(nvml).value();
  EXPECT_EQ(Uuids(Affected(inventory, {inventory.gpus[0].uuid, 79})), std::vector<std::string>{inventory.gpus[0].uuid});
}

TEST_F(HealthWatchTest, AnXidIsToldOnceThroughTheDescriptor) {
  EXPECT_FALSE(Readable(*watch_));
  const Gpu& gpu = inventory_.gpus[0];
  Raise({gpu.uuid, 31, 1, 0});  // a program's own
  Raise({gpu.uuid, 95, *gpu.instances[0].gpu_instance, 0});
  const auto found = WaitAndTake(*watch_);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].partition, gpu.instances[0].uuid);
  EXPECT_EQ(found[0].xid, 95u);
  EXPECT_FALSE(Readable(*watch_));
  Raise({gpu.uuid, 95, *gpu.instances[0].gpu_instance, 0});  // again, and then the whole GPU: only the other one is new
  Raise({gpu.uuid, 79});
  EXPECT_EQ(Uuids(WaitAndTake(*watch_)), std::vector<std::string>{gpu.instances[1].uuid});
}

TEST_F(HealthWatchTest, ALostGpuTakesItsPartitionsAndNoOther) {
  ASSERT_TRUE(nvml_->Change([](FakeState& state) { state.gpus[1].lost = true; }));
  const auto found = WaitAndTake(*watch_);
  EXPECT_EQ(Uuids(found),
            (std::vector<std::string>{inventory_.gpus[1].instances[0].uuid, inventory_.gpus[1].instances[1].uuid}));
  EXPECT_EQ(found[0].why, "nvmlDeviceGetUUID fails: GPU is lost (NVML_ERROR_GPU_IS_LOST)");
}

TEST_F(HealthWatchTest, AfterANewLookAllAreHealthyUntilSomethingElseHappens) {
  const Gpu& gpu = inventory_.gpus[0];
  Raise({gpu.uuid, 79});
  EXPECT_EQ(WaitAndTake(*watch_).size(), 2u);
  watch_->SetInventory(inventory_);
  EXPECT_TRUE(watch_->Take().empty());
  Raise({gpu.uuid, 79});
  EXPECT_EQ(WaitAndTake(*watch_).size(), 2u);
}

}  // namespace
}  // namespace mignificient::device
