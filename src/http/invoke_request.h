// The body of POST /invoke: parsed, checked, authorized.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "node/config.h"
#include "node/function_path.h"
#include "node/request.h"

namespace mignificient::http {

struct ParsedInvoke {
  node::Request request;              // all but `accepted`
  std::vector<std::string> warnings;  // unknown fields, and the original's that have no effect
};

// `user`: who is meant where the body names nobody; empty: the body must.
// Errors name the field, what was given and what is allowed: kInvalidArgument (400), kForbidden (403), kExhausted
// (413).
Result<ParsedInvoke> ParseInvoke(std::string_view body, const node::Config& config, const node::FunctionPaths& paths,
                                 const std::string& user = {});

}  // namespace mignificient::http
