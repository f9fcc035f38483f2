#include "device/json_fields.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/nearest.h"

namespace mignificient::device {

namespace json = boost::json;

namespace {

void Print(const json::value& value, std::string& out, const std::string& indent) {
  const std::string deeper = indent + "  ";
  if (value.is_object() && !value.as_object().empty()) {
    const char* separator = "{\n";
    for (const auto& [key, member] : value.as_object()) {
      out += fmt::format("{}{}\"{}\": ", std::exchange(separator, ",\n"), deeper,
                         std::string_view(key.data(), key.size()));
      Print(member, out, deeper);
    }
    out += "\n" + indent + "}";
  } else if (value.is_array() && !value.as_array().empty()) {
    const char* separator = "[\n";
    for (const json::value& element : value.as_array()) {
      out += std::exchange(separator, ",\n") + deeper;
      Print(element, out, deeper);
    }
    out += "\n" + indent + "]";
  } else {
    out += json::serialize(value);
  }
}

}  // namespace

Result<json::value> ParseJson(std::string_view text) {
  boost::system::error_code error;
  json::value root = json::parse(json::string_view(text.data(), text.size()), error, {},
                                 {.max_depth = 32, .allow_comments = true, .allow_trailing_commas = true});
  if (error) return Fail(Code::kInvalidArgument, "The text is no JSON: {}.", error.message());
  return root;
}

Result<JsonNode> AsNode(const json::value& value, std::string place) {
  if (!value.is_object())
    return Fail(Code::kInvalidArgument, "Field [{}] must be an object, not {}.", place, json::serialize(value));
  return JsonNode{value.as_object(), std::move(place)};
}

Result<std::string> Text(const JsonNode& node, std::string_view name, std::optional<std::string> fallback) {
  const json::value* value = node.object.if_contains(name);
  if (value == nullptr || value->is_null()) {
    if (fallback) return *fallback;
    return Fail(Code::kInvalidArgument, "Field [{}] is missing; it must be a string.", node.Field(name));
  }
  if (!value->is_string())
    return Fail(Code::kInvalidArgument, "Field [{}] is {}; it must be a string.", node.Field(name),
                json::serialize(*value));
  return std::string(value->as_string());
}

// The original wrote memory as a floating-point number.
Result<uint64_t> Number(const JsonNode& node, std::string_view name, std::optional<uint64_t> fallback) {
  const json::value* value = node.object.if_contains(name);
  if (value == nullptr || value->is_null()) {
    if (fallback) return *fallback;
    return Fail(Code::kInvalidArgument, "Field [{}] is missing; it must be a number.", node.Field(name));
  }
  boost::system::error_code error;
  const double number = value->to_number<double>(error);
  if (error || !(number >= 0) || number > 1e15)
    return Fail(Code::kInvalidArgument, "Field [{}] is {}; it must be a number that is not negative.", node.Field(name),
                json::serialize(*value));
  return static_cast<uint64_t>(number);
}

Result<const json::array*> List(const JsonNode& node, std::string_view name) {
  static const json::array kNone;
  const json::value* value = node.object.if_contains(name);
  if (value == nullptr || value->is_null()) return &kNone;
  if (!value->is_array())
    return Fail(Code::kInvalidArgument, "Field [{}] is {}; it must be a list.", node.Field(name),
                json::serialize(*value));
  return &value->as_array();
}

Result<uint32_t> Number32(const JsonNode& node, std::string_view name, std::optional<uint32_t> fallback) {
  MIG_ASSIGN(const uint64_t number,
             Number(node, name, fallback ? std::optional<uint64_t>(*fallback) : std::optional<uint64_t>()));
  if (number > 0xffffffff)
    return Fail(Code::kInvalidArgument, "Field [{}] is {}; at most {} is allowed.", node.Field(name), number,
                0xffffffffu);
  return static_cast<uint32_t>(number);
}

Result<bool> Flag(const JsonNode& node, std::string_view name, std::optional<bool> fallback) {
  const json::value* value = node.object.if_contains(name);
  if (value == nullptr || value->is_null()) {
    if (fallback) return *fallback;
    return Fail(Code::kInvalidArgument, "Field [{}] is missing; it must be true or false.", node.Field(name));
  }
  if (!value->is_bool())
    return Fail(Code::kInvalidArgument, "Field [{}] is {}; it must be true or false.", node.Field(name),
                json::serialize(*value));
  return value->as_bool();
}

Result<> CheckKnown(const JsonNode& node, std::initializer_list<std::string_view> names) {
  const std::vector<std::string> known(names.begin(), names.end());
  for (const auto& [key, value] : node.object) {
    const std::string name(key.data(), key.size());
    if (std::find(known.begin(), known.end(), name) == known.end())
      return Fail(Code::kInvalidArgument, "Field [{}] is not known.{}", node.Field(name), Suggestion(name, known));
  }
  return {};
}

std::string PrintJson(const json::value& value) {
  std::string out;
  Print(value, out, "");
  return out + "\n";
}

}  // namespace mignificient::device
