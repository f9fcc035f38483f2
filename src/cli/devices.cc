// `mignificient devices`: prints devices.json, as `serve` and `run` would use it.
#include <fmt/format.h>

#include <memory>

#include "cli/command.h"
#include "cli/exit_status.h"
#include "device/inventory.h"

namespace mignificient::cli {
namespace {

int Devices(device::Preference preference) {
  const auto inventory = device::Discover(preference);
  if (!inventory) return Complain("devices", inventory.error());
  fmt::print("{}", device::InventoryJson(*inventory));
  return kExitOk;
}

}  // namespace

Command AddDevices(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("devices", "Print the GPUs and partitions of this machine as devices.json");
  const auto driver = std::make_shared<std::string>("auto");
  app->add_option("--driver", *driver,
                  "cuda: NVIDIA GPUs only; cpu: the software GPU; auto: the latter without the former")
      ->check(CLI::IsMember({"auto", "cuda", "cpu"}))
      ->capture_default_str();
  app->add_flag_callback("--json", [] {}, "The output is JSON with and without this flag");
  return {app, [driver] {
            return Devices(*driver == "cuda"  ? device::Preference::kCuda
                           : *driver == "cpu" ? device::Preference::kCpu
                                              : device::Preference::kAutomatic);
          }};
}

}  // namespace mignificient::cli
