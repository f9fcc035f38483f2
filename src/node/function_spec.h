// What a registered function says of itself: the body of PUT /v1/functions/{name}, and what the database keeps.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "base/result.h"
#include "node/config.h"
#include "node/function_path.h"
#include "node/request.h"

namespace mignificient::node {

struct FunctionSpec {
  std::string user, name;
  std::string path;     // as given; where it leads to is looked up at each call
  std::string handler;  // a symbol of the library, a name in the Python file
  Language language = Language::kCpp;
  std::vector<std::string> preload;  // modules of a Python function
  std::string mig_instance = "any";
  uint64_t gpu_memory_mib = 0;
  std::optional<double> timeout_s;  // empty: limits.timeout
  Scaling scaling;
  std::string content_type = "application/octet-stream";  // of answers
};

// Letters, digits, '.', '_' and '-', at most 128, beginning with a letter or digit.
Result<> CheckFunctionName(std::string_view name);

// `user` and `name` are taken as they are; the same fields of the body must not differ from them. Errors name the
// field, what was given and what is allowed; an unknown field names the nearest known one.
Result<FunctionSpec> ParseFunctionSpec(std::string_view user, std::string_view name, const boost::json::object& body);

// All fields, also those that were left out; parses back to the same.
boost::json::object FunctionJson(const FunctionSpec& spec);

// What the configuration has to say about it: kForbidden or kInvalidArgument.
Result<> CheckAllowed(const FunctionSpec& spec, const Config& config, const FunctionPaths& paths);

// A request without payload and call, once it is allowed.
Result<Request> RequestOf(const FunctionSpec& spec, uint64_t revision, const Config& config,
                          const FunctionPaths& paths);

}  // namespace mignificient::node
