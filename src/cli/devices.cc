// `mignificient devices`: the GPUs and partitions of this machine, as `serve` and `run` would use them. A table for
// people; devices.json for scripts and files.
#include <fmt/format.h>
#include <unistd.h>

#include <memory>

#include "cli/command.h"
#include "cli/exit_status.h"
#include "cli/table.h"
#include "device/inventory.h"

namespace mignificient::cli {
namespace {

struct Options {
  std::string driver = "auto";
  bool as_json = false;
  bool as_table = false;
};

std::string ModeText(const device::Gpu& gpu) {
  if (!gpu.mig) return "-";
  const auto word = [](bool enabled) { return enabled ? "enabled" : "disabled"; };
  if (gpu.mig->current == gpu.mig->pending) return word(gpu.mig->current);
  return fmt::format("{} (pending: {})", word(gpu.mig->current), word(gpu.mig->pending));
}

std::string OrDash(const std::string& text) {
  return text.empty() ? "-" : text;
}
std::string OrDash(const std::optional<uint32_t>& number) {
  return number ? std::to_string(*number) : "-";
}

void PrintTables(const device::Inventory& inventory) {
  Table gpus{{"GPU", "NAME", "MEMORY MiB", "CAPABILITY", "MIG MODE", "PCI BUS ID", "DRIVER", "UUID"}};
  Table partitions{{"GPU", "INSTANCE", "MEMORY MiB", "UNITS", "GI", "CI", "PLACEMENT", "UUID"}};
  for (const device::Gpu& gpu : inventory.gpus) {
    const std::string index = std::to_string(gpu.index);
    gpus.push_back({index, OrDash(gpu.name), std::to_string(gpu.memory_mib), OrDash(gpu.compute_capability),
                    ModeText(gpu), OrDash(gpu.pci_bus_id), OrDash(gpu.driver_version), gpu.uuid});
    for (const device::Instance& instance : gpu.instances)
      partitions.push_back(
          {index, instance.instance_size, std::to_string(instance.memory_mib), std::to_string(instance.compute_units),
           OrDash(instance.gpu_instance), OrDash(instance.compute_instance),
           instance.placement ? fmt::format("{}:{}", instance.placement->start, instance.placement->size) : "-",
           instance.uuid});
  }
  Print(gpus);
  if (partitions.size() > 1) {
    fmt::print("\n");
    Print(partitions);
  }
  for (const device::Gpu& gpu : inventory.gpus)
    if (gpu.instances.empty() && gpu.mig && gpu.mig->current)
      fmt::print(
          "\nGPU {} is in MIG mode and has no instances: nothing can run on it. See `mignificient mig --help`.\n",
          gpu.index);
}

int Devices(const Options& options) {
  using device::Preference;
  const auto inventory =
      device::Discover(device::DiscoveryFromEnvironment(options.driver == "cuda"  ? Preference::kCuda
                                                        : options.driver == "cpu" ? Preference::kCpu
                                                                                  : Preference::kAutomatic));
  if (!inventory) return Complain("devices", inventory.error());
  for (const std::string& trouble : inventory->troubles) fmt::print(stderr, "mignificient devices: {}\n", trouble);
  // `mignificient devices > devices.json` makes that file; on a terminal, somebody is reading.
  if (options.as_table || (!options.as_json && ::isatty(STDOUT_FILENO) != 0))
    PrintTables(*inventory);
  else
    fmt::print("{}", device::InventoryJson(*inventory));
  return kExitOk;
}

}  // namespace

Command AddDevices(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("devices", "Show the GPUs and partitions of this machine");
  const auto options = std::make_shared<Options>();
  app->add_option("--driver", options->driver,
                  "cuda: NVIDIA GPUs only; cpu: the software GPU; auto: the latter without the former")
      ->check(CLI::IsMember({"auto", "cuda", "cpu"}))
      ->capture_default_str();
  CLI::Option* json = app->add_flag("--json", options->as_json, "Print devices.json (default unless on a terminal)");
  app->add_flag("--table", options->as_table, "Print tables for people (default on a terminal)")->excludes(json);
  return {app, [options] { return Devices(*options); }};
}

}  // namespace mignificient::cli
