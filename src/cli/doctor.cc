// `mignificient doctor`: what this host offers, what to do about what it lacks, and what isolation it can give.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "cli/command.h"
#include "cli/exit_status.h"
#include "cli/host_checks.h"
#include "device/inventory.h"

namespace mignificient::cli {
namespace {

namespace json = boost::json;

struct Options {
  std::string python;
  bool as_json = false;
};

std::string GpuText(const device::Gpu& gpu) {
  return fmt::format("{} {} ({} MiB, compute capability {})", gpu.index, gpu.name, gpu.memory_mib,
                     gpu.compute_capability);
}

// Driver, GPUs and MIG instances.
std::vector<Check> CheckDevices() {
  const auto inventory = device::Discover(device::DiscoveryFromEnvironment(device::Preference::kCuda));
  if (!inventory)
    return {
        {.name = "gpus",
         .health = Health::kMissing,
         .found = inventory.error().message(),
         .advice = "Functions run on the software GPU. Install NVIDIA's driver, or give the container its devices."}};
  std::vector<Check> checks = {{.name = "driver", .found = "NVIDIA's, through NVML"}};
  size_t instances = 0;
  for (const device::Gpu& gpu : inventory->gpus) {
    checks.push_back({.name = "gpu", .found = GpuText(gpu)});
    instances += gpu.instances.size();
  }
  checks.push_back({.name = "mig",
                    .health = instances > 0 ? Health::kOk : Health::kWarning,
                    .found = fmt::format("{} instances", instances),
                    .advice = instances > 0 ? "" : "GPUs are used whole: tenants of one GPU share its compute units."});
  return checks;
}

Check CheckPrograms() {
  std::error_code error;
  const auto folder = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  std::vector<std::string> lacking;
  for (const char* name : {"mignificient-executor", "mignificient-gpu-server", "../lib/libcuda.so.1"})
    if (::access((folder / name).c_str(), R_OK) != 0) lacking.emplace_back(name);
  return {.name = "installation",
          .health = lacking.empty() ? Health::kOk : Health::kMissing,
          .found =
              lacking.empty() ? folder.string() : fmt::format("{} lacks {}", folder.string(), fmt::join(lacking, ", ")),
          .advice = lacking.empty() ? "" : "Build or install it whole; paths.* in the configuration name other places.",
          .required = true};
}

std::vector<Check> AllChecks(const Options& options) {
  std::vector<Check> checks = CheckDevices();
  for (Check& check :
       std::vector<Check>{CheckPrograms(), CheckKernel(), CheckMemorySealing(), CheckPidfd(), CheckMembarrier(),
                          CheckFutexWaitv(), CheckUserNamespaces(), CheckCgroups(), CheckBubblewrap(), CheckHugePages(),
                          CheckLockedMemory(), CheckDescriptors(), CheckPython(options.python)})
    checks.push_back(std::move(check));
  return checks;
}

bool IsOk(const std::vector<Check>& checks, std::string_view name) {
  return std::ranges::any_of(checks, [&](const Check& c) { return c.name == name && c.health == Health::kOk; });
}

// What separates tenants: as it is in this version, and what the host could give besides.
std::vector<std::string> Isolation(const std::vector<Check>& checks) {
  std::vector<std::string> lines = {
      "GPU memory: each container has a budget of its own; its own GPU server and context, too, unless "
      "gpu-server.share "
      "is \"user\"."};
  lines.emplace_back(IsOk(checks, "mig") ? "GPU compute: by MIG instances."
                                         : "GPU compute: by turns only; there are no MIG instances.");
  lines.emplace_back("Host: functions run as separate processes of the node's own user, not yet sandboxed.");
  const bool sandbox = IsOk(checks, "user namespaces") && IsOk(checks, "bubblewrap");
  lines.emplace_back(sandbox ? "Host: sandboxes without root are possible here."
                             : "Host: sandboxes without root are not possible here.");
  lines.emplace_back(IsOk(checks, "cgroups v2")
                         ? "Host: limits on a function's memory, CPU and processes are possible here."
                         : "Host: limits on a function's memory, CPU and processes are not possible here.");
  return lines;
}

void PrintText(const std::vector<Check>& checks, const std::vector<std::string>& isolation) {
  for (const Check& check : checks) {
    fmt::print("{:<8} {:<16} {}\n", Name(check.health), check.name, check.found);
    if (!check.advice.empty()) fmt::print("{:<8} {:<16} -> {}\n", "", "", check.advice);
  }
  fmt::print("\nIsolation\n");
  for (const std::string& line : isolation) fmt::print("  {}\n", line);
}

void PrintJson(const std::vector<Check>& checks, const std::vector<std::string>& isolation) {
  json::array list;
  for (const Check& check : checks)
    list.push_back(json::object{{"name", check.name},
                                {"state", Name(check.health)},
                                {"found", check.found},
                                {"advice", check.advice},
                                {"required", check.required}});
  const json::object report{{"checks", std::move(list)},
                            {"isolation", json::array(isolation.begin(), isolation.end())}};
  fmt::print("{}\n", json::serialize(report));
}

int Doctor(const Options& options) {
  const std::vector<Check> checks = AllChecks(options);
  const std::vector<std::string> isolation = Isolation(checks);
  options.as_json ? PrintJson(checks, isolation) : PrintText(checks, isolation);
  const bool can_serve =
      std::ranges::none_of(checks, [](const Check& c) { return c.required && c.health == Health::kMissing; });
  return can_serve ? kExitOk : kExitUsage;
}

}  // namespace

Command AddDoctor(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("doctor", "Say what this host offers to a node, and what to do about the rest");
  const auto options = std::make_shared<Options>();
  app->add_option("--python", options->python, "The interpreter that executor.python names (default: python3)");
  app->add_flag("--json", options->as_json, "Print {\"checks\", \"isolation\"}");
  return {app, [options] { return Doctor(*options); }};
}

}  // namespace mignificient::cli
