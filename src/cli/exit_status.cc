#include "cli/exit_status.h"

namespace mignificient::cli {

ExitStatus ExitOfAnswer(unsigned http_status, std::string_view error_type) {
  if (error_type == "timeout" || http_status == 504) return kExitTimeout;
  if (error_type == "gpu_out_of_memory" || http_status == 507) return kExitOutOfMemory;
  switch (http_status) {
    case 400:
    case 401:
    case 403:
    case 405:
    case 413:
      return kExitUsage;
    case 404:
      return kExitNotFound;
    case 429:
    case 503:
      return kExitRefused;
    default:
      break;
  }
  return http_status / 100 == 2 && error_type.empty() ? kExitOk : kExitFunctionError;
}

ExitStatus ExitOfError(const Error& error) {
  switch (error.code()) {
    case Code::kInvalidArgument:
    case Code::kForbidden:
    case Code::kExists:
      return kExitUsage;
    case Code::kUnavailable:
      return kExitCannotConnect;
    case Code::kExhausted:
      return kExitRefused;
    case Code::kNotFound:
      return kExitNotFound;
    case Code::kTimeout:
      return kExitTimeout;
    default:
      return kExitFunctionError;
  }
}

}  // namespace mignificient::cli
