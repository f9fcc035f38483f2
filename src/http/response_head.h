// The head of an answer whose body is known, as bytes.
#pragma once

#include <string>

#include "http/reply.h"

namespace mignificient::http {

// Status line and fields of `reply`, with the length of its body, up to the empty line. `version`: 10 or 11, as the
// request's.
std::string ResponseHead(const Reply& reply, unsigned version, bool keep_alive);

}  // namespace mignificient::http
