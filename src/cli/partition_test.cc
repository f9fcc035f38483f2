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
  EXPECT_EQ(ChooseFrom(inventory, "any")->device, "MIG-a");
  EXPECT_EQ(ChooseFrom(inventory, "4g")->device, "MIG-b");
  EXPECT_EQ(ChooseFrom(inventory, "4g.40gb")->device, "MIG-b");
  EXPECT_EQ(ChooseFrom(inventory, "MIG-b")->device, "MIG-b");
}

TEST(PartitionTest, SaysWhatThereIsWhenNothingFits) {
  const auto partition = ChooseFrom(TwoInstances(), "7g");
  ASSERT_FALSE(partition);
  EXPECT_EQ(partition.error().code(), Code::kNotFound);
  EXPECT_THAT(partition.error().message(), ::testing::HasSubstr("3g.40gb (MIG-a), 4g.40gb (MIG-b)"));
}

TEST(PartitionTest, AMachineWithoutGpusSaysSo) {
  EXPECT_THAT(ChooseFrom({}, "any").error().message(), ::testing::HasSubstr("no GPU"));
}

TEST(PartitionTest, AnInstanceIsTheOnlyDeviceThatItsServerSees) {
  const auto choice = ChooseFrom(TwoInstances(), "MIG-b");
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->driver, "cuda");
  EXPECT_EQ(choice->visible, "MIG-b");
  EXPECT_FALSE(choice->memory_mib);
}

TEST(PartitionTest, SoftwarePartitionsAreAddressedByPosition) {
  const auto inventory = device::ParseSoftwareGpus("3g,4g.8gb");
  ASSERT_TRUE(inventory);
  const auto choice = ChooseFrom(*inventory, "4g");
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->driver, "cpu");
  EXPECT_EQ(choice->device, "1");
  EXPECT_EQ(choice->memory_mib, 8192u);
}

TEST(PartitionTest, OfVisibleDevicesTheFirstIsUsed) {
  EXPECT_EQ(FirstVisible(nullptr), "0") << "CUDA's own order";
  EXPECT_EQ(FirstVisible("2,0"), "2");
  EXPECT_EQ(FirstVisible("GPU-8932f937-d72c-4106-c12f-20bd9faed9f6"), "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6");
  EXPECT_EQ(FirstVisible(""), "") << "none, as natively";
}

}  // namespace
}  // namespace mignificient::cli
