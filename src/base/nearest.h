// "Did you mean ...?" for names that people type.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace mignificient {

// The candidate with the fewest edits (insert, delete, replace, swap of neighbours) to `name`, or an empty view where
// none is closer than a third of the name's length (at least one edit, two from four letters on).
std::string_view NearestName(std::string_view name, std::span<const std::string> candidates);

// " Did you mean `--gpu-memory`?" or an empty string; to be appended to a sentence.
std::string Suggestion(std::string_view name, std::span<const std::string> candidates);

}  // namespace mignificient
