#include "cli/partition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mignificient::cli {
namespace {

device::Inventory TwoInstances() {
  device::Gpu gpu{.uuid = "GPU-1", .memory_mib = 80000};
  gpu.instances = {{.uuid = "MIG-a", .mig_size = "3g", .instance_size = "3g.40gb", .memory_mib = 40000},
                   {.uuid = "MIG-b", .mig_size = "4g", .instance_size = "4g.40gb", .memory_mib = 40000}};
  return {.gpus = {gpu}};
}

TEST(PartitionTest, FindsBySizeProfileUuidOrAny) {
  const device::Inventory inventory = TwoInstances();
  EXPECT_EQ(FindPartition(inventory, "any")->uuid, "MIG-a");
  EXPECT_EQ(FindPartition(inventory, "4g")->uuid, "MIG-b");
  EXPECT_EQ(FindPartition(inventory, "4g.40gb")->uuid, "MIG-b");
  EXPECT_EQ(FindPartition(inventory, "MIG-b")->uuid, "MIG-b");
}

TEST(PartitionTest, SaysWhatThereIsWhenNothingFits) {
  const auto partition = FindPartition(TwoInstances(), "7g");
  ASSERT_FALSE(partition);
  EXPECT_EQ(partition.error().code(), Code::kNotFound);
  EXPECT_THAT(partition.error().message(), ::testing::HasSubstr("3g.40gb (MIG-a), 4g.40gb (MIG-b)"));
}

TEST(PartitionTest, AMachineWithoutGpusSaysSo) {
  EXPECT_THAT(FindPartition({}, "any").error().message(), ::testing::HasSubstr("no GPU"));
}

TEST(PartitionTest, SoftwarePartitionsAreAddressedByPosition) {
  EXPECT_EQ(DeviceArgument({.uuid = "x", .driver = device::Driver::kCpu, .ordinal = 1}), "1");
  EXPECT_EQ(DeviceArgument({.uuid = "MIG-a", .driver = device::Driver::kCuda}), "MIG-a");
}

}  // namespace
}  // namespace mignificient::cli
