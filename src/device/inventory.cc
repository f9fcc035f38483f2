#include "device/inventory.h"

#include <cerrno>
#include <cmath>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace mignificient::device {
namespace {

namespace json = boost::json;

// An object of the file with its place in it, for errors.
struct Node {
  const json::object& object;
  std::string place;

  std::string Field(std::string_view name) const {
    return place.empty() ? std::string(name) : fmt::format("{}.{}", place, name);
  }
};

Result<Node> AsNode(const json::value& value, std::string place) {
  if (!value.is_object())
    return Fail(Code::kInvalidArgument, "Field [{}] must be an object, not {}.", place, json::serialize(value));
  return Node{value.as_object(), std::move(place)};
}

Result<std::string> Text(const Node& node, std::string_view name, std::optional<std::string> fallback = {}) {
  const json::value* value = node.object.if_contains(name);
  if (value == nullptr || value->is_null()) {
    if (fallback) return *fallback;
    return Fail(Code::kInvalidArgument, "Field [{}] is missing; it must be a string.", node.Field(name));
  }
  if (!value->is_string())
    return Fail(Code::kInvalidArgument, "Field [{}] is {}; it must be a string.", node.Field(name),
                json::serialize(*value));
  return std::string(value->as_string());
}

// The original wrote memory as a floating-point number.
Result<uint64_t> Number(const Node& node, std::string_view name, std::optional<uint64_t> fallback = {}) {
  const json::value* value = node.object.if_contains(name);
  if (value == nullptr || value->is_null()) {
    if (fallback) return *fallback;
    return Fail(Code::kInvalidArgument, "Field [{}] is missing; it must be a number.", node.Field(name));
  }
  boost::system::error_code error;
  const double number = value->to_number<double>(error);
  if (error || !(number >= 0) || number > 1e15)
    return Fail(Code::kInvalidArgument, "Field [{}] is {}; it must be a number that is not negative.", node.Field(name),
                json::serialize(*value));
  return static_cast<uint64_t>(number);
}

Result<const json::array*> List(const Node& node, std::string_view name) {
  static const json::array kNone;
  const json::value* value = node.object.if_contains(name);
  if (value == nullptr || value->is_null()) return &kNone;
  if (!value->is_array())
    return Fail(Code::kInvalidArgument, "Field [{}] is {}; it must be a list.", node.Field(name),
                json::serialize(*value));
  return &value->as_array();
}

bool IsMigSize(std::string_view text) {
  return text.size() == 2 && text[0] >= '1' && text[0] <= '7' && text[1] == 'g';
}

Result<Instance> ParseInstance(const Node& node) {
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
  return instance;
}

Result<Driver> ParseDriver(const Node& node) {
  MIG_ASSIGN(const std::string name, Text(node, "driver", "cuda"));
  if (name == "cuda") return Driver::kCuda;
  if (name == "cpu") return Driver::kCpu;
  return Fail(Code::kInvalidArgument, "Field [{}] is \"{}\"; it must be \"cuda\" or \"cpu\".", node.Field("driver"),
              name);
}

Result<Gpu> ParseGpu(const Node& node, uint32_t position) {
  Gpu gpu;
  MIG_ASSIGN(gpu.uuid, Text(node, "uuid"));
  MIG_ASSIGN(const uint64_t index, Number(node, "index", position));
  gpu.index = static_cast<uint32_t>(index);
  MIG_ASSIGN(gpu.name, Text(node, "name", ""));
  MIG_ASSIGN(gpu.memory_mib, Number(node, "memory"));
  MIG_ASSIGN(gpu.compute_capability, Text(node, "compute_capability", ""));
  MIG_ASSIGN(gpu.driver, ParseDriver(node));
  MIG_ASSIGN(const json::array* instances, List(node, "instances"));
  for (size_t i = 0; i < instances->size(); ++i) {
    MIG_ASSIGN(const Node child, AsNode((*instances)[i], node.Field(fmt::format("instances[{}]", i))));
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

// Indented: people read and edit this file.
void Print(const json::value& value, std::string& out, const std::string& indent) {
  const std::string deeper = indent + "  ";
  if (value.is_object() && !value.as_object().empty()) {
    const char* separator = "{\n";
    for (const auto& [key, member] : value.as_object()) {
      out += fmt::format("{}{}\"{}\": ", std::exchange(separator, ",\n"), deeper,
                         std::string_view(key.data(), key.size()));
      Print(member, out, deeper);
    }
    out += "\n" + indent + "}";
  } else if (value.is_array() && !value.as_array().empty()) {
    const char* separator = "[\n";
    for (const json::value& element : value.as_array()) {
      out += std::exchange(separator, ",\n") + deeper;
      Print(element, out, deeper);
    }
    out += "\n" + indent + "]";
  } else {
    out += json::serialize(value);
  }
}

json::value ToJson(const Gpu& gpu) {
  json::array instances;
  for (const Instance& instance : gpu.instances)
    instances.push_back({{"uuid", instance.uuid},
                         {"mig_size", instance.mig_size},
                         {"instance_size", instance.instance_size},
                         {"memory", instance.memory_mib},
                         {"compute_units", instance.compute_units}});
  return {{"uuid", gpu.uuid},
          {"index", gpu.index},
          {"name", gpu.name},
          {"driver", DriverName(gpu.driver)},
          {"memory", gpu.memory_mib},
          {"compute_capability", gpu.compute_capability},
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
    if (gpu.instances.empty()) add(gpu.uuid, "7g", "7g", gpu.memory_mib, 0);
    for (const Instance& instance : gpu.instances)
      add(instance.uuid, instance.mig_size, instance.instance_size, instance.memory_mib, instance.compute_units);
  }
  return partitions;
}

Result<Inventory> ParseInventory(std::string_view text) {
  boost::system::error_code error;
  const json::value root = json::parse(json::string_view(text.data(), text.size()), error, {},
                                       {.max_depth = 32, .allow_comments = true, .allow_trailing_commas = true});
  if (error) return Fail(Code::kInvalidArgument, "The text is no JSON: {}.", error.message());
  MIG_ASSIGN(const Node node, AsNode(root, ""));
  if (!node.object.contains("gpus")) return Fail(Code::kInvalidArgument, "Field [gpus] is missing; it must be a list.");
  MIG_ASSIGN(const json::array* gpus, List(node, "gpus"));
  Inventory inventory;
  for (size_t i = 0; i < gpus->size(); ++i) {
    MIG_ASSIGN(const Node child, AsNode((*gpus)[i], fmt::format("gpus[{}]", i)));
    MIG_ASSIGN(Gpu gpu, ParseGpu(child, static_cast<uint32_t>(i)));
    inventory.gpus.push_back(std::move(gpu));
  }
  MIG_TRY(CheckUnique(inventory));
  return inventory;
}

std::string InventoryJson(const Inventory& inventory) {
  json::array gpus;
  for (const Gpu& gpu : inventory.gpus) gpus.push_back(ToJson(gpu));
  std::string out;
  Print(json::object{{"gpus", std::move(gpus)}}, out, "");
  return out + "\n";
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
