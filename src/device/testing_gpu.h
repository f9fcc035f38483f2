// For tests: the profile table of the fake's H100, and random things to do with it.
#pragma once

#include <random>

#include "device/fake_h100.h"
#include "device/mig_plan.h"

namespace mignificient::device {

inline ProfileTable H100Table() {
  ProfileTable table;
  for (const FakeGpuProfile& profile : H100GpuProfiles()) table.push_back({profile.profile, profile.placements});
  return table;
}

class Dice {
 public:
  explicit Dice(uint32_t seed) : engine_(seed) {}
  uint32_t Below(uint32_t count) { return std::uniform_int_distribution<uint32_t>(0, count - 1)(engine_); }

 private:
  std::mt19937 engine_;
};

}  // namespace mignificient::device
