#include "device/inventory.h"

#include <gtest/gtest.h>

#include "device/nvml.h"

namespace mignificient::device {
namespace {

// An H100 with a 3g and a 4g instance, and one without MIG.
class FakeNvml : public Nvml {
 public:
  Result<uint32_t> GpuCount() override { return 3; }
  Result<Identity> Gpu(uint32_t index) override {
    return Identity{fmt::format("GPU-{}", index), "NVIDIA H100 80GB HBM3", 81559};
  }
  Result<std::string> ComputeCapability(uint32_t) override { return "9.0"; }
  Result<bool> MigEnabled(uint32_t index) override { return index != 1; }
  Result<uint32_t> InstanceSlots(uint32_t) override { return 7; }
  Result<std::optional<InstanceIdentity>> InstanceAt(uint32_t index, uint32_t slot) override {
    if (index != 0) return std::optional<InstanceIdentity>{};
    if (slot == 0) return InstanceIdentity{"MIG-3", "NVIDIA H100 80GB HBM3 MIG 3g.40gb", 40448, 3, 60};
    if (slot == 4) return InstanceIdentity{"MIG-4", "NVIDIA H100 80GB HBM3 MIG 4g.40gb", 40448, 4, 64};
    return std::optional<InstanceIdentity>{};
  }
};

TEST(DiscoveryTest, MigInstancesAreFoundByUuidAndAGpuInMigModeWithoutInstancesIsLeftOut) {
  FakeNvml nvml;
  const auto inventory = DiscoverWith(nvml);
  ASSERT_TRUE(inventory);
  const auto partitions = Partitions(*inventory);
  ASSERT_EQ(partitions.size(), 3u);
  EXPECT_EQ(partitions[0].uuid, "MIG-3");
  EXPECT_EQ(partitions[0].instance_size, "3g.40gb");
  EXPECT_EQ(partitions[0].compute_units, 60u);
  EXPECT_EQ(partitions[1].mig_size, "4g");
  EXPECT_EQ(partitions[2].uuid, "GPU-1");
  EXPECT_EQ(partitions[2].mig_size, "7g");
}

TEST(InventoryTest, WhatIsWrittenParsesBackToTheSame) {
  FakeNvml nvml;
  for (const Inventory& inventory : {DiscoverWith(nvml).value(), SoftwareInventory()}) {
    const std::string text = InventoryJson(inventory);
    const auto parsed = ParseInventory(text);
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(InventoryJson(*parsed), text);
  }
}

TEST(InventoryTest, TheSoftwareGpuHasAThreeAndAFourSlicePartition) {
  const auto partitions = Partitions(SoftwareInventory());
  ASSERT_EQ(partitions.size(), 2u);
  EXPECT_EQ(partitions[0].mig_size, "3g");
  EXPECT_EQ(partitions[1].mig_size, "4g");
  EXPECT_EQ(partitions[1].ordinal, 1u);
}

TEST(InventoryTest, TheOriginalsFileIsRead) {
  const auto inventory = ParseInventory(
      R"({"gpus": [{"uuid": "GPU-1", "memory": 81559.5, "compute_capability": "9.0", "instances": []}]})");
  ASSERT_TRUE(inventory);
  EXPECT_EQ(Partitions(*inventory)[0].memory_mib, 81559u);
}

TEST(InventoryTest, ErrorsNameTheField) {
  const auto message = [](std::string_view text) {
    const auto parsed = ParseInventory(text);
    return parsed ? std::string("parsed") : parsed.error().message();
  };
  EXPECT_EQ(message("{}"), "Field [gpus] is missing; it must be a list.");
  EXPECT_EQ(message(R"({"gpus": [{"uuid": 3}]})"), "Field [gpus[0].uuid] is 3; it must be a string.");
  EXPECT_EQ(message(R"({"gpus": [{"uuid": "a", "memory": -1}]})"),
            "Field [gpus[0].memory] is -1; it must be a number that is not negative.");
  EXPECT_EQ(
      message(R"({"gpus": [{"uuid": "a", "memory": 1, "instances": [{"uuid": "m", "instance_size": "9g.1gb"}]}]})"),
      "Field [gpus[0].instances[0].mig_size] is \"9g\"; it must be one of 1g to 7g.");
  EXPECT_EQ(message(R"({"gpus": [{"uuid": "a", "memory": 1}, {"uuid": "a", "memory": 1}]})"),
            "Two partitions have the uuid [a].");
  EXPECT_NE(message("{").find("no JSON"), std::string::npos);
}

}  // namespace
}  // namespace mignificient::device
