#include "cli/version.h"

#include <fmt/format.h>

#include <memory>

#include "cli/command.h"
#include "cli/exit_status.h"

namespace mignificient::cli {

std::string_view Version() {
  return MIGNIFICIENT_VERSION;  // set by the build
}

Command AddVersion(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("version", "Print the version of this build");
  const auto as_json = std::make_shared<bool>(false);
  app->add_flag("--json", *as_json, "Print a JSON object");
  return {app, [as_json] {
            if (*as_json)
              fmt::print("{{\"version\":\"{}\"}}\n", Version());
            else
              fmt::print("mignificient {}\n", Version());
            return static_cast<int>(kExitOk);
          }};
}

}  // namespace mignificient::cli
