#include "device/mig_config.h"

#include <gtest/gtest.h>

namespace mignificient::device {
namespace {

// What nvidia-mig-parted's documentation shows.
constexpr const char* kExample = R"(
version: v1
mig-configs:
  all-disabled:
    - devices: all
      mig-enabled: false

  all-enabled:
    - devices: all
      mig-enabled: true
      mig-devices: {}

  custom-config:
    - devices: [0,1,2,3]
      mig-enabled: false
    - device-filter: ["0x233010DE", "0x233110DE:0x16C110DE"]
      devices: [4]
      mig-enabled: true
      mig-devices:
        "1g.10gb": 2
        "1g.10gb+me": 1
        "1c.3g.40gb": 3
)";

TEST(MigConfigTest, TheFormatOfMigPartedIsRead) {
  const auto configs = ParseMigConfigs(kExample);
  ASSERT_TRUE(configs) << configs.error().message();
  ASSERT_EQ(configs->size(), 3u);
  EXPECT_FALSE(configs->at("all-disabled")[0].mig_enabled);
  EXPECT_TRUE(configs->at("all-enabled")[0].mig_devices.empty());
  const MigConfigEntry& custom = configs->at("custom-config")[1];
  EXPECT_EQ(custom.devices, std::vector<uint32_t>{4});
  EXPECT_EQ(custom.mig_devices, (ProfileCounts{{"1g.10gb", 2}, {"1g.10gb+me", 1}, {"1c.3g.40gb", 3}}));
}

TEST(MigConfigTest, EntriesMatchByIndexAndDevice) {
  const auto configs = ParseMigConfigs(kExample);
  const MigConfigEntry& custom = configs->at("custom-config")[1];
  EXPECT_TRUE(custom.Matches(4, 0x233010DE, 0));
  EXPECT_FALSE(custom.Matches(3, 0x233010DE, 0));
  EXPECT_FALSE(custom.Matches(4, 0x20B010DE, 0));
  EXPECT_TRUE(custom.Matches(4, 0x233110DE, 0x16C110DE));
  EXPECT_FALSE(custom.Matches(4, 0x233110DE, 0x16C210DE));
  EXPECT_TRUE(configs->at("all-enabled")[0].Matches(9, 0x20B010DE, 0));
}

TEST(MigConfigTest, WhatIsWrittenParsesBackToTheSame) {
  const auto configs = ParseMigConfigs(kExample);
  const std::string text = MigConfigsYaml(*configs);
  const auto again = ParseMigConfigs(text);
  ASSERT_TRUE(again) << again.error().message() << text;
  EXPECT_EQ(MigConfigsYaml(*again), text);
  EXPECT_EQ(again->at("custom-config")[1].device_filter, configs->at("custom-config")[1].device_filter);
  EXPECT_EQ(again->at("custom-config")[1].mig_devices, configs->at("custom-config")[1].mig_devices);
}

TEST(MigConfigTest, JsonIsRead) {
  EXPECT_TRUE(
      ParseMigConfigs(R"({"version": "v1", "mig-configs": {"a": [{"devices": "all", "mig-enabled": false}]}})"));
}

TEST(MigConfigTest, ErrorsNameThePlaceAndWhatIsAllowed) {
  const auto refusal = [](const std::string& text) {
    const auto parsed = ParseMigConfigs(text);
    return parsed ? std::string("parsed") : parsed.error().message();
  };
  const auto entry = [&](const std::string& text) {
    return refusal("version: v1\nmig-configs:\n  a:\n  - {" + text + "}\n");
  };
  EXPECT_EQ(refusal("version: v2\nmig-configs: {}"), "Field [version] is \"v2\"; v1 is allowed.");
  EXPECT_EQ(refusal("version: v1\nmig-config: {}"),
            "Field [(file)] has the unknown key \"mig-config\"; allowed is version, mig-configs. Did you mean "
            "`mig-configs`?");
  EXPECT_EQ(refusal("version: v1\nmig-configs: {a: []}"),
            "Field [mig-configs.a] is a list; a list of at least one entry is allowed.");
  EXPECT_EQ(entry("mig-enabled: false"),
            "Field [mig-configs.a[0].devices] is missing; \"all\" or a list of GPU indices is allowed.");
  EXPECT_EQ(entry("devices: some, mig-enabled: false"),
            "Field [mig-configs.a[0].devices] is \"some\"; \"all\" or a list of GPU indices is allowed.");
  EXPECT_EQ(entry("devices: [-1], mig-enabled: false"),
            "Field [mig-configs.a[0].devices] holds \"-1\"; GPU indices from 0 on are allowed.");
  EXPECT_EQ(entry("devices: all, mig-enabled: maybe"),
            "Field [mig-configs.a[0].mig-enabled] is \"maybe\"; true or false is allowed.");
  EXPECT_EQ(
      entry("devices: all, mig-enabled: true"),
      "Field [mig-configs.a[0].mig-devices] is missing; where mig-enabled is true, it must be there ({} for none).");
  EXPECT_EQ(entry("devices: all, mig-enabled: false, mig-devices: {1g.10gb: 1}"),
            "Field [mig-configs.a[0].mig-devices] is not empty, but mig-enabled is false.");
  EXPECT_EQ(entry("devices: all, mig-enabled: true, mig-devices: {1g.10gb: x}"),
            "Field [mig-configs.a[0].mig-devices.1g.10gb] is \"x\"; a number from 0 to 64 is allowed.");
  EXPECT_EQ(entry("devices: all, device-filter: H100, mig-enabled: false"),
            "Field [mig-configs.a[0].device-filter] holds \"H100\"; a PCI device and vendor such as \"0x233010DE\" is "
            "allowed.");
  EXPECT_NE(refusal("a: [").find("no YAML"), std::string::npos);
}

TEST(MigConfigTest, ProfileNamesAreTakenApart) {
  EXPECT_EQ(ParseProfileName("3g.40gb")->compute_slices, 3u);
  EXPECT_EQ(ParseProfileName("1c.3g.40gb")->gpu_profile, "3g.40gb");
  EXPECT_EQ(ParseProfileName("1c.3g.40gb")->compute_slices, 1u);
  EXPECT_EQ(ParseProfileName("1g.10gb+me")->gpu_profile, "1g.10gb+me");
  EXPECT_EQ(ParseProfileName("1g.10gb+me.all")->slices, 1u);
  for (const char* bad : {"", "3g", "g.40gb", "3g.gb", "3g.40", "4c.3g.40gb", "0c.3g.40gb", "3g.40gb+", "3g.40gb ",
                          "1c.3g", "3g.40gb.1c", "9g.90gb"})
    EXPECT_FALSE(ParseProfileName(bad)) << bad;
}

TEST(MigConfigTest, AConfigurationIsSelectedByNameOrBecauseItIsTheOnlyOne) {
  const auto configs = ParseMigConfigs(kExample);
  EXPECT_TRUE(SelectMigConfig(*configs, "all-enabled"));
  EXPECT_EQ(
      SelectMigConfig(*configs, "all-enable").error().message(),
      "Configuration (all-enable) is not in the file (there is all-disabled, all-enabled, custom-config). Did you "
      "mean `all-enabled`?");
  EXPECT_EQ(SelectMigConfig(*configs, "").error().code(), Code::kInvalidArgument);
  EXPECT_TRUE(SelectMigConfig({{"one", {}}}, ""));
}

}  // namespace
}  // namespace mignificient::device
