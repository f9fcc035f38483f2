// Runs one C++ function: loads its library, then serves invocations until the orchestrator closes the channel.
#pragma once

#include <string>

#include "base/result.h"
#include "executor/protocol.h"

namespace mignificient::executor {

struct HostOptions {
  int channel = -1;
  int memory = -1;
  Layout layout;
  std::string function;  // path of the library
  std::string handler;   // symbol
};

// Returns when the channel is closed. A library or handler that cannot be loaded is told to the orchestrator and is
// no error here.
Result<> RunHost(const HostOptions& options);

}  // namespace mignificient::executor
