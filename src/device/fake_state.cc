#include "device/fake_state.h"

#include <algorithm>

#include "device/fake_h100.h"
#include "device/json_fields.h"

namespace mignificient::device {
namespace {

namespace json = boost::json;

// How a GPU is named where the file does not.
void Name(FakeGpu& gpu, uint32_t index) {
  if (gpu.uuid.empty()) gpu.uuid = fmt::format("GPU-00000000-0000-4000-8000-{:012x}", index);
  if (gpu.pci_bus_id.empty()) gpu.pci_bus_id = fmt::format("00000000:{:02X}:00.0", 0x0a + index);
}

template <typename Parsed, typename Parse>
Result<std::vector<Parsed>> Each(const JsonNode& node, std::string_view name, Parse parse) {
  MIG_ASSIGN(const json::array* list, List(node, name));
  std::vector<Parsed> all;
  for (size_t i = 0; i < list->size(); ++i) {
    MIG_ASSIGN(const JsonNode child, AsNode((*list)[i], fmt::format("{}[{}]", node.Field(name), i)));
    MIG_ASSIGN(Parsed one, parse(child));
    all.push_back(std::move(one));
  }
  return all;
}

Result<FakeGpuInstance> ParseInstance(const JsonNode& node) {
  MIG_TRY(CheckKnown(node, {"id", "profile", "start", "compute_instances"}));
  MIG_ASSIGN(const std::string name, Text(node, "profile"));
  const FakeGpuProfile* profile = FindH100GpuProfile(name);
  if (profile == nullptr)
    return Fail(Code::kInvalidArgument, "Field [{}] is \"{}\"; it must be a profile of an H100, such as 3g.40gb.",
                node.Field("profile"), name);
  FakeGpuInstance instance{.profile_id = profile->profile.id};
  MIG_ASSIGN(instance.id, Number32(node, "id"));
  MIG_ASSIGN(instance.placement.start, Number32(node, "start"));
  const auto place = std::ranges::find(profile->placements, instance.placement.start, &Placement::start);
  if (place == profile->placements.end())
    return Fail(Code::kInvalidArgument, "Field [{}] is {}; profile {} cannot lie there.", node.Field("start"),
                instance.placement.start, name);
  instance.placement = *place;
  const auto compute_profiles = H100ComputeProfiles(profile->profile);
  const auto parse = [&](const JsonNode& child) -> Result<FakeComputeInstance> {
    MIG_TRY(CheckKnown(child, {"id", "slices", "start"}));
    FakeComputeInstance compute;
    MIG_ASSIGN(compute.id, Number32(child, "id"));
    MIG_ASSIGN(compute.placement.size, Number32(child, "slices"));
    MIG_ASSIGN(compute.placement.start, Number32(child, "start"));
    for (const FakeComputeProfile& known : compute_profiles) {
      if (known.profile.slices != compute.placement.size) continue;
      if (std::ranges::find(known.placements, compute.placement) == known.placements.end()) break;
      compute.profile_id = known.profile.id;
      return compute;
    }
    return Fail(Code::kInvalidArgument, "Field [{}]: {} slices at {} are no compute instance of profile {}.",
                child.place, compute.placement.size, compute.placement.start, name);
  };
  MIG_ASSIGN(instance.compute, Each<FakeComputeInstance>(node, "compute_instances", parse));
  return instance;
}

Result<GpuProcess> ParseProcess(const JsonNode& node) {
  MIG_TRY(CheckKnown(node, {"pid", "gpu_instance", "compute_instance"}));
  GpuProcess process;
  MIG_ASSIGN(process.pid, Number32(node, "pid"));
  MIG_ASSIGN(process.gpu_instance, Number32(node, "gpu_instance", kNoInstance));
  MIG_ASSIGN(process.compute_instance, Number32(node, "compute_instance", kNoInstance));
  return process;
}

Result<FakeGpu> ParseGpu(const JsonNode& node) {
  MIG_TRY(
      CheckKnown(node, {"uuid", "name", "memory", "compute_capability", "pci_bus_id", "mig_capable", "mode_needs_reset",
                        "profiles_need_mig", "lost", "mig", "mig_pending", "instances", "processes"}));
  FakeGpu gpu;
  MIG_ASSIGN(gpu.uuid, Text(node, "uuid", ""));
  MIG_ASSIGN(gpu.name, Text(node, "name", gpu.name));
  MIG_ASSIGN(gpu.memory_mib, Number(node, "memory", gpu.memory_mib));
  MIG_ASSIGN(gpu.compute_capability, Text(node, "compute_capability", gpu.compute_capability));
  MIG_ASSIGN(gpu.pci_bus_id, Text(node, "pci_bus_id", ""));
  MIG_ASSIGN(gpu.mig_capable, Flag(node, "mig_capable", true));
  MIG_ASSIGN(gpu.mode_needs_reset, Flag(node, "mode_needs_reset", false));
  MIG_ASSIGN(gpu.profiles_need_mig, Flag(node, "profiles_need_mig", false));
  MIG_ASSIGN(gpu.lost, Flag(node, "lost", false));
  MIG_ASSIGN(gpu.mode.current, Flag(node, "mig", false));
  MIG_ASSIGN(gpu.mode.pending, Flag(node, "mig_pending", gpu.mode.current));
  MIG_ASSIGN(gpu.instances, Each<FakeGpuInstance>(node, "instances", ParseInstance));
  MIG_ASSIGN(gpu.processes, Each<GpuProcess>(node, "processes", ParseProcess));
  if (!gpu.instances.empty() && !gpu.mode.current)
    return Fail(Code::kInvalidArgument, "Field [{}] is not empty, but [{}] is not true.", node.Field("instances"),
                node.Field("mig"));
  return gpu;
}

Result<FakeFailure> ParseFailure(const JsonNode& node) {
  MIG_TRY(CheckKnown(node, {"function", "status", "after"}));
  FakeFailure failure;
  MIG_ASSIGN(failure.function, Text(node, "function"));
  MIG_ASSIGN(const std::string status, Text(node, "status"));
  MIG_ASSIGN(failure.status, NvmlStatusNamed(status));
  MIG_ASSIGN(failure.after, Number32(node, "after", 0));
  return failure;
}

json::value ToJson(const FakeGpu& gpu) {
  json::array instances, processes;
  for (const FakeGpuInstance& instance : gpu.instances) {
    json::array compute;
    for (const FakeComputeInstance& c : instance.compute)
      compute.push_back({{"id", c.id}, {"slices", c.placement.size}, {"start", c.placement.start}});
    instances.push_back({{"id", instance.id},
                         {"profile", FindH100GpuProfile(instance.profile_id)->profile.name},
                         {"start", instance.placement.start},
                         {"compute_instances", std::move(compute)}});
  }
  for (const GpuProcess& process : gpu.processes)
    processes.push_back(
        {{"pid", process.pid}, {"gpu_instance", process.gpu_instance}, {"compute_instance", process.compute_instance}});
  return {{"uuid", gpu.uuid},
          {"name", gpu.name},
          {"memory", gpu.memory_mib},
          {"compute_capability", gpu.compute_capability},
          {"pci_bus_id", gpu.pci_bus_id},
          {"mig_capable", gpu.mig_capable},
          {"mode_needs_reset", gpu.mode_needs_reset},
          {"profiles_need_mig", gpu.profiles_need_mig},
          {"lost", gpu.lost},
          {"mig", gpu.mode.current},
          {"mig_pending", gpu.mode.pending},
          {"instances", std::move(instances)},
          {"processes", std::move(processes)}};
}

}  // namespace

FakeState FakeState::H100s(uint32_t count, bool mig) {
  FakeState state;
  for (uint32_t i = 0; i < count; ++i) {
    state.gpus.push_back({.mode = {mig, mig}});
    Name(state.gpus.back(), i);
  }
  return state;
}

Result<FakeState> ParseFakeState(std::string_view text) {
  MIG_ASSIGN(const json::value root, ParseJson(text));
  MIG_ASSIGN(const JsonNode node, AsNode(root, ""));
  MIG_TRY(CheckKnown(node, {"driver_version", "root", "gpus", "xids", "failures"}));
  FakeState state;
  MIG_ASSIGN(state.driver_version, Text(node, "driver_version", state.driver_version));
  MIG_ASSIGN(state.root, Flag(node, "root", true));
  MIG_ASSIGN(state.gpus, Each<FakeGpu>(node, "gpus", ParseGpu));
  for (uint32_t i = 0; i < state.gpus.size(); ++i) Name(state.gpus[i], i);
  const auto parse_xid = [&](const JsonNode& child) -> Result<XidEvent> {
    MIG_TRY(CheckKnown(child, {"gpu", "xid", "gpu_instance", "compute_instance"}));
    XidEvent event;
    MIG_ASSIGN(const uint32_t gpu, Number32(child, "gpu"));
    if (gpu >= state.gpus.size())
      return Fail(Code::kInvalidArgument, "Field [{}] is {}; there are {} GPUs.", child.Field("gpu"), gpu,
                  state.gpus.size());
    event.gpu_uuid = state.gpus[gpu].uuid;
    MIG_ASSIGN(event.xid, Number(child, "xid"));
    MIG_ASSIGN(event.gpu_instance, Number32(child, "gpu_instance", kNoInstance));
    MIG_ASSIGN(event.compute_instance, Number32(child, "compute_instance", kNoInstance));
    return event;
  };
  MIG_ASSIGN(state.xids, Each<XidEvent>(node, "xids", parse_xid));
  MIG_ASSIGN(state.failures, Each<FakeFailure>(node, "failures", ParseFailure));
  return state;
}

std::string FakeStateJson(const FakeState& state) {
  json::array gpus, xids, failures;
  for (const FakeGpu& gpu : state.gpus) gpus.push_back(ToJson(gpu));
  for (const XidEvent& event : state.xids) {
    const auto gpu = std::ranges::find(state.gpus, event.gpu_uuid, &FakeGpu::uuid);
    xids.push_back({{"gpu", gpu - state.gpus.begin()},
                    {"xid", event.xid},
                    {"gpu_instance", event.gpu_instance},
                    {"compute_instance", event.compute_instance}});
  }
  for (const FakeFailure& failure : state.failures)
    failures.push_back(
        {{"function", failure.function}, {"status", NvmlStatusName(failure.status)}, {"after", failure.after}});
  return PrintJson(json::object{{"driver_version", state.driver_version},
                                {"root", state.root},
                                {"gpus", std::move(gpus)},
                                {"xids", std::move(xids)},
                                {"failures", std::move(failures)}});
}

}  // namespace mignificient::device
