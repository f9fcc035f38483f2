#include "base/result.h"

#include <cstring>

namespace mignificient {

std::string_view CodeName(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
      return "invalid_argument";
    case Code::kNotFound:
      return "not_found";
    case Code::kExists:
      return "exists";
    case Code::kForbidden:
      return "forbidden";
    case Code::kExhausted:
      return "exhausted";
    case Code::kUnavailable:
      return "unavailable";
    case Code::kPeer:
      return "peer";
    case Code::kUnsupported:
      return "unsupported";
    case Code::kTimeout:
      return "timeout";
    case Code::kOs:
      return "os";
    case Code::kInternal:
      return "internal";
  }
  return "unknown";
}

std::unexpected<Error> FailErrno(std::string_view call, int errno_value) {
  char buffer[128];
  const char* text = strerror_r(errno_value, buffer, sizeof buffer);
  return Fail(Code::kOs, "{} fails: {} (errno {}).", call, text, errno_value);
}

}  // namespace mignificient
