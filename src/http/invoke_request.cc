#include "http/invoke_request.h"

#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <regex>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace mignificient::http {
namespace {

namespace json = boost::json;

constexpr size_t kNameBytes = 256;
constexpr size_t kModules = 64;
constexpr std::array<std::string_view, 14> kFields = {
    "function",      "function-handler", "function-path", "function-language", "user",
    "uuid",          "modules",          "mig-instance",  "gpu-memory",        "timeout",
    "input-payload", "ld-preload",       "cuda-binary",   "cubin-analysis"};

template <typename... Args>
std::unexpected<Error> BadField(std::string_view field, fmt::format_string<Args...> format, Args&&... args) {
  return Fail(Code::kInvalidArgument, "Field [{}]: {}", field, fmt::format(format, std::forward<Args>(args)...));
}

// The start of a value is enough to recognise it.
std::string Given(const json::value& value) {
  std::string text = json::serialize(value);
  return text.size() <= 80 ? text : text.substr(0, 80) + "...";
}

const json::value* Find(const json::object& body, std::string_view field) {
  const json::value* value = body.if_contains(field);
  return value == nullptr || value->is_null() ? nullptr : value;
}

// A name or path: it reaches logs, command lines and file systems, so it holds no control characters.
Result<std::string> Name(const json::object& body, std::string_view field, std::optional<std::string> fallback = {},
                         size_t limit = kNameBytes) {
  const json::value* value = Find(body, field);
  if (value == nullptr) {
    if (fallback) return *fallback;
    return BadField(field, "is missing; a string is required.");
  }
  if (!value->is_string()) return BadField(field, "{} is given; a string is allowed.", Given(*value));
  const std::string text(value->as_string());
  const bool control = std::ranges::any_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  if (text.empty() || text.size() > limit || control)
    return BadField(field, "{} is given; 1 to {} bytes without control characters are allowed.", Given(*value), limit);
  return text;
}

Result<uint64_t> GpuMemory(const json::object& body) {
  const json::value* value = Find(body, "gpu-memory");
  if (value == nullptr) return BadField("gpu-memory", "is missing; a whole number of MiB is required.");
  boost::system::error_code error;
  const double number = value->is_number() ? value->to_number<double>(error) : std::nan("");
  if (!(number >= 1 && number <= 1e9) || number != std::floor(number))
    return BadField("gpu-memory", "{} is given; a whole number of MiB from 1 to 1000000000 is allowed.", Given(*value));
  return static_cast<uint64_t>(number);
}

Result<std::string> MigInstance(const json::object& body) {
  MIG_ASSIGN(const std::string text, Name(body, "mig-instance"));
  static const std::regex kAllowed("any|[1-7]g|([1-7]c\\.)?[1-7]g\\.[0-9]+gb(\\+[a-z.]+)?");
  if (!std::regex_match(text, kAllowed))
    return BadField("mig-instance", "\"{}\" is given; allowed is any, 1g to 7g, or a profile such as 3g.40gb.", text);
  return text;
}

Result<std::chrono::nanoseconds> Timeout(const json::object& body, const node::Config& config) {
  double seconds = config.limits.timeout_s;
  if (const json::value* value = Find(body, "timeout")) {
    boost::system::error_code error;
    seconds = value->is_number() ? value->to_number<double>(error) : std::nan("");
    if (!(seconds > 0 && seconds <= config.limits.timeout_max_s))
      return BadField("timeout", "{} is given; a number of seconds above 0 up to limits.timeout-max ({}) is allowed.",
                      Given(*value), config.limits.timeout_max_s);
  }
  return std::chrono::nanoseconds(static_cast<int64_t>(seconds * 1e9));
}

Result<node::Language> Language(const json::object& body, const std::string& path) {
  MIG_ASSIGN(const std::string language, Name(body, "function-language", path.ends_with(".py") ? "python" : "cpp"));
  if (language == "cpp") return node::Language::kCpp;
  if (language == "python") return node::Language::kPython;
  return BadField("function-language", "\"{}\" is given; allowed is cpp, python.", language);
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

Result<std::vector<std::string>> Modules(const json::object& body) {
  std::vector<std::string> modules;
  const json::value* value = Find(body, "modules");
  if (value == nullptr) return modules;
  const bool strings =
      value->is_array() && std::ranges::all_of(value->as_array(), [](const json::value& v) { return v.is_string(); });
  if (!strings) return BadField("modules", "{} is given; a list of strings is allowed.", Given(*value));
  for (const json::value& module : value->as_array()) {
    if (!IsModuleName(module.as_string()))
      return BadField("modules", "{} is in the list; names of modules such as torch.nn are allowed.", Given(module));
    modules.emplace_back(module.as_string());
  }
  if (modules.size() > kModules)
    return BadField("modules", "{} modules are given; at most {} are allowed.", modules.size(), kModules);
  return modules;
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
  const json::value* value = Find(body, "ld-preload");
  if (value == nullptr || (value->is_string() && value->as_string().empty())) return std::string();
  MIG_ASSIGN(std::string text, Name(body, "ld-preload", {}, 4096));
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

Result<json::object> ParseObject(std::string_view text) {
  boost::system::error_code error;
  json::value root = json::parse(json::string_view(text.data(), text.size()), error);
  if (error) return Fail(Code::kInvalidArgument, "The body is no JSON: {}.", error.message());
  if (!root.is_object()) return Fail(Code::kInvalidArgument, "The body is {}; a JSON object is allowed.", Given(root));
  return std::move(root.as_object());
}

bool IsBelow(const std::string& path, const std::string& folder) {
  return path == folder || (folder == "/" ? path.starts_with('/') : path.starts_with(folder + "/"));
}

Result<std::string> Canonical(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> resolved(::realpath(path.c_str(), nullptr), &std::free);
  if (!resolved) return FailErrno("realpath", errno);
  return std::string(resolved.get());
}

}  // namespace

Result<std::string> AuthorizePath(const std::string& path, const std::vector<std::string>& allowed_paths) {
  if (!path.starts_with('/')) return BadField("function-path", "\"{}\" is given; an absolute path is allowed.", path);
  const auto canonical = Canonical(path);
  // Whether a file exists is told only below the allowed folders.
  const std::string judged = canonical ? *canonical : std::filesystem::path(path).lexically_normal().string();
  const bool allowed = std::ranges::any_of(allowed_paths, [&](const std::string& folder) {
    const auto real_folder = Canonical(folder);
    return (real_folder && IsBelow(judged, *real_folder)) || (!canonical && IsBelow(judged, folder));
  });
  if (!allowed)
    return Fail(Code::kForbidden, "Field [function-path]: \"{}\" is not below any of functions.allowed-paths.", path);
  struct stat status{};
  if (!canonical || ::stat(canonical->c_str(), &status) != 0)
    return BadField("function-path", "\"{}\" does not exist or cannot be read.", path);
  if (!S_ISREG(status.st_mode)) return BadField("function-path", "\"{}\" is not a regular file.", path);
  return *canonical;
}

Result<ParsedInvoke> ParseInvoke(std::string_view text, const node::Config& config) {
  MIG_ASSIGN(json::object body, ParseObject(text));
  ParsedInvoke parsed;
  node::Request& request = parsed.request;
  MIG_ASSIGN(request.function, Name(body, "function"));
  MIG_ASSIGN(request.user, Name(body, "user"));
  MIG_ASSIGN(request.handler, Name(body, "function-handler", request.function));
  MIG_ASSIGN(request.mig_instance, MigInstance(body));
  MIG_ASSIGN(request.gpu_memory_mib, GpuMemory(body));
  MIG_ASSIGN(request.timeout, Timeout(body, config));
  MIG_ASSIGN(request.call_id, Name(body, "uuid", MakeCallId(), 128));
  MIG_ASSIGN(const std::string path, Name(body, "function-path", {}, 4096));
  MIG_ASSIGN(request.language, Language(body, path));
  MIG_ASSIGN(request.modules, Modules(body));
  MIG_ASSIGN(request.ld_preload, LdPreload(body, config));
  MIG_ASSIGN(request.path, AuthorizePath(path, config.functions.allowed_paths));
  MIG_ASSIGN(request.payload, Payload(body, config));
  parsed.warnings = Warnings(body);
  return parsed;
}

std::string MakeCallId() {
  std::array<uint8_t, 16> bytes{};
  (void)!::getrandom(bytes.data(), bytes.size(), 0);
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  std::string id;
  for (size_t i = 0; i < bytes.size(); ++i)
    id += fmt::format("{}{:02x}", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", bytes[i]);
  return id;
}

}  // namespace mignificient::http
