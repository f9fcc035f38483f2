#include "device/inventory.h"

#include <cerrno>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

#include "device/json_fields.h"

namespace mignificient::device {
namespace {

namespace json = boost::json;

bool IsMigSize(std::string_view text) {
  return text.size() == 2 && text[0] >= '1' && text[0] <= '7' && text[1] == 'g';
}

bool Given(const JsonNode& node, std::string_view name) {
  const json::value* value = node.object.if_contains(name);
  return value != nullptr && !value->is_null();
}

Result<std::optional<uint32_t>> OptionalId(const JsonNode& node, std::string_view name) {
  if (!Given(node, name)) return std::optional<uint32_t>{};
  MIG_ASSIGN(const uint32_t id, Number32(node, name));
  return std::optional(id);
}

Result<bool> Enabled(const JsonNode& node, std::string_view name) {
  MIG_ASSIGN(const std::string text, Text(node, name));
  if (text == "enabled" || text == "disabled") return text == "enabled";
  return Fail(Code::kInvalidArgument, "Field [{}] is \"{}\"; it must be \"enabled\" or \"disabled\".", node.Field(name),
              text);
}

Result<std::optional<MigMode>> ParseMode(const JsonNode& node) {
  if (!Given(node, "mig_mode")) return std::optional<MigMode>{};
  MIG_ASSIGN(const JsonNode child, AsNode(*node.object.if_contains("mig_mode"), node.Field("mig_mode")));
  MigMode mode;
  MIG_ASSIGN(mode.current, Enabled(child, "current"));
  MIG_ASSIGN(mode.pending, Enabled(child, "pending"));
  return std::optional(mode);
}

Result<Instance> ParseInstance(const JsonNode& node) {
  Instance instance;
  MIG_ASSIGN(instance.uuid, Text(node, "uuid"));
  MIG_ASSIGN(instance.instance_size, Text(node, "instance_size"));
  MIG_ASSIGN(instance.mig_size, Text(node, "mig_size", instance.instance_size.substr(0, 2)));
  if (!IsMigSize(instance.mig_size))
    return Fail(Code::kInvalidArgument, "Field [{}] is \"{}\"; it must be one of 1g to 7g.", node.Field("mig_size"),
                instance.mig_size);
  MIG_ASSIGN(instance.memory_mib, Number(node, "memory"));
  MIG_ASSIGN(const uint64_t units, Number(node, "compute_units", 0));
  instance.compute_units = static_cast<uint32_t>(units);
  MIG_ASSIGN(instance.gpu_instance, OptionalId(node, "gpu_instance_id"));
  MIG_ASSIGN(instance.compute_instance, OptionalId(node, "compute_instance_id"));
  if (Given(node, "placement")) {
    MIG_ASSIGN(const JsonNode child, AsNode(*node.object.if_contains("placement"), node.Field("placement")));
    Placement placement;
    MIG_ASSIGN(placement.start, Number32(child, "start"));
    MIG_ASSIGN(placement.size, Number32(child, "size"));
    instance.placement = placement;
  }
  return instance;
}

Result<Driver> ParseDriver(const JsonNode& node) {
  MIG_ASSIGN(const std::string name, Text(node, "driver", "cuda"));
  if (name == "cuda") return Driver::kCuda;
  if (name == "cpu") return Driver::kCpu;
  return Fail(Code::kInvalidArgument, "Field [{}] is \"{}\"; it must be \"cuda\" or \"cpu\".", node.Field("driver"),
              name);
}

Result<Gpu> ParseGpu(const JsonNode& node, uint32_t position) {
  Gpu gpu;
  MIG_ASSIGN(gpu.uuid, Text(node, "uuid"));
  MIG_ASSIGN(const uint64_t index, Number(node, "index", position));
  gpu.index = static_cast<uint32_t>(index);
  MIG_ASSIGN(gpu.name, Text(node, "name", ""));
  MIG_ASSIGN(gpu.memory_mib, Number(node, "memory"));
  MIG_ASSIGN(gpu.compute_capability, Text(node, "compute_capability", ""));
  MIG_ASSIGN(gpu.driver, ParseDriver(node));
  MIG_ASSIGN(gpu.pci_bus_id, Text(node, "pci_bus_id", ""));
  MIG_ASSIGN(gpu.driver_version, Text(node, "driver_version", ""));
  MIG_ASSIGN(gpu.mig, ParseMode(node));
  MIG_ASSIGN(const json::array* instances, List(node, "instances"));
  for (size_t i = 0; i < instances->size(); ++i) {
    MIG_ASSIGN(const JsonNode child, AsNode((*instances)[i], node.Field(fmt::format("instances[{}]", i))));
    MIG_ASSIGN(Instance instance, ParseInstance(child));
    gpu.instances.push_back(std::move(instance));
  }
  return gpu;
}

Result<> CheckUnique(const Inventory& inventory) {
  std::set<std::string> seen;
  for (const Partition& partition : Partitions(inventory))
    if (!seen.insert(partition.uuid).second)
      return Fail(Code::kInvalidArgument, "Two partitions have the uuid [{}].", partition.uuid);
  return {};
}

json::value IdOrNull(const std::optional<uint32_t>& id) {
  return id ? json::value(*id) : json::value(nullptr);
}

json::value ToJson(const Instance& instance) {
  json::value placement(nullptr);
  if (instance.placement) placement = {{"start", instance.placement->start}, {"size", instance.placement->size}};
  return {{"uuid", instance.uuid},
          {"mig_size", instance.mig_size},
          {"instance_size", instance.instance_size},
          {"memory", instance.memory_mib},
          {"compute_units", instance.compute_units},
          {"gpu_instance_id", IdOrNull(instance.gpu_instance)},
          {"compute_instance_id", IdOrNull(instance.compute_instance)},
          {"placement", std::move(placement)}};
}

json::value ToJson(const Gpu& gpu) {
  json::array instances;
  for (const Instance& instance : gpu.instances) instances.push_back(ToJson(instance));
  json::value mode(nullptr);
  if (gpu.mig)
    mode = {{"current", gpu.mig->current ? "enabled" : "disabled"},
            {"pending", gpu.mig->pending ? "enabled" : "disabled"}};
  return {{"uuid", gpu.uuid},
          {"index", gpu.index},
          {"name", gpu.name},
          {"driver", DriverName(gpu.driver)},
          {"driver_version", gpu.driver_version},
          {"pci_bus_id", gpu.pci_bus_id},
          {"memory", gpu.memory_mib},
          {"compute_capability", gpu.compute_capability},
          {"mig_mode", std::move(mode)},
          {"instances", std::move(instances)}};
}

}  // namespace

std::string_view DriverName(Driver driver) {
  return driver == Driver::kCuda ? "cuda" : "cpu";
}

std::vector<Partition> Partitions(const Inventory& inventory) {
  std::vector<Partition> partitions;
  uint32_t ordinals[2] = {};
  for (const Gpu& gpu : inventory.gpus) {
    const auto add = [&](std::string uuid, std::string size, std::string profile, uint64_t memory, uint32_t units) {
      partitions.push_back({std::move(uuid), gpu.uuid, std::move(size), std::move(profile), memory, units, gpu.driver,
                            ordinals[static_cast<size_t>(gpu.driver)]++});
    };
    if (gpu.instances.empty() && !(gpu.mig && gpu.mig->current)) add(gpu.uuid, "7g", "7g", gpu.memory_mib, 0);
    for (const Instance& instance : gpu.instances)
      add(instance.uuid, instance.mig_size, instance.instance_size, instance.memory_mib, instance.compute_units);
  }
  return partitions;
}

Result<Inventory> ParseInventory(std::string_view text) {
  MIG_ASSIGN(const json::value root, ParseJson(text));
  MIG_ASSIGN(const JsonNode node, AsNode(root, ""));
  if (!node.object.contains("gpus")) return Fail(Code::kInvalidArgument, "Field [gpus] is missing; it must be a list.");
  MIG_ASSIGN(const json::array* gpus, List(node, "gpus"));
  Inventory inventory;
  for (size_t i = 0; i < gpus->size(); ++i) {
    MIG_ASSIGN(const JsonNode child, AsNode((*gpus)[i], fmt::format("gpus[{}]", i)));
    MIG_ASSIGN(Gpu gpu, ParseGpu(child, static_cast<uint32_t>(i)));
    inventory.gpus.push_back(std::move(gpu));
  }
  MIG_TRY(CheckUnique(inventory));
  return inventory;
}

std::string InventoryJson(const Inventory& inventory) {
  json::array gpus;
  for (const Gpu& gpu : inventory.gpus) gpus.push_back(ToJson(gpu));
  return PrintJson(json::object{{"gpus", std::move(gpus)}});
}

Result<Inventory> ReadInventory(const std::string& path) {
  std::ifstream file(path);
  if (!file) return FailErrno(fmt::format("opening [{}]", path), errno);
  std::stringstream text;
  text << file.rdbuf();
  auto inventory = ParseInventory(text.str());
  if (!inventory) return std::unexpected(std::move(inventory).error().While(fmt::format("reading [{}]", path)));
  return inventory;
}

}  // namespace mignificient::device
