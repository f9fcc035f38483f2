// Text inside a URL.
#pragma once

#include <string>
#include <string_view>

namespace mignificient::cli {

// Everything but letters, digits and `-._~` as %XX (RFC 3986).
std::string PercentEncode(std::string_view text);

}  // namespace mignificient::cli
