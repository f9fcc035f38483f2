#include "node/function_spec.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include <boost/json/array.hpp>

#include "base/nearest.h"
#include "base/seconds.h"
#include "node/fields.h"
#include "node/function_path.h"

namespace mignificient::node {
namespace {

namespace json = boost::json;

constexpr double kYear = 366 * 86400.0;
constexpr uint32_t kMostContainers = 10000;

const std::vector<std::string> kFields = {"name",         "user",           "language",       "path",
                                          "handler",      "gpu-memory",     "mig-instance",   "timeout",
                                          "concurrency",  "min-containers", "max-containers", "swap-off-after",
                                          "remove-after", "preload",        "content-type"};

Result<> CheckFields(const json::object& body) {
  for (const auto& [key, value] : body) {
    const std::string name(key.data(), key.size());
    if (std::ranges::find(kFields, name) == kFields.end())
      return Fail(Code::kInvalidArgument, "Field [{}] is not known.{}", name, Suggestion(name, kFields));
  }
  return {};
}

// A field that the address of the request fixes.
Result<> CheckSame(const json::object& body, std::string_view field, std::string_view fixed) {
  MIG_ASSIGN(const std::string given, NameField(body, field, std::string(fixed)));
  if (given == fixed) return {};
  return BadField(field, "\"{}\" is given; the request is for \"{}\".", given, fixed);
}

Result<std::optional<std::chrono::nanoseconds>> Duration(const json::object& body, std::string_view field) {
  MIG_ASSIGN(const auto seconds, SecondsField(body, field, kYear));
  if (!seconds) return std::nullopt;
  return FromSeconds(*seconds);
}

Result<Scaling> ParseScaling(const json::object& body) {
  Scaling scaling;
  MIG_ASSIGN(scaling.concurrency, CountField(body, "concurrency", kMostContainers));
  MIG_ASSIGN(scaling.min_containers, CountField(body, "min-containers", kMostContainers));
  MIG_ASSIGN(scaling.max_containers, CountField(body, "max-containers", kMostContainers));
  MIG_ASSIGN(scaling.swap_off_after, Duration(body, "swap-off-after"));
  MIG_ASSIGN(scaling.remove_after, Duration(body, "remove-after"));
  if (scaling.max_containers != 0 && scaling.min_containers > scaling.max_containers)
    return BadField("min-containers", "{} is given; at most max-containers ({}) is allowed.", scaling.min_containers,
                    scaling.max_containers);
  return scaling;
}

// It becomes a header of answers.
Result<std::string> ContentType(const json::object& body, std::string fallback) {
  MIG_ASSIGN(std::string type, NameField(body, "content-type", std::move(fallback), 128));
  const size_t slash = type.find('/');
  const bool printable = std::ranges::all_of(type, [](unsigned char c) { return c >= 0x20 && c < 0x7f; });
  if (printable && slash != type.npos && slash > 0 && slash + 1 < type.size()) return type;
  return BadField("content-type", "\"{}\" is given; a type such as application/json is allowed.", type);
}

// Whole numbers as people write them: 7, not 7E0.
json::value Seconds(const std::optional<double>& seconds) {
  if (!seconds) return nullptr;
  if (*seconds == std::floor(*seconds)) return static_cast<int64_t>(*seconds);
  return *seconds;
}

json::value Seconds(const std::optional<std::chrono::nanoseconds>& duration) {
  if (!duration) return nullptr;
  return Seconds(std::optional(std::chrono::duration<double>(*duration).count()));
}

}  // namespace

Result<> CheckFunctionName(std::string_view name) {
  const auto plain = [](unsigned char c) { return c < 0x80 && std::isalnum(c) != 0; };
  const bool good =
      !name.empty() && name.size() <= 128 && plain(static_cast<unsigned char>(name.front())) &&
      std::ranges::all_of(name, [&](unsigned char c) { return plain(c) || c == '.' || c == '_' || c == '-'; });
  if (good) return {};
  return BadField("name",
                  "{} is given; 1 to 128 letters, digits, '.', '_' and '-' that begin with a letter or digit "
                  "are allowed.",
                  Given(json::string(name)));
}

Result<FunctionSpec> ParseFunctionSpec(std::string_view user, std::string_view name, const json::object& body) {
  FunctionSpec spec;
  MIG_TRY(CheckFunctionName(name));
  MIG_TRY(CheckFields(body));
  MIG_TRY(CheckSame(body, "name", name));
  MIG_TRY(CheckSame(body, "user", user));
  spec.user = user;
  spec.name = name;
  MIG_ASSIGN(spec.path, NameField(body, "path", {}, 4096));
  MIG_ASSIGN(spec.language, LanguageField(body, "language", spec.path));
  MIG_ASSIGN(spec.handler, NameField(body, "handler", spec.name));
  MIG_ASSIGN(spec.gpu_memory_mib, GpuMemoryField(body));
  MIG_ASSIGN(spec.mig_instance, MigInstanceField(body, "any"));
  MIG_ASSIGN(spec.timeout_s, SecondsField(body, "timeout", kYear));
  MIG_ASSIGN(spec.preload, ModulesField(body, "preload"));
  if (spec.language == Language::kCpp && !spec.preload.empty())
    return BadField("preload", "{} modules are given; modules are allowed with language python only.",
                    spec.preload.size());
  MIG_ASSIGN(spec.content_type, ContentType(body, spec.content_type));
  MIG_ASSIGN(spec.scaling, ParseScaling(body));
  return spec;
}

json::object FunctionJson(const FunctionSpec& spec) {
  const Scaling& scaling = spec.scaling;
  return {{"name", spec.name},
          {"user", spec.user},
          {"language", LanguageName(spec.language)},
          {"path", spec.path},
          {"handler", spec.handler},
          {"gpu-memory", spec.gpu_memory_mib},
          {"mig-instance", spec.mig_instance},
          {"timeout", Seconds(spec.timeout_s)},
          {"concurrency", scaling.concurrency},
          {"min-containers", scaling.min_containers},
          {"max-containers", scaling.max_containers},
          {"swap-off-after", Seconds(scaling.swap_off_after)},
          {"remove-after", Seconds(scaling.remove_after)},
          {"preload", json::array(spec.preload.begin(), spec.preload.end())},
          {"content-type", spec.content_type}};
}

namespace {

Result<> CheckTimeout(const FunctionSpec& spec, const Config& config) {
  if (spec.timeout_s && *spec.timeout_s > config.limits.timeout_max_s)
    return BadField("timeout", "{} is given; a number of seconds above 0 up to limits.timeout-max ({}) is allowed.",
                    *spec.timeout_s, config.limits.timeout_max_s);
  return {};
}

}  // namespace

Result<> CheckAllowed(const FunctionSpec& spec, const Config& config, const FunctionPaths& paths) {
  MIG_TRY(paths.Authorize("path", spec.path));
  return CheckTimeout(spec, config);
}

Result<Request> RequestOf(const FunctionSpec& spec, uint64_t revision, const Config& config,
                          const FunctionPaths& paths) {
  Request request;
  MIG_ASSIGN(request.path, paths.Authorize("path", spec.path));
  MIG_TRY(CheckTimeout(spec, config));
  request.user = spec.user;
  request.function = spec.name;
  request.handler = spec.handler;
  request.language = spec.language;
  request.modules = spec.preload;
  request.mig_instance = spec.mig_instance;
  request.gpu_memory_mib = spec.gpu_memory_mib;
  request.timeout = FromSeconds(spec.timeout_s.value_or(config.limits.timeout_s));
  request.scaling = spec.scaling;
  request.revision = revision;
  return request;
}

}  // namespace mignificient::node
