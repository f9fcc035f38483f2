#include "device/mig_config.h"

#include <fmt/ranges.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/nearest.h"

namespace mignificient::device {
namespace {

constexpr uint32_t kMostInstances = 64;  // of one profile on one GPU; no driver has more

template <typename... Args>
std::unexpected<Error> Bad(const std::string& place, fmt::format_string<Args...> format, Args&&... args) {
  return Fail(Code::kInvalidArgument, "Field [{}] {}", place, fmt::format(format, std::forward<Args>(args)...));
}

// What was written there, on one line.
std::string Written(const YAML::Node& node) {
  if (!node || node.IsNull()) return "nothing";
  if (node.IsScalar()) return "\"" + node.Scalar() + "\"";
  return node.IsMap() ? "a mapping" : "a list";
}

std::optional<uint32_t> AsNumber(const std::string& text) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return number;
}

// "0x233010DE" -> {0x233010DE, the subsystem or none}
struct DeviceId {
  uint32_t device = 0;
  std::optional<uint32_t> subsystem;
};
std::optional<DeviceId> AsDeviceId(std::string_view text) {
  const auto number = [](std::string_view part) -> std::optional<uint32_t> {
    const bool hex = part.starts_with("0x") || part.starts_with("0X");
    if (hex) part.remove_prefix(2);
    uint32_t value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value, hex ? 16 : 10);
    if (part.empty() || error != std::errc() || end != part.data() + part.size()) return {};
    return value;
  };
  const size_t colon = text.find(':');
  const auto device = number(text.substr(0, colon));
  if (!device) return {};
  if (colon == text.npos) return DeviceId{*device, {}};
  const auto subsystem = number(text.substr(colon + 1));
  if (!subsystem) return {};
  return DeviceId{*device, subsystem};
}

Result<> CheckKeys(const YAML::Node& node, const std::string& place, const std::vector<std::string>& known) {
  if (!node.IsMap()) return Bad(place, "is {}; it must be a mapping.", Written(node));
  std::vector<std::string> seen;
  for (const auto& member : node) {
    const std::string key = member.first.IsScalar() ? member.first.Scalar() : "";
    if (std::ranges::find(known, key) == known.end())
      return Bad(place, "has the unknown key \"{}\"; allowed is {}.{}", key, fmt::join(known, ", "),
                 Suggestion(key, known));
    if (std::ranges::find(seen, key) != seen.end()) return Bad(place, "has the key \"{}\" twice.", key);
    seen.push_back(key);
  }
  return {};
}

Result<std::vector<std::string>> ParseFilter(const YAML::Node& node, const std::string& place) {
  std::vector<std::string> filter;
  if (!node || node.IsNull()) return filter;
  if (!node.IsScalar() && !node.IsSequence()) return Bad(place, "is {}; a string or a list is allowed.", Written(node));
  const auto add = [&](const YAML::Node& element) -> Result<> {
    if (!element.IsScalar() || !AsDeviceId(element.Scalar()))
      return Bad(place, "holds {}; a PCI device and vendor such as \"0x233010DE\" is allowed.", Written(element));
    filter.push_back(element.Scalar());
    return {};
  };
  if (node.IsScalar()) {
    if (node.Scalar().empty()) return filter;
    MIG_TRY(add(node));
    return filter;
  }
  for (const YAML::Node& element : node) MIG_TRY(add(element));
  return filter;
}

Result<> ParseDevices(const YAML::Node& node, const std::string& place, MigConfigEntry& entry) {
  if (!node) return Bad(place, "is missing; \"all\" or a list of GPU indices is allowed.");
  entry.all_devices = node.IsScalar() && node.Scalar() == "all";
  if (entry.all_devices) return {};
  if (!node.IsSequence()) return Bad(place, "is {}; \"all\" or a list of GPU indices is allowed.", Written(node));
  for (const YAML::Node& element : node) {
    const auto index = element.IsScalar() ? AsNumber(element.Scalar()) : std::nullopt;
    if (!index) return Bad(place, "holds {}; GPU indices from 0 on are allowed.", Written(element));
    entry.devices.push_back(*index);
  }
  return {};
}

