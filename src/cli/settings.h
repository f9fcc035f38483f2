// How commands take the node's configuration: a file, and single keys on the command line.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "base/result.h"
#include "node/config.h"

namespace mignificient::cli {

struct Settings {
  std::string file;                      // empty: none
  std::vector<std::string> assignments;  // KEY=VALUE
};

// --config and --set.
void AddSettings(CLI::App& app, Settings& settings);

// The file, then the environment, then `overrides`, then the assignments.
Result<node::LoadedConfig> LoadSettings(const Settings& settings, std::vector<node::Override> overrides);

}  // namespace mignificient::cli
