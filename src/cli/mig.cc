// `mignificient mig`: MIG mode and instances of this machine's GPUs, in nvidia-mig-parted's file format. Here: what its
// commands share, `assert` and `export`.
#include "cli/mig.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "cli/exit_status.h"
#include "cli/read_file.h"

namespace mignificient::cli {
namespace {

namespace json = boost::json;

struct AssertOptions {
  MigFile file;
  bool valid_config = false;
};

int Assert(const AssertOptions& options) {
  const auto config = ReadMigFile(options.file);
  if (!config) {
    Complain("mig assert", config.error());
    return config.error().code() == Code::kNotFound ? kExitNotFound : kExitUsage;
  }
  if (options.valid_config) {
    fmt::print("The configuration is valid.\n");
    return kExitOk;
  }
  const auto nvml = OpenMigNvml();
  if (!nvml) return Complain("mig assert", nvml.error());
  const auto gpus = device::ReadAllMig(**nvml);
  if (!gpus) return Complain("mig assert", gpus.error());
  const auto differences = device::DifferencesFrom(*gpus, *config);
  for (const std::string& difference : differences) fmt::print(stderr, "mignificient mig assert: {}\n", difference);
  if (!differences.empty()) return kExitFunctionError;
  fmt::print("The GPUs are as the configuration says.\n");
  return kExitOk;
}

json::value ToJson(const device::MigConfigEntry& entry) {
  json::object object, devices;
  if (entry.device_filter.size() == 1) object["device-filter"] = entry.device_filter.front();
  if (entry.device_filter.size() > 1)
    object["device-filter"] = json::array(entry.device_filter.begin(), entry.device_filter.end());
  object["devices"] = entry.all_devices ? json::value("all") : json::array(entry.devices.begin(), entry.devices.end());
  object["mig-enabled"] = entry.mig_enabled;
  for (const auto& [profile, count] : entry.mig_devices) devices[profile] = count;
  object["mig-devices"] = std::move(devices);
  return object;
}

struct ExportOptions {
  std::string name = "current";
  bool as_json = false;
};

int Export(const ExportOptions& options) {
  const auto nvml = OpenMigNvml();
  if (!nvml) return Complain("mig export", nvml.error());
  const auto gpus = device::ReadAllMig(**nvml);
  if (!gpus) return Complain("mig export", gpus.error());
  const device::MigConfig config = device::ExportMig(*gpus);
  if (!options.as_json) {
    fmt::print("{}", device::MigConfigsYaml({{options.name, config}}));
    return kExitOk;
  }
  json::array entries;
  for (const device::MigConfigEntry& entry : config) entries.push_back(ToJson(entry));
  fmt::print("{}\n", json::serialize(json::object{{"version", "v1"},
                                                  {"mig-configs", json::object{{options.name, std::move(entries)}}}}));
  return kExitOk;
}

}  // namespace

void AddMigFile(CLI::App& app, MigFile& options) {
  app.add_option("-f,--config-file", options.file, "A configuration file of nvidia-mig-parted; -: standard input")
      ->envname("MIG_PARTED_CONFIG_FILE")
      ->required();
  app.add_option("-c,--selected-config", options.name, "Which configuration of the file (default: its only one)")
      ->envname("MIG_PARTED_SELECTED_CONFIG");
}

Result<device::MigConfig> ReadMigFile(const MigFile& options) {
  MIG_ASSIGN(const std::string text, options.file == "-" ? ReadAll(stdin) : ReadFile(options.file));
  const auto configs = device::ParseMigConfigs(text);
  if (!configs) return std::unexpected(configs.error().While(fmt::format("reading [{}]", options.file)));
  return device::SelectMigConfig(*configs, options.name);
}

Result<std::unique_ptr<device::Nvml>> OpenMigNvml() {
  MIG_ASSIGN(auto nvml, device::OpenNvml(device::DiscoveryFromEnvironment().nvml));
  MIG_ASSIGN(const uint32_t count, nvml->GpuCount());
  if (count == 0) return Fail(Code::kNotFound, "The NVIDIA driver finds no GPU.");
  return nvml;
}

Command AddMigAssert(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("assert", "Exit with 0 if the GPUs are as a configuration says, else with 1");
  const auto options = std::make_shared<AssertOptions>();
  AddMigFile(*app, options->file);
  app->add_flag("-a,--valid-config", options->valid_config,
                "Only check that the file is valid and has the configuration");
  return {app, [options] { return Assert(*options); }};
}

Command AddMigExport(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("export", "Print the GPUs' MIG state as a configuration file");
  const auto options = std::make_shared<ExportOptions>();
  app->add_option("-l,--config-label", options->name, "The configuration's name")->capture_default_str();
  app->add_flag("--json", options->as_json, "Print JSON instead of YAML");
  return {app, [options] { return Export(*options); }};
}

std::vector<Command> AddMig(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("mig", "Partition this machine's GPUs (needs root)");
  return {AddMigList(*app), AddMigApply(*app), AddMigAssert(*app), AddMigExport(*app)};
}

}  // namespace mignificient::cli