Result<ProfileCounts> ParseCounts(const YAML::Node& node, const std::string& place) {
  ProfileCounts counts;
  if (!node || node.IsNull()) return counts;
  if (!node.IsMap()) return Bad(place, "is {}; a mapping from profile to count is allowed.", Written(node));
  for (const auto& member : node) {
    const std::string text = member.first.IsScalar() ? member.first.Scalar() : "";
    const auto profile = ParseProfileName(text);
    if (!profile) return std::unexpected(profile.error().While(fmt::format("reading [{}]", place)));
    const auto count = member.second.IsScalar() ? AsNumber(member.second.Scalar()) : std::nullopt;
    if (!count || *count > kMostInstances)
      return Bad(fmt::format("{}.{}", place, text), "is {}; a number from 0 to {} is allowed.", Written(member.second),
                 kMostInstances);
    if (*count > 0) counts[profile->Text()] += *count;
  }
  return counts;
}

Result<MigConfigEntry> ParseEntry(const YAML::Node& node, const std::string& place) {
  MIG_TRY(CheckKeys(node, place, {"device-filter", "devices", "mig-enabled", "mig-devices"}));
  MigConfigEntry entry;
  MIG_ASSIGN(entry.device_filter, ParseFilter(node["device-filter"], place + ".device-filter"));
  MIG_TRY(ParseDevices(node["devices"], place + ".devices", entry));
  const YAML::Node enabled = node["mig-enabled"];
  if (!enabled || !enabled.IsScalar() || (enabled.Scalar() != "true" && enabled.Scalar() != "false"))
    return Bad(place + ".mig-enabled", "is {}; true or false is allowed.", Written(enabled));
  entry.mig_enabled = enabled.Scalar() == "true";
  MIG_ASSIGN(entry.mig_devices, ParseCounts(node["mig-devices"], place + ".mig-devices"));
  if (entry.mig_enabled && !node["mig-devices"])
    return Bad(place + ".mig-devices", "is missing; where mig-enabled is true, it must be there ({{}} for none).");
  if (!entry.mig_enabled && !entry.mig_devices.empty())
    return Bad(place + ".mig-devices", "is not empty, but mig-enabled is false.");
  return entry;
}

Result<MigConfigs> ParseRoot(const YAML::Node& root) {
  MIG_TRY(CheckKeys(root, "(file)", {"version", "mig-configs"}));
  const YAML::Node version = root["version"];
  if (!version || !version.IsScalar() || version.Scalar() != "v1")
    return Bad("version", "is {}; v1 is allowed.", Written(version));
  const YAML::Node named = root["mig-configs"];
  if (!named || !named.IsMap() || named.size() == 0)
    return Bad("mig-configs", "is {}; a mapping from names to configurations is allowed.", Written(named));
  MigConfigs configs;
  for (const auto& member : named) {
    const std::string name = member.first.IsScalar() ? member.first.Scalar() : "";
    const std::string place = "mig-configs." + name;
    if (name.empty()) return Bad("mig-configs", "holds a configuration without a name.");
    if (!member.second.IsSequence() || member.second.size() == 0)
      return Bad(place, "is {}; a list of at least one entry is allowed.", Written(member.second));
    if (configs.contains(name)) return Bad("mig-configs", "has the key \"{}\" twice.", name);
    MigConfig& config = configs[name];
    for (size_t i = 0; i < member.second.size(); ++i) {
      MIG_ASSIGN(MigConfigEntry entry, ParseEntry(member.second[i], fmt::format("{}[{}]", place, i)));
      config.push_back(std::move(entry));
    }
  }
  return configs;
}

void Emit(YAML::Emitter& out, const MigConfigEntry& entry) {
  out << YAML::BeginMap;
  if (entry.device_filter.size() == 1) {
    out << YAML::Key << "device-filter" << YAML::Value << YAML::DoubleQuoted << entry.device_filter.front();
  } else if (!entry.device_filter.empty()) {
    out << YAML::Key << "device-filter" << YAML::Value << YAML::Flow << YAML::BeginSeq;
    for (const std::string& filter : entry.device_filter) out << YAML::DoubleQuoted << filter;
    out << YAML::EndSeq;
  }
  out << YAML::Key << "devices" << YAML::Value;
  if (entry.all_devices) {
    out << "all";
  } else {
    out << YAML::Flow << YAML::BeginSeq;
    for (const uint32_t index : entry.devices) out << index;
    out << YAML::EndSeq;
  }
  out << YAML::Key << "mig-enabled" << YAML::Value << entry.mig_enabled;
  out << YAML::Key << "mig-devices" << YAML::Value;
  if (entry.mig_devices.empty()) out << YAML::Flow;
  out << YAML::BeginMap;
  for (const auto& [profile, count] : entry.mig_devices) out << YAML::Key << profile << YAML::Value << count;
  out << YAML::EndMap << YAML::EndMap;
}

}  // namespace

