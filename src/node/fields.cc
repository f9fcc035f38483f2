#include "node/fields.h"

#include <algorithm>
#include <cmath>
#include <regex>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace mignificient::node {
namespace {

namespace json = boost::json;

constexpr size_t kModules = 64;

double Number(const json::value& value) {
  boost::system::error_code error;
  return value.is_number() ? value.to_number<double>(error) : std::nan("");
}

// Names as an import statement has them: "torch", "torchvision.models". Letters beyond ASCII are letters.
bool IsModuleName(std::string_view text) {
  bool begins = true;  // of a part between dots
  for (const unsigned char c : text) {
    const bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    const bool digit = c >= '0' && c <= '9';
    if (c == '.' ? begins : !(letter || c == '_' || c >= 0x80 || (digit && !begins))) return false;
    begins = c == '.';
  }
  return !begins && text.size() <= kNameBytes;
}

}  // namespace

std::string Given(const json::value& value) {
  std::string text = json::serialize(value);
  return text.size() <= 80 ? text : text.substr(0, 80) + "...";
}

const json::value* FindField(const json::object& body, std::string_view field) {
  const json::value* value = body.if_contains(field);
  return value == nullptr || value->is_null() ? nullptr : value;
}

Result<json::object> ParseObject(std::string_view text, json::storage_ptr memory) {
  boost::system::error_code error;
  json::value root = json::parse(json::string_view(text.data(), text.size()), error, std::move(memory));
  if (error) return Fail(Code::kInvalidArgument, "The body is no JSON: {}.", error.message());
  if (!root.is_object()) return Fail(Code::kInvalidArgument, "The body is {}; a JSON object is allowed.", Given(root));
  return std::move(root.as_object());
}

Result<> CheckName(std::string_view field, std::string_view text, size_t limit) {
  const bool control = std::ranges::any_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  if (!text.empty() && text.size() <= limit && !control) return {};
  return BadField(field, "{} is given; 1 to {} bytes without control characters are allowed.",
                  Given(json::string(text)), limit);
}

Result<std::string> NameField(const json::object& body, std::string_view field, std::optional<std::string> fallback,
                              size_t limit) {
  const json::value* value = FindField(body, field);
  if (value == nullptr) {
    if (fallback) return std::move(*fallback);
    return BadField(field, "is missing; a string is required.");
  }
  if (!value->is_string()) return BadField(field, "{} is given; a string is allowed.", Given(*value));
  const std::string_view text(value->as_string());
  MIG_TRY(CheckName(field, text, limit));
  return std::string(text);
}

Result<uint64_t> GpuMemoryField(const json::object& body, std::optional<uint64_t> fallback) {
  const json::value* value = FindField(body, "gpu-memory");
  if (value == nullptr && fallback) return *fallback;
  if (value == nullptr) return BadField("gpu-memory", "is missing; a whole number of MiB is required.");
  const double number = Number(*value);
  if (!(number >= 1 && number <= 1e9) || number != std::floor(number))
    return BadField("gpu-memory", "{} is given; a whole number of MiB from 1 to 1000000000 is allowed.", Given(*value));
  return static_cast<uint64_t>(number);
}

Result<std::string> MigInstanceField(const json::object& body, std::optional<std::string> fallback) {
  MIG_ASSIGN(std::string text, NameField(body, "mig-instance", std::move(fallback)));
  if (text == "any") return text;
  static const std::regex allowed("any|[1-7]g|([1-7]c\\.)?[1-7]g\\.[0-9]+gb(\\+[a-z.]+)?");
  if (!std::regex_match(text, allowed))
    return BadField("mig-instance", "\"{}\" is given; allowed is any, 1g to 7g, or a profile such as 3g.40gb.", text);
  return text;
}

Result<std::optional<double>> SecondsField(const json::object& body, std::string_view field, double most,
                                           std::string_view limit) {
  const json::value* value = FindField(body, field);
  if (value == nullptr) return std::nullopt;
  const double seconds = Number(*value);
  if (seconds > 0 && seconds <= most) return seconds;
  const std::string up_to = limit.empty() ? fmt::format("{}", most) : fmt::format("{} ({})", limit, most);
  return BadField(field, "{} is given; a number of seconds above 0 up to {} is allowed.", Given(*value), up_to);
}

Result<uint32_t> CountField(const json::object& body, std::string_view field, uint32_t most) {
  const json::value* value = FindField(body, field);
  if (value == nullptr) return 0;
  const double number = Number(*value);
  if (!(number >= 0 && number <= most) || number != std::floor(number))
    return BadField(field, "{} is given; a whole number from 0 to {} is allowed.", Given(*value), most);
  return static_cast<uint32_t>(number);
}

Result<Language> LanguageField(const json::object& body, std::string_view field, const std::string& path) {
  MIG_ASSIGN(const std::string language, NameField(body, field, path.ends_with(".py") ? "python" : "cpp"));
  if (language == "cpp") return Language::kCpp;
  if (language == "python") return Language::kPython;
  return BadField(field, "\"{}\" is given; allowed is cpp, python.", language);
}

std::string_view LanguageName(Language language) {
  return language == Language::kPython ? "python" : "cpp";
}

Result<std::vector<std::string>> ModulesField(const json::object& body, std::string_view field) {
  std::vector<std::string> modules;
  const json::value* value = FindField(body, field);
  if (value == nullptr) return modules;
  const bool strings =
      value->is_array() && std::ranges::all_of(value->as_array(), [](const json::value& v) { return v.is_string(); });
  if (!strings) return BadField(field, "{} is given; a list of strings is allowed.", Given(*value));
  for (const json::value& module : value->as_array()) {
    if (!IsModuleName(module.as_string()))
      return BadField(field, "{} is in the list; names of modules such as torch.nn are allowed.", Given(module));
    modules.emplace_back(module.as_string());
  }
  if (modules.size() > kModules)
    return BadField(field, "{} modules are given; at most {} are allowed.", modules.size(), kModules);
  return modules;
}

}  // namespace mignificient::node
