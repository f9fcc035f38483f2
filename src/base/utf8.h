// Text that somebody else wrote, made fit for JSON.
#pragma once

#include <string>
#include <string_view>

namespace mignificient {

// The text with '?' for each byte that is no part of a UTF-8 character.
std::string ValidUtf8(std::string_view text);

}  // namespace mignificient
