// The configuration files of nvidia-mig-parted (github.com/NVIDIA/mig-parted, api/spec/v1): which MIG mode and which
// instances each GPU shall have, under a name.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mignificient::device {

// How many MIG devices of each profile: {"1g.10gb": 2, "1c.3g.40gb": 3}.
using ProfileCounts = std::map<std::string, uint32_t>;

// One entry of a configuration.
struct MigConfigEntry {
  // PCI device and vendor as "0x233010DE", optionally with the subsystem's as "0x233010DE:0x16C110DE"; empty: any GPU.
  std::vector<std::string> device_filter;
  bool all_devices = true;
  std::vector<uint32_t> devices;  // NVML's indices, unless all_devices
  bool mig_enabled = false;
  ProfileCounts mig_devices;

  // By NVML's index, and PCI device and subsystem, each with its vendor in the low half.
  bool Matches(uint32_t index, uint32_t pci_device, uint32_t pci_subsystem) const;
};

using MigConfig = std::vector<MigConfigEntry>;
using MigConfigs = std::map<std::string, MigConfig>;

// A profile's name: "3g.40gb", "1g.10gb+me", "1c.3g.40gb" (a compute instance of one slice in a 3g.40gb).
struct ProfileName {
  std::string gpu_profile;      // "3g.40gb", as the driver names it
  uint32_t slices = 0;          // of the GPU instance
  uint32_t compute_slices = 0;  // of the compute instance

  std::string Text() const;
};
// kInvalidArgument says which form is allowed.
Result<ProfileName> ParseProfileName(std::string_view text);

// YAML or JSON, `version: v1`. kInvalidArgument names the place, what was given and what is allowed; a key that
// nvidia-mig-parted does not know is an error here, too.
Result<MigConfigs> ParseMigConfigs(const std::string& text);

// The configuration of that name. An empty name is the only one there is. kNotFound names the nearest.
Result<MigConfig> SelectMigConfig(const MigConfigs& configs, const std::string& name);

// In the order and form of nvidia-mig-parted's own `export`; parses back to the same.
std::string MigConfigsYaml(const MigConfigs& configs);

}  // namespace mignificient::device
