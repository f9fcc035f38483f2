// What a node is doing, at one moment: what `top` shows and what the gauges of /metrics say.
#pragma once

#include <cstdint>
#include <vector>

#include "node/request.h"

namespace mignificient::node {

struct Status {
  std::vector<PartitionInfo> partitions;
  std::vector<ContainerInfo> containers;
  uint64_t waiting = 0;  // invocations that do not run yet
  uint64_t running = 0;
  bool stopping = false;
};

}  // namespace mignificient::node
