// `mignificient config check FILE`: reads a configuration as `serve` would and prints what would be in effect.
#include <fmt/format.h>

#include <memory>

#include "cli/command.h"
#include "cli/exit_status.h"
#include "cli/settings.h"

namespace mignificient::cli {
namespace {

int Check(const Settings& settings) {
  const auto loaded = LoadSettings(settings, {});
  if (!loaded) {
    Complain("config check", loaded.error());
    return kExitUsage;
  }
  for (const std::string& warning : loaded->warnings) fmt::print(stderr, "Warning: {}\n", warning);
  const std::string text = node::ConfigJson(loaded->config);
  fmt::print("{}{}", text, text.ends_with('\n') ? "" : "\n");
  return kExitOk;
}

}  // namespace

Command AddConfig(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("config", "Work with the node's configuration");
  CLI::App* check = app->add_subcommand("check", "Check a configuration file and print what would be in effect");
  const auto settings = std::make_shared<Settings>();
  check->add_option("file", settings->file, "The configuration file")->required();
  check->add_flag_callback("--json", [] {}, "The output is JSON with and without this flag");
  return {check, [settings] { return Check(*settings); }};
}

}  // namespace mignificient::cli
