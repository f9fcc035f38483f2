#include "device/inventory.h"

#include <gtest/gtest.h>

#include "device/fake_nvml.h"
#include "device/inventory_change.h"

namespace mignificient::device {
namespace {

// An H100 with a 3g and a 4g instance, one without MIG, and one in MIG mode without instances.
FakeState ThreeGpus() {
  FakeState state = FakeState::H100s(3, true);
  state.gpus[1].mode = {};
  for (const auto& [profile, start, compute] : {std::tuple{5u, 0u, 3u}, std::tuple{9u, 4u, 2u}}) {
    const uint32_t id = state.gpus[0].CreateInstance(profile, {start, 4}).value();
    EXPECT_TRUE(state.gpus[0].CreateCompute(id, compute));
  }
  return state;
}

TEST(DiscoveryTest, MigInstancesAreFoundByUuidAndAGpuInMigModeWithoutInstancesHasNoPartition) {
  FakeNvml nvml(ThreeGpus());
  const auto inventory = DiscoverWith(nvml);
  ASSERT_TRUE(inventory);
  ASSERT_EQ(inventory->gpus.size(), 3u);
  const auto partitions = Partitions(*inventory);
  ASSERT_EQ(partitions.size(), 3u);
  EXPECT_EQ(partitions[0].instance_size, "4g.40gb");
  EXPECT_EQ(partitions[0].compute_units, 64u);
  EXPECT_EQ(partitions[0].memory_mib, 40448u);
  EXPECT_EQ(partitions[1].mig_size, "3g");
  EXPECT_EQ(partitions[2].uuid, inventory->gpus[1].uuid);
  EXPECT_EQ(partitions[2].mig_size, "7g");
}

TEST(DiscoveryTest, EveryFieldOfAGpuAndAnInstanceIsAsked) {
  FakeNvml nvml(ThreeGpus());
  const auto inventory = DiscoverWith(nvml);
  const Gpu& gpu = inventory->gpus[0];
  EXPECT_EQ(gpu.driver_version, "580.159.04");
  EXPECT_EQ(gpu.pci_bus_id, "00000000:0A:00.0");
  EXPECT_EQ(gpu.compute_capability, "9.0");
  EXPECT_EQ(gpu.mig, (MigMode{true, true}));
  EXPECT_EQ(inventory->gpus[1].mig, (MigMode{false, false}));
  EXPECT_EQ(gpu.instances[1].gpu_instance, 2u);
  EXPECT_EQ(gpu.instances[1].compute_instance, 0u);
  EXPECT_EQ(gpu.instances[1].placement, (Placement{4, 4}));
}

TEST(DiscoveryTest, WhoIsNotRootSeesAllButThePlacements) {
  FakeState state = ThreeGpus();
  state.root = false;
  FakeNvml nvml(std::move(state));
  const auto inventory = DiscoverWith(nvml);
  ASSERT_TRUE(inventory) << inventory.error().message();
  EXPECT_EQ(inventory->gpus[0].instances.size(), 2u);
  EXPECT_FALSE(inventory->gpus[0].instances[0].placement);
}

TEST(DiscoveryTest, ALostGpuIsLeftOutAndToldOf) {
  FakeState state = ThreeGpus();
  state.gpus[0].lost = true;
  FakeNvml nvml(std::move(state));
  const auto inventory = DiscoverWith(nvml);
  ASSERT_TRUE(inventory);
  EXPECT_EQ(inventory->gpus.size(), 2u);
  ASSERT_EQ(inventory->troubles.size(), 1u);
  EXPECT_EQ(inventory->troubles[0],
            "GPU 0 cannot be used: nvmlDeviceGetUUID fails: GPU is lost (NVML_ERROR_GPU_IS_LOST).");
}

TEST(InventoryTest, WhatIsWrittenParsesBackToTheSame) {
  FakeNvml nvml(ThreeGpus());
  for (const Inventory& inventory : {DiscoverWith(nvml).value(), ParseSoftwareGpus("").value()}) {
    const std::string text = InventoryJson(inventory);
    const auto parsed = ParseInventory(text);
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(InventoryJson(*parsed), text);
  }
}

TEST(SoftwareGpusTest, TheDefaultHasAThreeAndAFourSlicePartition) {
  const auto partitions = Partitions(ParseSoftwareGpus("").value());
  ASSERT_EQ(partitions.size(), 2u);
  EXPECT_EQ(partitions[0].uuid, "MIG-software-0");
  EXPECT_EQ(partitions[0].instance_size, "3g.3gb");
  EXPECT_EQ(partitions[1].mig_size, "4g");
  EXPECT_EQ(partitions[1].compute_units, 64u);
  EXPECT_EQ(partitions[1].ordinal, 1u);
}

TEST(SoftwareGpusTest, SeveralGpusAndOtherMixesAreDescribed) {
  const auto inventory = ParseSoftwareGpus("3g.8gb, 2g ; 7g;whole.16gb");
  ASSERT_TRUE(inventory) << inventory.error().message();
  const auto partitions = Partitions(*inventory);
  ASSERT_EQ(partitions.size(), 4u);
  EXPECT_EQ(inventory->gpus[0].memory_mib, 10240u);
  EXPECT_EQ(partitions[0].memory_mib, 8192u);
  EXPECT_EQ(partitions[2].uuid, "MIG-software-2");
  EXPECT_EQ(partitions[2].gpu_uuid, "GPU-software-1");
  EXPECT_EQ(partitions[3].uuid, "GPU-software-2");
  EXPECT_EQ(partitions[3].memory_mib, 16384u);
}

TEST(SoftwareGpusTest, WhatIsNotAllowedIsRefused) {
  const auto refusal = [](std::string_view text) {
    const auto parsed = ParseSoftwareGpus(text);
    return parsed ? std::string("parsed") : parsed.error().message();
  };
  EXPECT_EQ(refusal("3g,8g"),
            "Software GPU partition \"8g\" is not known; allowed is 1g to 7g, with memory such as 3g.8gb (1 to 1024 "
            "GiB), and whole.");
  EXPECT_EQ(refusal("4g,4g"), "Software GPU \"4g,4g\" has 8 slices; at most 7 are allowed.");
  EXPECT_EQ(refusal("whole,1g"), "Software GPU \"whole,1g\" is whole and has partitions; allowed is one of both.");
  for (const char* bad : {"3g;", ";", "3g.0gb", "3g.8", "3g.8gb2", "3g.99999gb"})
    EXPECT_NE(refusal(bad), "parsed") << bad;
}

TEST(InventoryChangeTest, PartitionsAppearVanishAndChange) {
  const Inventory before = ParseSoftwareGpus("3g,4g").value();
  EXPECT_TRUE(Compare(before, before).Empty());
  const InventoryChange more = Compare(before, ParseSoftwareGpus("3g,4g;7g").value());
  ASSERT_EQ(more.appeared.size(), 1u);
  EXPECT_EQ(more.appeared[0].uuid, "MIG-software-2");
  EXPECT_TRUE(more.vanished.empty() && more.changed.empty());
  EXPECT_EQ(Compare(ParseSoftwareGpus("3g,4g;7g").value(), before).vanished.size(), 1u);
  const InventoryChange other = Compare(before, ParseSoftwareGpus("2g,4g").value());
  ASSERT_EQ(other.changed.size(), 1u);
  EXPECT_EQ(other.changed[0].first.mig_size, "3g");
  EXPECT_EQ(other.changed[0].second.mig_size, "2g");
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
