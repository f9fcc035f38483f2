// The body of POST /invoke: parsed, checked, authorized.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "node/config.h"
#include "node/request.h"

namespace mignificient::http {

struct ParsedInvoke {
  node::Request request;              // all but `accepted`
  std::vector<std::string> warnings;  // unknown fields, and the original's that have no effect
};

// Errors name the field, what was given and what is allowed: kInvalidArgument (400), kForbidden (403), kExhausted
// (413).
Result<ParsedInvoke> ParseInvoke(std::string_view body, const node::Config& config);

// The canonical path of a function's file. Links are followed first: what counts is where the file really is.
Result<std::string> AuthorizePath(const std::string& path, const std::vector<std::string>& allowed_paths);

std::string MakeCallId();  // 32 random hexadecimal digits in the form of a UUID

}  // namespace mignificient::http
