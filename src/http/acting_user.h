// For which user a request acts.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "http/identity.h"

namespace mignificient::http {

// The user that the request names, else the identity's own, else "default". kForbidden where the identity may not act
// for the named one, kInvalidArgument where that is no name.
Result<std::string> ActingUser(const Identity& identity, const std::optional<std::string>& named);

// kForbidden unless `identity` may act for `user`.
Result<> CheckMay(const Identity& identity, const std::string& user);

// Whose things a list shows: empty for all users, which only an administrator sees, and by default.
Result<std::string> ListedUser(const Identity& identity, const std::optional<std::string>& named);

}  // namespace mignificient::http
