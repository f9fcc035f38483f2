#include "cli/description.h"

#include <limits>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "base/nearest.h"
#include "cli/read_file.h"

namespace mignificient::cli {
namespace json = boost::json;
namespace {

const std::vector<std::string> kKeys = {"address",         "mode",  "iterations", "parallel-requests",
                                        "different-users", "inputs"};

std::unexpected<Error> Mistyped(std::string_view key, const json::value& given, std::string_view allowed) {
  return Fail(Code::kInvalidArgument, "Key `{}` is {} (allowed: {}).", key, json::serialize(given), allowed);
}

Result<int> Count(std::string_view key, const json::value& value) {
  const int64_t* number = value.if_int64();
  if (number == nullptr || *number < 1 || *number > std::numeric_limits<int>::max())
    return Mistyped(key, value, "a whole number from 1");
  return static_cast<int>(*number);
}

Result<json::object> Input(const json::value& value, const std::filesystem::path& folder) {
  if (!value.is_object()) return Mistyped("inputs", value, "an object or a list of objects");
  json::object input = value.as_object();
  if (json::value* path = input.if_contains("function-path"); path != nullptr && path->is_string()) {
    const std::filesystem::path given(std::string(path->as_string()));
    if (!given.empty() && given.is_relative()) *path = (folder / given).lexically_normal().string();
  }
  return input;
}

Result<> ReadInputs(const json::value& value, const std::filesystem::path& folder, LoadDescription& description) {
  if (!value.is_array()) {
    MIG_ASSIGN(auto input, Input(value, folder));
    description.inputs.push_back(std::move(input));
    return {};
  }
  if (value.as_array().empty()) return Mistyped("inputs", value, "at least one object");
  for (const json::value& entry : value.as_array()) {
    MIG_ASSIGN(auto input, Input(entry, folder));
    description.inputs.push_back(std::move(input));
  }
  return {};
}

Result<> ReadKey(std::string_view key, const json::value& value, const std::filesystem::path& folder,
                 LoadDescription& description) {
  if (key == "inputs") return ReadInputs(value, folder, description);
  if (key == "address") {
    if (!value.is_string()) return Mistyped(key, value, "a string such as \"http://127.0.0.1:10000\"");
    description.address = std::string(value.as_string());
    return {};
  }
  if (key == "mode") {
    const bool batches = value == "batches";
    if (!batches && value != "independent") return Mistyped(key, value, "\"independent\" or \"batches\"");
    description.mode = batches ? LoadMode::kBatches : LoadMode::kIndependent;
    return {};
  }
  if (key == "different-users") {
    if (!value.is_bool()) return Mistyped(key, value, "true or false");
    description.different_users = value.as_bool();
    return {};
  }
  if (key == "iterations" || key == "parallel-requests") {
    MIG_ASSIGN((key == "iterations" ? description.iterations : description.parallel_requests), Count(key, value));
    return {};
  }
  return Fail(Code::kInvalidArgument, "Key `{}` is unknown.{}", key, Suggestion(key, kKeys));
}

}  // namespace

Result<LoadDescription> ParseLoadDescription(std::string_view text, const std::filesystem::path& folder) {
  boost::system::error_code error;
  json::parse_options options;
  options.allow_comments = true;
  const json::value root = json::parse(json::string_view(text.data(), text.size()), error, {}, options);
  if (error) return Fail(Code::kInvalidArgument, "The description is not JSON: {}.", error.message());
  if (!root.is_object()) return Fail(Code::kInvalidArgument, "The description is not a JSON object.");
  LoadDescription description;
  for (const auto& [key, value] : root.as_object())
    MIG_TRY(ReadKey(std::string_view(key.data(), key.size()), value, folder, description));
  if (description.inputs.empty())
    return Fail(Code::kInvalidArgument, "Key `inputs` is missing: it holds one /invoke request for each worker.");
  return description;
}

Result<LoadDescription> ReadLoadDescription(const std::filesystem::path& file) {
  MIG_ASSIGN(const std::string text, ReadFile(file));
  auto description = ParseLoadDescription(text, std::filesystem::absolute(file).parent_path());
  if (!description)
    return std::unexpected(description.error().While(fmt::format("reading the description ({})", file.string())));
  return description;
}

}  // namespace mignificient::cli
