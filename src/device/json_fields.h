// Reading fields of JSON objects with errors that name the field, and writing JSON that people read and edit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "base/result.h"

namespace mignificient::device {

// An object of a file with its place in it, such as "gpus[0]".
struct JsonNode {
  const boost::json::object& object;
  std::string place;

  std::string Field(std::string_view name) const {
    return place.empty() ? std::string(name) : fmt::format("{}.{}", place, name);
  }
};

// Comments and trailing commas are allowed.
Result<boost::json::value> ParseJson(std::string_view text);
Result<JsonNode> AsNode(const boost::json::value& value, std::string place);

// A missing field or null is the fallback; without one it is an error. kInvalidArgument: "Field [gpus[0].uuid] is 3; it
// must be a string."
Result<std::string> Text(const JsonNode& node, std::string_view name, std::optional<std::string> fallback = {});
// Whole part of a number that is not negative: the original wrote memory as a floating-point number.
Result<uint64_t> Number(const JsonNode& node, std::string_view name, std::optional<uint64_t> fallback = {});
Result<uint32_t> Number32(const JsonNode& node, std::string_view name, std::optional<uint32_t> fallback = {});
Result<bool> Flag(const JsonNode& node, std::string_view name, std::optional<bool> fallback = {});
// A missing field is an empty list.
Result<const boost::json::array*> List(const JsonNode& node, std::string_view name);
// kInvalidArgument for a field of `node` that is not listed; names the nearest one.
Result<> CheckKnown(const JsonNode& node, std::initializer_list<std::string_view> names);

// Indented, ends with a newline.
std::string PrintJson(const boost::json::value& value);

}  // namespace mignificient::device
