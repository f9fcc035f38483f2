#include "base/result.h"

#include <cstring>

namespace mignificient {

std::unexpected<Error> FailErrno(std::string_view call, int errno_value) {
  char buffer[128];
  const char* text = strerror_r(errno_value, buffer, sizeof buffer);
  return Fail(Code::kOs, "{} fails: {} (errno {}).", call, text, errno_value);
}

}  // namespace mignificient
