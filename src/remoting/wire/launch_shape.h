// What a launch configuration says about occupancy: its dimensions and the few attributes that matter, as plain values.
// Streams, events and the other attributes of a CUlaunchConfig do not change how much of a kernel is resident at once.
#pragma once

#include <cstdint>
#include <cstring>

#include "abi/cuda.h"

namespace mignificient::wire {

struct LaunchShape {
  uint32_t grid[3];
  uint32_t block[3];
  uint32_t shared_bytes;
  uint32_t present;  // bit set of ShapeAttribute: which of the following are given
  uint32_t cluster[3];
  int32_t policy;    // of scheduling clusters
  int32_t carveout;  // preferred share of shared memory
  uint32_t unused;
};
static_assert(sizeof(LaunchShape) == 56);

enum ShapeAttribute : uint32_t { kShapeCluster = 1, kShapePolicy = 2, kShapeCarveout = 4 };

inline constexpr int kClusterDimensionAttribute = 4;
inline constexpr int kClusterPolicyAttribute = 5;
inline constexpr int kSharedCarveoutAttribute = 14;
inline constexpr unsigned kShapeAttributes = 3;

inline LaunchShape Shape(const CUlaunchConfig& config) {
  LaunchShape shape{.grid = {config.grid_x, config.grid_y, config.grid_z},
                    .block = {config.block_x, config.block_y, config.block_z},
                    .shared_bytes = config.shared_bytes};
  for (unsigned i = 0; config.attributes != nullptr && i < config.attribute_count; ++i) {
    const CUlaunchAttribute& attribute = config.attributes[i];
    switch (attribute.id) {
      case kClusterDimensionAttribute:
        shape.present |= kShapeCluster;
        std::memcpy(shape.cluster, attribute.value, sizeof shape.cluster);
        break;
      case kClusterPolicyAttribute:
        shape.present |= kShapePolicy;
        std::memcpy(&shape.policy, attribute.value, sizeof(int32_t));
        break;
      case kSharedCarveoutAttribute:
        shape.present |= kShapeCarveout;
        std::memcpy(&shape.carveout, attribute.value, sizeof(int32_t));
        break;
      default:
        break;
    }
  }
  return shape;
}

// The configuration again; it points to `attributes`, which must outlive it.
inline CUlaunchConfig Expand(const LaunchShape& shape, CUlaunchAttribute (&attributes)[kShapeAttributes]) {
  unsigned count = 0;
  const auto add = [&](int id, const void* value, size_t bytes) {
    CUlaunchAttribute& attribute = attributes[count++];
    attribute = {};
    attribute.id = id;
    std::memcpy(attribute.value, value, bytes);
  };
  if (shape.present & kShapeCluster) add(kClusterDimensionAttribute, shape.cluster, sizeof shape.cluster);
  if (shape.present & kShapePolicy) add(kClusterPolicyAttribute, &shape.policy, sizeof(int32_t));
  if (shape.present & kShapeCarveout) add(kSharedCarveoutAttribute, &shape.carveout, sizeof(int32_t));
  return {shape.grid[0],  shape.grid[1],      shape.grid[2], shape.block[0], shape.block[1],
          shape.block[2], shape.shared_bytes, nullptr,       attributes,     count};
}

}  // namespace mignificient::wire