bool MigConfigEntry::Matches(uint32_t index, uint32_t pci_device, uint32_t pci_subsystem) const {
  if (!all_devices && std::ranges::find(devices, index) == devices.end()) return false;
  if (device_filter.empty()) return true;
  return std::ranges::any_of(device_filter, [&](const std::string& filter) {
    const auto id = AsDeviceId(filter);
    return id && id->device == pci_device && id->subsystem.value_or(pci_subsystem) == pci_subsystem;
  });
}

std::string ProfileName::Text() const {
  return compute_slices == slices ? gpu_profile : fmt::format("{}c.{}", compute_slices, gpu_profile);
}

Result<ProfileName> ParseProfileName(std::string_view text) {
  const auto refuse = [text] {
    return Fail(Code::kInvalidArgument,
                "Profile \"{}\" is not the name of one; allowed is <slices>g.<memory>gb, before it <slices>c. for a "
                "smaller compute instance, and behind it attributes: 3g.40gb, 1c.3g.40gb, 1g.10gb+me.",
                text);
  };
  const std::string_view plain = text.substr(0, text.find('+'));
  const std::string_view attributes = text.substr(plain.size());
  std::vector<uint32_t> numbers;  // of c, g, gb
  std::string_view rest = plain;
  size_t gpu_part = 0;
  for (const std::string_view unit : {"c", "g", "gb"}) {
    const size_t dot = unit == "gb" ? rest.npos : rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    const auto number =
        part.ends_with(unit) ? AsNumber(std::string(part.substr(0, part.size() - unit.size()))) : std::nullopt;
    if (!number && unit == "c") {
      numbers.push_back(0);
      continue;
    }
    if (!number || *number == 0 || (unit != "gb" && dot == rest.npos)) return refuse();
    numbers.push_back(*number);
    if (unit == "c") gpu_part = dot + 1;
    rest = dot == rest.npos ? std::string_view() : rest.substr(dot + 1);
  }
  const bool has_bad_attribute = std::ranges::any_of(attributes, [](char c) {
    return !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '.' && c != ',' &&
           c != '+';
  });
  if (attributes == "+" || has_bad_attribute) return refuse();
  ProfileName name{.gpu_profile = std::string(text.substr(gpu_part)),
                   .slices = numbers[1],
                   .compute_slices = numbers[0] == 0 ? numbers[1] : numbers[0]};
  if (name.compute_slices > name.slices || name.slices > 8) return refuse();
  return name;
}

Result<MigConfigs> ParseMigConfigs(const std::string& text) {
  try {
    return ParseRoot(YAML::Load(text));
  } catch (const YAML::Exception& exception) {
    return Fail(Code::kInvalidArgument, "The text is no YAML: {}.", exception.what());
  }
}

Result<MigConfig> SelectMigConfig(const MigConfigs& configs, const std::string& name) {
  std::vector<std::string> names;
  for (const auto& [known, config] : configs) names.push_back(known);
  if (name.empty()) {
    if (configs.size() == 1) return configs.begin()->second;
    return Fail(Code::kInvalidArgument, "The file holds {} configurations ({}): say which.", names.size(),
                fmt::join(names, ", "));
  }
  const auto found = configs.find(name);
  if (found != configs.end()) return found->second;
  return Fail(Code::kNotFound, "Configuration ({}) is not in the file (there is {}).{}", name, fmt::join(names, ", "),
              Suggestion(name, names));
}

std::string MigConfigsYaml(const MigConfigs& configs) {
  YAML::Emitter out;
  out << YAML::BeginMap << YAML::Key << "version" << YAML::Value << "v1";
  out << YAML::Key << "mig-configs" << YAML::Value << YAML::BeginMap;
  for (const auto& [name, config] : configs) {
    out << YAML::Key << name << YAML::Value << YAML::BeginSeq;
    for (const MigConfigEntry& entry : config) Emit(out, entry);
    out << YAML::EndSeq;
  }
  out << YAML::EndMap << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

}  // namespace mignificient::device
