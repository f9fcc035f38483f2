// What the driver takes for a node, and what its pointers point to. Internal to the server's graphs.
#pragma once

#include <vector>

#include "remoting/server/connection.h"

namespace mignificient::server {

struct Connection::NodeParams {
  CUgraphNodeParams driver{};
  std::vector<void*> kernel_params;
  std::vector<CUstreamBatchMemOpParams> memory_operations;
  HostCalls::Ref call;           // of a host node; of a copy, what carries its bytes
  CUgraph child_root = nullptr;  // of a child graph: the outermost one around what was given
};

}  // namespace mignificient::server
