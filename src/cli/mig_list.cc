// `mignificient mig list`: profiles, how many more of each fit, where they may lie, and the instances that exist.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "cli/exit_status.h"
#include "cli/mig.h"
#include "cli/table.h"

namespace mignificient::cli {
namespace {

namespace json = boost::json;

struct Listed {
  device::GpuMig gpu;
  std::vector<uint32_t> remaining;  // of each profile of the table
};

Result<std::vector<Listed>> Read(device::Nvml& nvml) {
  MIG_ASSIGN(std::vector<device::GpuMig> gpus, device::ReadAllMig(nvml));
  std::vector<Listed> all;
  for (device::GpuMig& gpu : gpus) {
    Listed& listed = all.emplace_back(std::move(gpu));
    for (const device::PlacedProfile& placed : listed.gpu.table) {
      MIG_ASSIGN(const uint32_t count, nvml.Remaining(listed.gpu.index, placed.profile.id));
      listed.remaining.push_back(count);
    }
  }
  return all;
}

// "{0,4}:4", as nvidia-smi writes it
std::string Places(const std::vector<device::Placement>& placements) {
  if (placements.empty()) return "-";
  std::vector<uint32_t> starts;
  for (const device::Placement& placement : placements) starts.push_back(placement.start);
  return fmt::format("{{{}}}:{}", fmt::join(starts, ","), placements.front().size);
}

std::string ProfileName(const device::GpuMig& gpu, uint32_t id) {
  const device::PlacedProfile* profile = device::FindProfile(gpu.table, id);
  return profile == nullptr ? fmt::format("profile {}", id) : profile->profile.name;
}

std::vector<const device::MigDevice*> DevicesOf(const device::GpuMig& gpu, uint32_t instance) {
  std::vector<const device::MigDevice*> devices;
  for (const device::MigDevice& device : gpu.devices)
    if (device.gpu_instance == instance) devices.push_back(&device);
  return devices;
}

void PrintGpu(const Listed& listed) {
  const device::GpuMig& gpu = listed.gpu;
  const auto word = [](bool on) { return on ? "enabled" : "disabled"; };
  fmt::print("GPU {}: {} ({}), MIG mode {}\n", gpu.index, gpu.identity.name, gpu.identity.uuid,
             !gpu.mode ? "not supported"
             : gpu.mode->current == gpu.mode->pending
                 ? word(gpu.mode->current)
                 : fmt::format("{}, pending {}", word(gpu.mode->current), word(gpu.mode->pending)));
  if (!gpu.table.empty()) {
    Table table{{"  PROFILE", "ID", "FREE/TOTAL", "MEMORY MiB", "UNITS", "PLACEMENTS"}};
    for (size_t i = 0; i < gpu.table.size(); ++i) {
      const device::GpuProfile& profile = gpu.table[i].profile;
      table.push_back({"  " + profile.name, std::to_string(profile.id),
                       fmt::format("{}/{}", listed.remaining[i], profile.instances), std::to_string(profile.memory_mib),
                       std::to_string(profile.multiprocessors), Places(gpu.table[i].placements)});
    }
    Print(table);
  }
  if (gpu.instances.empty()) return;
  Table table{{"  INSTANCE", "GI", "CI", "PLACEMENT", "BUSY", "UUID"}};
  for (const device::MigInstance& instance : gpu.instances) {
    const std::string place = fmt::format("{}:{}", instance.placement.start, instance.placement.size);
    const std::string busy = instance.busy ? "yes" : "no";
    const auto devices = DevicesOf(gpu, instance.id);
    if (devices.empty())
      table.push_back(
          {"  " + ProfileName(gpu, instance.profile_id), std::to_string(instance.id), "-", place, busy, "-"});
    for (const device::MigDevice* device : devices)
      table.push_back({"  " + device->name.substr(device->name.rfind(' ') + 1), std::to_string(instance.id),
                       std::to_string(device->compute_instance), place, busy, device->uuid});
  }
  Print(table);
}

json::value ToJson(const device::Placement& placement) {
  return {{"start", placement.start}, {"size", placement.size}};
}

json::value ToJson(const Listed& listed) {
  const device::GpuMig& gpu = listed.gpu;
  json::array profiles, instances;
  for (size_t i = 0; i < gpu.table.size(); ++i) {
    json::array placements;
    for (const device::Placement& placement : gpu.table[i].placements) placements.push_back(ToJson(placement));
    const device::GpuProfile& profile = gpu.table[i].profile;
    profiles.push_back({{"name", profile.name},
                        {"id", profile.id},
                        {"free", listed.remaining[i]},
                        {"total", profile.instances},
                        {"memory", profile.memory_mib},
                        {"compute_units", profile.multiprocessors},
                        {"slices", profile.slices},
                        {"placements", std::move(placements)}});
  }
  for (const device::MigInstance& instance : gpu.instances) {
    json::array devices;
    for (const device::MigDevice* device : DevicesOf(gpu, instance.id))
      devices.push_back({{"uuid", device->uuid},
                         {"compute_instance_id", device->compute_instance},
                         {"name", device->name},
                         {"memory", device->memory_mib},
                         {"compute_units", device->multiprocessors}});
    instances.push_back({{"gpu_instance_id", instance.id},
                         {"profile", ProfileName(gpu, instance.profile_id)},
                         {"placement", ToJson(instance.placement)},
                         {"busy", instance.busy},
                         {"devices", std::move(devices)}});
  }
  json::value mode(nullptr);
  const auto word = [](bool on) { return on ? "enabled" : "disabled"; };
  if (gpu.mode) mode = {{"current", word(gpu.mode->current)}, {"pending", word(gpu.mode->pending)}};
  return {{"index", gpu.index},          {"uuid", gpu.identity.uuid},       {"name", gpu.identity.name},
          {"mig_mode", std::move(mode)}, {"profiles", std::move(profiles)}, {"instances", std::move(instances)}};
}

int List(bool as_json) {
  const auto nvml = OpenMigNvml();
  if (!nvml) return Complain("mig list", nvml.error());
  const auto gpus = Read(**nvml);
  if (!gpus) return Complain("mig list", gpus.error());
  json::array all;
  for (const Listed& listed : *gpus) {
    if (as_json)
      all.push_back(ToJson(listed));
    else
      PrintGpu(listed);
  }
  if (as_json) fmt::print("{}\n", json::serialize(json::object{{"gpus", std::move(all)}}));
  return kExitOk;
}

}  // namespace

Command AddMigList(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("list", "Show profiles, what more of them fits and where, and what exists");
  const auto as_json = std::make_shared<bool>(false);
  app->add_flag("--json", *as_json, "Print JSON");
  return {app, [as_json] { return List(*as_json); }};
}

}  // namespace mignificient::cli
