#include "device/fake_h100.h"

#include <algorithm>

namespace mignificient::device {
namespace {

constexpr uint32_t kUnitsPerSlice = 16;

std::vector<Placement> At(std::initializer_list<uint32_t> starts, uint32_t size) {
  std::vector<Placement> placements;
  for (const uint32_t start : starts) placements.push_back({start, size});
  return placements;
}

// Where compute instances of `slices` may start in a GPU instance of `of`; empty: that size does not exist there.
std::vector<uint32_t> ComputeStarts(uint32_t slices, uint32_t of) {
  if (slices > of || (slices == 3 && of == 4)) return {};
  if (slices == of) return {0};
  switch (slices) {
    case 1: {
      std::vector<uint32_t> starts(of);
      for (uint32_t i = 0; i < of; ++i) starts[i] = i;
      return starts;
    }
    case 2:
      return of == 7   ? std::vector<uint32_t>{0, 2, 4}
             : of == 4 ? std::vector<uint32_t>{0, 2}
                       : std::vector<uint32_t>{0};
    case 3:
      return {0, 4};
    case 4:
      return {0};
    default:
      return {};
  }
}

}  // namespace

std::span<const FakeGpuProfile> H100GpuProfiles() {
  // id, name, slices, instances, multiprocessors, MiB
  static const std::vector<FakeGpuProfile> kProfiles = {
      {{19, "1g.10gb", 1, 7, 16, 9984}, At({0, 1, 2, 3, 4, 5, 6}, 1)},
      {{20, "1g.10gb+me", 1, 1, 16, 9984}, At({0, 1, 2, 3, 4, 5, 6}, 1)},
      {{15, "1g.20gb", 1, 4, 26, 20096}, At({0, 2, 4, 6}, 2)},
      {{14, "2g.20gb", 2, 3, 32, 20096}, At({0, 2, 4}, 2)},
      {{9, "3g.40gb", 3, 2, 60, 40448}, At({0, 4}, 4)},
      {{5, "4g.40gb", 4, 1, 64, 40448}, At({0}, 4)},
      {{0, "7g.80gb", 7, 1, 132, 81152}, At({0}, 8)},
  };
  return kProfiles;
}

const FakeGpuProfile* FindH100GpuProfile(uint32_t id) {
  for (const FakeGpuProfile& profile : H100GpuProfiles())
    if (profile.profile.id == id) return &profile;
  return nullptr;
}

const FakeGpuProfile* FindH100GpuProfile(std::string_view name) {
  for (const FakeGpuProfile& profile : H100GpuProfiles())
    if (profile.profile.name == name) return &profile;
  return nullptr;
}

std::vector<FakeComputeProfile> H100ComputeProfiles(const GpuProfile& of) {
  // A profile's id follows from its size, as in `nvidia-smi mig -lcip`.
  static constexpr std::pair<uint32_t, uint32_t> kIdAndSlices[] = {{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 7}};
  std::vector<FakeComputeProfile> profiles;
  for (const auto& [id, slices] : kIdAndSlices) {
    const std::vector<uint32_t> starts = ComputeStarts(slices, of.slices);
    if (starts.empty()) continue;
    FakeComputeProfile& added = profiles.emplace_back();
    added.profile = {id, slices, static_cast<uint32_t>(starts.size()),
                     slices == of.slices ? of.multiprocessors : slices * kUnitsPerSlice};
    for (const uint32_t start : starts) added.placements.push_back({start, slices});
  }
  return profiles;
}

}  // namespace mignificient::device
