// Which build this is.
#pragma once

#include <string_view>

namespace mignificient::cli {

std::string_view Version();  // such as 0.1.0

}  // namespace mignificient::cli
