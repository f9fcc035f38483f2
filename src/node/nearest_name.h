// The known name that a misspelt one most likely means.
#pragma once

#include <string_view>
#include <vector>

namespace mignificient::node {

// Empty where none is close (more than a third of the characters differ).
std::string_view NearestName(std::string_view name, const std::vector<std::string_view>& candidates);

}  // namespace mignificient::node
