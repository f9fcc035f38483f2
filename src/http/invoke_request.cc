#include "http/invoke_request.h"

#include <algorithm>
#include <array>

#include <boost/json/monotonic_resource.hpp>
#include <boost/json/object.hpp>

#include "base/seconds.h"
#include "http/call_id.h"
#include "node/fields.h"

namespace mignificient::http {
namespace {

namespace json = boost::json;
using node::BadField;
using node::FindField;
using node::Given;
using node::NameField;

constexpr std::array<std::string_view, 14> kFields = {
    "function",      "function-handler", "function-path", "function-language", "user",
    "uuid",          "modules",          "mig-instance",  "gpu-memory",        "timeout",
    "input-payload", "ld-preload",       "cuda-binary",   "cubin-analysis"};

Result<std::chrono::nanoseconds> Timeout(const json::object& body, const node::Config& config) {
  MIG_ASSIGN(const auto seconds,
             node::SecondsField(body, "timeout", config.limits.timeout_max_s, "limits.timeout-max"));
  return FromSeconds(seconds.value_or(config.limits.timeout_s));
}

Result<std::string> Payload(json::object& body, const node::Config& config) {
  json::value* value = body.if_contains("input-payload");
  if (value == nullptr || value->is_null()) return std::string();
  if (!value->is_string()) return BadField("input-payload", "{} is given; a string is allowed.", Given(*value));
  const json::string& text = value->as_string();
  if (text.size() > config.limits.payload_bytes)
    return Fail(Code::kExhausted, "Field [input-payload] has {} bytes (limits.payload is {}).", text.size(),
                config.limits.payload_bytes);
  return std::string(text);
}

Result<std::string> LdPreload(const json::object& body, const node::Config& config) {
  const json::value* value = FindField(body, "ld-preload");
  if (value == nullptr || (value->is_string() && value->as_string().empty())) return std::string();
  MIG_ASSIGN(std::string text, NameField(body, "ld-preload", {}, 4096));
  if (!config.functions.allow_ld_preload)
    return Fail(Code::kForbidden, "Field [ld-preload] is refused: functions.allow-ld-preload is false.");
  return text;
}

std::vector<std::string> Warnings(const json::object& body) {
  std::vector<std::string> warnings;
  for (const auto& [key, value] : body) {
    const std::string_view name(key.data(), key.size());
    if (name == "cuda-binary" || name == "cubin-analysis" || name == "container")
      warnings.push_back(fmt::format("Field [{}] has no effect.", name));
    else if (std::ranges::find(kFields, name) == kFields.end())
      warnings.push_back(fmt::format("Field [{}] is not known.", name));
  }
  return warnings;
}

}  // namespace

Result<ParsedInvoke> ParseInvoke(std::string_view text, const node::Config& config, const node::FunctionPaths& paths,
                                 const std::string& user) {
  std::array<unsigned char, 4096> room;  // all that most requests need
  json::monotonic_resource memory(room.data(), room.size());
  MIG_ASSIGN(json::object body, node::ParseObject(text, &memory));
  ParsedInvoke parsed;
  node::Request& request = parsed.request;
  MIG_ASSIGN(request.function, NameField(body, "function"));
  MIG_ASSIGN(request.user, NameField(body, "user", user.empty() ? std::nullopt : std::optional(user)));
  MIG_ASSIGN(request.handler, NameField(body, "function-handler", request.function));
  MIG_ASSIGN(request.mig_instance, node::MigInstanceField(body));
  MIG_ASSIGN(request.gpu_memory_mib, node::GpuMemoryField(body));
  MIG_ASSIGN(request.timeout, Timeout(body, config));
  const bool named = node::FindField(body, "uuid") != nullptr;
  MIG_ASSIGN(request.call_id, NameField(body, "uuid", named ? std::string() : MakeCallId(), 128));
  MIG_ASSIGN(const std::string path, NameField(body, "function-path", {}, 4096));
  MIG_ASSIGN(request.language, node::LanguageField(body, "function-language", path));
  MIG_ASSIGN(request.modules, node::ModulesField(body, "modules"));
  MIG_ASSIGN(request.ld_preload, LdPreload(body, config));
  MIG_ASSIGN(request.path, paths.Authorize("function-path", path));
  MIG_ASSIGN(request.payload, Payload(body, config));
  parsed.warnings = Warnings(body);
  return parsed;
}

}  // namespace mignificient::http
