#include "cli/settings.h"

#include <optional>

namespace mignificient::cli {

void AddSettings(CLI::App& app, Settings& settings) {
  app.add_option("--config", settings.file, "The configuration file (default: every setting has its default)");
  app.add_option("--set", settings.assignments, "One setting, such as --set limits.queue=100; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
}

Result<node::LoadedConfig> LoadSettings(const Settings& settings, std::vector<node::Override> overrides) {
  for (const std::string& assignment : settings.assignments) {
    const size_t equals = assignment.find('=');
    if (equals == assignment.npos || equals == 0)
      return Fail(Code::kInvalidArgument, "--set {} is not KEY=VALUE.", assignment);
    overrides.push_back({assignment.substr(0, equals), assignment.substr(equals + 1)});
  }
  const std::optional<std::string> file =
      settings.file.empty() ? std::nullopt : std::optional<std::string>(settings.file);
  return node::LoadConfig(file, node::ProcessEnvironment(), overrides);
}

}  // namespace mignificient::cli
