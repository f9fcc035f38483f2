#include <charconv>
#include <vector>

#include "device/inventory.h"

namespace mignificient::device {
namespace {

constexpr std::string_view kDefault = "3g,4g";
constexpr uint32_t kSlices = 7;
constexpr uint64_t kMibPerGib = 1024;
constexpr uint64_t kMostGib = 1024;
constexpr size_t kMostGpus = 64;

// Multiprocessors of an H100's instances of so many slices; it has none of five and six.
constexpr uint32_t kComputeUnits[kSlices + 1] = {0, 16, 32, 60, 64, 80, 96, 132};

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (size_t end = 0; end != text.npos; text.remove_prefix(std::min(end + 1, text.size()))) {
    end = text.find(separator);
    std::string_view part = text.substr(0, end);
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    parts.push_back(part);
  }
  return parts;
}

struct Part {
  uint32_t slices = 0;  // 0: whole
  uint64_t gib = 0;
};

// "3g", "3g.8gb", "whole", "whole.16gb"
Result<Part> ParsePart(std::string_view text) {
  const auto refuse = [text] {
    return Fail(Code::kInvalidArgument,
                "Software GPU partition \"{}\" is not known; allowed is 1g to 7g, with memory such as 3g.8gb (1 to {} "
                "GiB), and whole.",
                text, kMostGib);
  };
  const size_t dot = text.find('.');
  const std::string_view size = text.substr(0, dot);
  Part part;
  if (size.size() == 2 && size[0] >= '1' && size[0] <= '7' && size[1] == 'g') {
    part.slices = static_cast<uint32_t>(size[0] - '0');
  } else if (size != "whole") {
    return refuse();
  }
  part.gib = part.slices == 0 ? kSlices : part.slices;
  if (dot == text.npos) return part;
  const std::string_view memory = text.substr(dot + 1);
  const auto [end, error] = std::from_chars(memory.data(), memory.data() + memory.size(), part.gib);
  const std::string_view unit(end, static_cast<size_t>(memory.data() + memory.size() - end));
  if (error != std::errc() || unit != "gb" || part.gib < 1 || part.gib > kMostGib) return refuse();
  return part;
}

Result<Gpu> ParseGpu(std::string_view text, uint32_t index, uint32_t& partitions) {
  Gpu gpu{.uuid = fmt::format("GPU-software-{}", index),
          .index = index,
          .name = "MIGnificient software GPU",
          .compute_capability = "9.0",
          .driver = Driver::kCpu};
  uint32_t slices = 0;
  const auto parts = Split(text, ',');
  for (const std::string_view name : parts) {
    MIG_ASSIGN(const Part part, ParsePart(name));
    gpu.memory_mib += part.gib * kMibPerGib;
    slices += part.slices;
    if (part.slices == 0 && parts.size() > 1)
      return Fail(Code::kInvalidArgument, "Software GPU \"{}\" is whole and has partitions; allowed is one of both.",
                  text);
    if (part.slices == 0) continue;
    gpu.instances.push_back({.uuid = fmt::format("MIG-software-{}", partitions++),
                             .mig_size = fmt::format("{}g", part.slices),
                             .instance_size = fmt::format("{}g.{}gb", part.slices, part.gib),
                             .memory_mib = part.gib * kMibPerGib,
                             .compute_units = kComputeUnits[part.slices]});
  }
  if (slices > kSlices)
    return Fail(Code::kInvalidArgument, "Software GPU \"{}\" has {} slices; at most {} are allowed.", text, slices,
                kSlices);
  return gpu;
}

}  // namespace

Result<Inventory> ParseSoftwareGpus(std::string_view description) {
  Inventory inventory;
  uint32_t partitions = 0;
  const auto gpus = Split(description.empty() ? kDefault : description, ';');
  if (gpus.size() > kMostGpus)
    return Fail(Code::kInvalidArgument, "{} software GPUs are described; at most {} are allowed.", gpus.size(),
                kMostGpus);
  for (const std::string_view gpu : gpus) {
    MIG_ASSIGN(Gpu parsed, ParseGpu(gpu, static_cast<uint32_t>(inventory.gpus.size()), partitions));
    inventory.gpus.push_back(std::move(parsed));
  }
  return inventory;
}

}  // namespace mignificient::device
