#include "node/config.h"

#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <fstream>
#include <functional>
#include <sstream>
#include <variant>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/nearest.h"
#include "executor/protocol.h"

namespace mignificient::node {
namespace {

namespace json = boost::json;

// One key: where its value lives and what is allowed. A std::string with choices is one of them.
using Texts = std::map<std::string, std::string>;
using Numbers = std::map<std::string, double>;
using Place = std::variant<std::string*, bool*, double*, uint16_t*, uint32_t*, uint64_t*, std::vector<std::string>*,
                           Texts*, Numbers*>;
struct Key {
  std::string_view name;
  Place place;
  double least = 0, most = 1e15;  // of numbers
  std::vector<std::string_view> choices = {};
};

const std::vector<std::string_view> kSharingModels = {"sequential", "overlap_cpu", "overlap_cpu_memcpy",
                                                      "full_overlap"};

std::vector<Key> Keys(Config& c) {
  return {
      {"name", &c.name},
      {"sharing-model", &c.sharing_model, 0, 0, kSharingModels},
      {"sharing-models", &c.sharing_models, 0, 0, kSharingModels},
      {"quantum-ms", &c.quantum_ms, 0, 1e6},
      {"idle-release-us", &c.idle_release_us, 0, 1e9},
      {"compatible-status", &c.compatible_status},
      {"devices", &c.devices},
      {"nvml", &c.nvml},
      {"software-gpus", &c.software_gpus},
      {"mig.auto", &c.mig.automatic},
      {"mig.after-ms", &c.mig.after_ms, 0, 1e7},
      {"mig.retry-after", &c.mig.retry_after_s, 0.001, 86400},
      {"mig.gpus", &c.mig.gpus},
      {"http.address", &c.http.address},
      {"http.port", &c.http.port, 0, 65535},
      {"http.unix-socket", &c.http.unix_socket},
      {"http.unix-socket-mode", &c.http.unix_socket_mode},
      {"http.tls.certificate", &c.http.tls.certificate},
      {"http.tls.key", &c.http.tls.key},
      {"http.header-timeout", &c.http.header_timeout_s, 0.001, 86400},
      {"http.body-timeout", &c.http.body_timeout_s, 0.001, 86400},
      {"http.idle-timeout", &c.http.idle_timeout_s, 0.001, 86400},
      {"http.connections", &c.http.connections, 1, 1000000},
      {"auth.tokens", &c.auth.tokens},
      {"auth.trust-socket-owner", &c.auth.trust_socket_owner},
      {"limits.payload", &c.limits.payload_bytes, 1, 1ull << 32},
      {"limits.result", &c.limits.result_bytes, 1, static_cast<double>(executor::kResultLimit)},
      {"limits.queue", &c.limits.queue, 1, 1000000},
      {"limits.function-queue", &c.limits.function_queue, 1, 1000000},
      {"limits.running", &c.limits.running, 1, 1000},
      {"limits.timeout", &c.limits.timeout_s, 0.001, 1e6},
      {"limits.timeout-max", &c.limits.timeout_max_s, 0.001, 1e6},
      {"limits.log", &c.limits.log_bytes, 4096, 1ull << 40},
      {"limits.ended-logs", &c.limits.ended_logs, 0, 1000000},
      {"weights", &c.weights, 0.001, 1000},
      {"containers.remove-after", &c.containers.remove_after_s, 0, 1e9},
      {"functions.allowed-paths", &c.functions.allowed_paths},
      {"functions.allow-ld-preload", &c.functions.allow_ld_preload},
      {"functions.per-user", &c.functions.per_user, 1, 1000000},
      {"calls.queue", &c.calls.queue, 1, 1000000},
      {"calls.queue-bytes", &c.calls.queue_bytes, 1, 1ull << 40},
      {"calls.parallel", &c.calls.parallel, 1, 10000},
      {"calls.max-wait", &c.calls.max_wait_s, 0.001, 1e8},
      {"calls.keep", &c.calls.keep_s, 0.001, 1e8},
      {"calls.kept", &c.calls.kept, 1, 1000000},
      {"calls.kept-bytes", &c.calls.kept_bytes, 1, 1ull << 40},
      {"executor.python", &c.executor.python},
      {"gpu-server.driver", &c.gpu_server.driver, 0, 0, {"auto", "cuda", "cpu"}},
      {"gpu-server.start-timeout", &c.gpu_server.start_timeout_s, 0.001, 86400},
      {"gpu-server.share", &c.gpu_server.share, 0, 0, {"none", "user"}},
      {"gpu-server.close-timeout", &c.gpu_server.close_timeout_s, 0.001, 86400},
      {"gpu-server.context-memory", &c.gpu_server.context_memory_mib},
      {"paths.executor", &c.paths.executor},
      {"paths.keeper", &c.paths.keeper},
      {"paths.gpu-server", &c.paths.gpu_server},
      {"paths.library", &c.paths.library},
      {"paths.logs", &c.paths.logs},
      {"paths.state", &c.paths.state},
      {"trace.file", &c.trace.file},
      {"trace.limit", &c.trace.limit_bytes, 4096, 1ull << 40},
      {"timing.gpu", &c.timing.gpu},
      {"shutdown-grace", &c.shutdown_grace_s, 0, 86400},
      {"log-level", &c.log_level, 0, 0, {"debug", "info", "warning", "error"}},
  };
}

// Keys of the original's files that are accepted and change nothing, and why.
struct Ignored {
  std::string_view name;  // everything below it, too
  std::string_view why;
};
constexpr Ignored kIgnored[] = {
    {"timeout-check-interval-ms", "timeouts are exact"},
    {"http.threads", "one thread serves all connections"},
    {"ipc.backend", "channels are sealed memfds"},
    {"ipc.polling", "waiting is by events"},
    {"ipc.buffer-config", "limits.payload and limits.result bound the buffers"},
    {"executor.use-vmm", "GPU memory is always virtual-memory-managed"},
    {"executor.poll-sleep", "waiting is by events"},
    {"executor.poll-gpuless-sleep", "waiting is by events"},
    {"executor.cpu-bind-executor", "processes are not bound to CPUs"},
    {"executor.cpu-bind-gpuless", "processes are not bound to CPUs"},
    {"executor.cpu-bind-gpuless-separate", "processes are not bound to CPUs"},
    {"executor.bare-metal-executor", "paths.executor and paths.gpu-server name the programs"},
};

const Ignored* FindIgnored(std::string_view name) {
  for (const Ignored& ignored : kIgnored)
    if (name == ignored.name || (name.starts_with(ignored.name) && name[ignored.name.size()] == '.')) return &ignored;
  return nullptr;
}

template <typename... Args>
std::unexpected<Error> BadKey(std::string_view name, fmt::format_string<Args...> format, Args&&... args) {
  return Fail(Code::kInvalidArgument, "Key [{}]: {}", name, fmt::format(format, std::forward<Args>(args)...));
}

Result<> Assign(const Key& key, std::string* place, const json::value& value) {
  if (!value.is_string()) return BadKey(key.name, "{} is given; a string is allowed.", json::serialize(value));
  const std::string text(value.as_string());
  if (!key.choices.empty() && std::ranges::find(key.choices, text) == key.choices.end())
    return BadKey(key.name, "\"{}\" is given; allowed is {}.", text, fmt::join(key.choices, ", "));
  *place = text;
  return {};
}

Result<> Assign(const Key& key, bool* place, const json::value& value) {
  if (!value.is_bool()) return BadKey(key.name, "{} is given; true or false is allowed.", json::serialize(value));
  *place = value.as_bool();
  return {};
}

template <typename Number>
Result<> Assign(const Key& key, Number* place, const json::value& value) {
  boost::system::error_code error;
  const double number = value.is_number() ? value.to_number<double>(error) : std::nan("");
  const bool whole = std::is_floating_point_v<Number> || number == std::floor(number);
  if (!(number >= key.least && number <= key.most) || !whole)
    return BadKey(key.name, "{} is given; a {}number from {} to {} is allowed.", json::serialize(value),
                  std::is_floating_point_v<Number> ? "" : "whole ", key.least, key.most);
  *place = static_cast<Number>(number);
  return {};
}

Result<> Assign(const Key& key, std::vector<std::string>* place, const json::value& value) {
  std::vector<std::string> list;
  if (!value.is_array()) return BadKey(key.name, "{} is given; a list of strings is allowed.", json::serialize(value));
  for (const json::value& element : value.as_array()) {
    if (!element.is_string())
      return BadKey(key.name, "{} is in the list; strings are allowed.", json::serialize(element));
    list.emplace_back(element.as_string());
  }
  *place = std::move(list);
  return {};
}

Result<> Assign(const Key& key, Texts* place, const json::value& value) {
  Texts texts;
  if (!value.is_object()) return BadKey(key.name, "{} is given; an object is allowed.", json::serialize(value));
  for (const auto& [name, member] : value.as_object()) MIG_TRY(Assign(key, &texts[std::string(name)], member));
  *place = std::move(texts);
  return {};
}

Result<> Assign(const Key& key, Numbers* place, const json::value& value) {
  Numbers numbers;
  if (!value.is_object()) return BadKey(key.name, "{} is given; an object is allowed.", json::serialize(value));
  for (const auto& [name, member] : value.as_object()) MIG_TRY(Assign(key, &numbers[std::string(name)], member));
  *place = std::move(numbers);
  return {};
}

Result<> Assign(const Key& key, const json::value& value) {
  return std::visit([&](auto* place) { return Assign(key, place, value); }, key.place);
}

// Text from the environment or the command line becomes the JSON that the file would hold.
json::value FromText(const Key& key, const std::string& text) {
  if (std::holds_alternative<std::string*>(key.place)) return json::value(text);
  if (std::holds_alternative<std::vector<std::string>*>(key.place)) {
    json::array list;
    std::stringstream stream(text);
    for (std::string part; std::getline(stream, part, ':');)
      if (!part.empty()) list.emplace_back(part);
    return list;
  }
  boost::system::error_code error;
  json::value value = json::parse(text, error);
  return error ? json::value(text) : value;
}

std::unexpected<Error> UnknownKey(std::string_view name, const std::vector<Key>& keys) {
  std::vector<std::string> known{"executor.type"};
  for (const Key& key : keys) known.emplace_back(key.name);
  for (const Ignored& ignored : kIgnored) known.emplace_back(ignored.name);
  // A misspelt section is nearest to a section, not to one of its keys.
  for (size_t i = 0, count = known.size(); i < count; ++i)
    if (const size_t dot = known[i].find('.'); dot != std::string::npos) known.push_back(known[i].substr(0, dot));
  return Fail(Code::kInvalidArgument, "Key [{}] is not known.{}", name, Suggestion(name, known));
}

const Key* FindKey(const std::vector<Key>& keys, std::string_view name) {
  const auto found = std::ranges::find(keys, name, &Key::name);
  return found == keys.end() ? nullptr : &*found;
}

// The names of the objects that hold keys: "http", "limits", "ipc", ...
bool IsSection(const std::vector<Key>& keys, std::string_view name) {
  const auto below = [&](std::string_view key) {
    return key.starts_with(name) && key.size() > name.size() && key[name.size()] == '.';
  };
  return std::ranges::any_of(keys, below, &Key::name) || std::ranges::any_of(kIgnored, below, &Ignored::name);
}

// The original's choices of an executor are known words; saying that they are not there yet is better than calling
// them wrong.
Result<> CheckOriginalsChoices(std::string_view name, const json::value& value) {
  if (name == "executor.type" && value.is_string() && value.as_string() != "bare-metal")
    return BadKey(name, "{} does not exist yet in this version; allowed is bare-metal.", json::serialize(value));
  return {};
}

Result<> Apply(const json::object& object, const std::string& prefix, const std::vector<Key>& keys,
               LoadedConfig& loaded) {
  for (const auto& [member, value] : object) {
    const std::string name = prefix + std::string(member.data(), member.size());
    MIG_TRY(CheckOriginalsChoices(name, value));
    if (const Key* key = FindKey(keys, name)) {
      MIG_TRY(Assign(*key, value));
    } else if (const Ignored* ignored = FindIgnored(name)) {
      loaded.warnings.push_back(fmt::format("Key [{}] has no effect: {}.", name, ignored->why));
    } else if (IsSection(keys, name)) {
      if (!value.is_object()) return BadKey(name, "{} is given; an object is allowed.", json::serialize(value));
      MIG_TRY(Apply(value.as_object(), name + ".", keys, loaded));
    } else if (name != "executor.type") {
      return UnknownKey(name, keys);
    }
  }
  return {};
}

// http.port -> MIGNIFICIENT_HTTP_PORT
std::string VariableName(std::string_view key) {
  std::string name = "MIGNIFICIENT_";
  for (const char c : key) name += c == '.' || c == '-' ? '_' : static_cast<char>(std::toupper(c));
  return name;
}

Result<> ApplyEnvironment(std::span<const std::string> environment, const std::vector<Key>& keys) {
  for (const Key& key : keys) {
    const std::string assignment = VariableName(key.name) + "=";
    for (const std::string& entry : environment) {
      if (!entry.starts_with(assignment)) continue;
      auto assigned = Assign(key, FromText(key, entry.substr(assignment.size())));
      if (!assigned)
        return std::unexpected(
            std::move(assigned).error().While(fmt::format("reading the variable {}", VariableName(key.name))));
    }
  }
  return {};
}

bool IsLoopback(const std::string& address) {
  in_addr v4{};
  in6_addr v6{};
  if (::inet_pton(AF_INET, address.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  if (::inet_pton(AF_INET6, address.c_str(), &v6) != 1) return false;
  return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

// Whom the node lets in.
Result<> CheckDoors(const Config& config) {
  const Config::Http& http = config.http;
  if (config.auth.tokens.empty() && !IsLoopback(http.address))
    return BadKey("http.address",
                  "\"{}\" is given; without a token file (auth.tokens) only a loopback address is allowed, such as "
                  "127.0.0.1.",
                  http.address);
  if (http.tls.certificate.empty() != http.tls.key.empty())
    return BadKey(http.tls.key.empty() ? "http.tls.key" : "http.tls.certificate",
                  "nothing is given; http.tls.certificate and http.tls.key go together.");
  const std::string& mode = http.unix_socket_mode;
  if (mode.empty() || mode.size() > 4 || mode.find_first_not_of("01234567") != mode.npos ||
      std::stoi(mode, nullptr, 8) > 0777)
    return BadKey("http.unix-socket-mode", "\"{}\" is given; an octal mode from \"0000\" to \"0777\" is allowed.",
                  mode);
  return {};
}

Result<> CheckMig(const Config& config) {
  if (config.mig.automatic && !config.devices.empty())
    return BadKey(
        "mig.auto",
        "true is given; allowed is false where devices names a file, which does not tell what becomes of GPUs.");
  for (const std::string& gpu : config.mig.gpus) {
    const bool index = !gpu.empty() && gpu.size() < 6 && gpu.find_first_not_of("0123456789") == gpu.npos;
    if (!index && !(gpu.starts_with("GPU-") && gpu.size() > 4))
      return BadKey("mig.gpus", "\"{}\" is in the list; UUIDs (GPU-...) and indices of GPUs are allowed.", gpu);
  }
  return {};
}

Result<> CheckTogether(const Config& config) {
  MIG_TRY(CheckDoors(config));
  MIG_TRY(CheckMig(config));
  if (config.limits.timeout_s > config.limits.timeout_max_s)
    return BadKey("limits.timeout", "{} is given; at most limits.timeout-max ({}) is allowed.", config.limits.timeout_s,
                  config.limits.timeout_max_s);
  for (const std::string& path : config.functions.allowed_paths)
    if (!path.starts_with('/'))
      return BadKey("functions.allowed-paths", "\"{}\" is given; absolute paths are allowed.", path);
  const std::string& python = config.executor.python;
  if (python.find('/') != python.npos && !python.starts_with('/'))
    return BadKey("executor.python", "\"{}\" is given; an absolute path or a name in the PATH is allowed.", python);
  const std::string& memory = config.gpu_server.context_memory_mib;
  if (memory != "auto" &&
      (memory.empty() || memory.size() > 9 || memory.find_first_not_of("0123456789") != memory.npos))
    return BadKey("gpu-server.context-memory", "\"{}\" is given; \"auto\" or a number of MiB as a string is allowed.",
                  memory);
  return {};
}

Result<json::object> ParseObject(std::string_view text) {
  boost::system::error_code error;
  const json::value root = json::parse(json::string_view(text.data(), text.size()), error, {},
                                       {.max_depth = 32, .allow_comments = true, .allow_trailing_commas = true});
  if (error) return Fail(Code::kInvalidArgument, "The configuration is no JSON: {}.", error.message());
  if (!root.is_object()) return Fail(Code::kInvalidArgument, "The configuration must be a JSON object.");
  return root.as_object();
}

json::value ToJson(const Place& place) {
  return std::visit(
      [](auto* at) -> json::value {
        if constexpr (std::is_same_v<decltype(at), std::vector<std::string>*>) {
          return json::array(at->begin(), at->end());
        } else if constexpr (std::is_same_v<decltype(at), Texts*> || std::is_same_v<decltype(at), Numbers*>) {
          json::object object;
          for (const auto& [name, member] : *at) object[name] = member;
          return object;
        } else {
          return json::value(*at);
        }
      },
      place);
}

}  // namespace

Result<LoadedConfig> ParseConfig(std::string_view text, std::span<const std::string> environment,
                                 std::span<const Override> overrides) {
  LoadedConfig loaded;
  const std::vector<Key> keys = Keys(loaded.config);
  MIG_ASSIGN(const json::object root, ParseObject(text));
  MIG_TRY(Apply(root, "", keys, loaded));
  MIG_TRY(ApplyEnvironment(environment, keys));
  for (const Override& override : overrides) {
    const Key* key = FindKey(keys, override.key);
    if (key == nullptr) return UnknownKey(override.key, keys);
    MIG_TRY(Assign(*key, FromText(*key, override.value)));
  }
  MIG_TRY(CheckTogether(loaded.config));
  return loaded;
}

Result<LoadedConfig> LoadConfig(const std::optional<std::string>& path, std::span<const std::string> environment,
                                std::span<const Override> overrides) {
  if (!path) return ParseConfig("{}", environment, overrides);
  std::ifstream file(*path);
  if (!file) return FailErrno(fmt::format("opening the configuration [{}]", *path), errno);
  std::stringstream text;
  text << file.rdbuf();
  auto loaded = ParseConfig(text.str(), environment, overrides);
  if (!loaded) return std::unexpected(std::move(loaded).error().While(fmt::format("reading [{}]", *path)));
  return loaded;
}

std::vector<std::string> ProcessEnvironment() {
  std::vector<std::string> entries;
  for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry) entries.emplace_back(*entry);
  return entries;
}

std::string ConfigJson(const Config& config) {
  Config copy = config;
  std::string out = "{";
  std::vector<std::string> open;  // the sections that the last key lies in
  const auto close_to = [&](size_t depth) {
    for (; open.size() > depth; open.pop_back()) out += fmt::format("\n{:{}}}}", "", 2 * open.size());
  };
  const auto begin = [&](std::string_view name) {
    out += fmt::format("{}\n{:{}}\"{}\": ", out.back() == '{' ? "" : ",", "", 2 * (open.size() + 1), name);
  };
  for (const Key& key : Keys(copy)) {
    std::string_view rest = key.name;
    size_t depth = 0;
    for (size_t dot; (dot = rest.find('.')) != rest.npos; ++depth) {
      const std::string section(rest.substr(0, dot));
      rest.remove_prefix(dot + 1);
      if (depth < open.size() && open[depth] == section) continue;
      close_to(depth);
      begin(section);
      out += '{';
      open.push_back(section);
    }
    close_to(depth);
    begin(rest);
    out += json::serialize(ToJson(key.place));
  }
  close_to(0);
  return out + "\n}\n";
}

}  // namespace mignificient::node
