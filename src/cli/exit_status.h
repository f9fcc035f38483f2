// What the program `mignificient` exits with. Scripts rely on these numbers.
#pragma once

#include <string_view>

#include "base/result.h"

namespace mignificient::cli {

enum ExitStatus : int {
  kExitOk = 0,
  kExitFunctionError = 1,  // the function, or the thing that was asked for, failed
  kExitUsage = 2,          // the command line, a configuration or a request is wrong
  kExitCannotConnect = 3,
  kExitRefused = 4,  // 429 and 503: try again later
  kExitNotFound = 5,
  kExitTimeout = 124,
  kExitOutOfMemory = 137,
};

// The status for an answer of the node. `error_type` is its X-Function-Error header, empty where it has none; it counts
// more than the number, since a node that is compatible with the original answers 200 to a timeout.
ExitStatus ExitOfAnswer(unsigned http_status, std::string_view error_type);

// The status for an error on this side.
ExitStatus ExitOfError(const Error& error);

}  // namespace mignificient::cli
