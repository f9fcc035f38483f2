// What a node is doing, at one moment: what `top` shows and what the gauges of /metrics say.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "node/request.h"

namespace mignificient::node {

// What `mig.auto` does.
struct MigStatus {
  bool automatic = false;
  std::string repartitioning;  // the UUID of the GPU that is partitioned anew; empty: none
  uint64_t repartitions = 0;   // GPUs that were
  uint64_t failures = 0;       // to find out what could be made, or to make it
  std::string last_failure;    // a sentence; empty: none
};

struct Status {
  std::vector<PartitionInfo> partitions;
  std::vector<ContainerInfo> containers;
  uint64_t waiting = 0;  // invocations that do not run yet
  uint64_t running = 0;
  bool stopping = false;
};

}  // namespace mignificient::node
