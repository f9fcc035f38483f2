// Which files may be functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mignificient::node {

// The canonical path of a function's file. Links are followed first: what counts is where the file really is.
// kForbidden outside `allowed_paths` (functions.allowed-paths), whether it exists or not; kInvalidArgument where it is
// no readable regular file, or no absolute path. Sentences name `field`.
Result<std::string> AuthorizePath(std::string_view field, const std::string& path,
                                  const std::vector<std::string>& allowed_paths);

}  // namespace mignificient::node
