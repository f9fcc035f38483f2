// Names of calls.
#pragma once

#include <string>

namespace mignificient::http {

std::string MakeCallId();  // 32 random hexadecimal digits in the form of a UUID

}  // namespace mignificient::http
