// `mignificient invoke`: one invocation; the function's bytes to standard output, everything else to standard error.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>

#include <boost/json/serialize.hpp>

#include "cli/command.h"
#include "cli/description.h"
#include "cli/exit_status.h"
#include "cli/node_call.h"
#include "cli/percent_encode.h"
#include "cli/read_file.h"

namespace mignificient::cli {
namespace {

namespace json = boost::json;

struct Options {
  std::string address = LoadDescription{}.address;
  std::string token;
  Trust trust;
  std::string target;  // a description file, or a function's name
  unsigned input = 0;
  std::string function, path, handler, language, user, uuid, instance;
  std::vector<std::string> modules;
  std::optional<int64_t> gpu_memory_mib;
  std::optional<double> timeout_s;
  std::optional<std::string> payload;
  bool quiet = false;
  bool later = false;    // --async
  bool as_json = false;  // of what is accepted
};

bool IsDescription(const std::string& target) {
  return target.ends_with(".json");
}

// The request as far as a description file or the defaults give it; may set `address` from the file.
Result<json::object> BaseRequest(const Options& options, std::string& address, bool address_given) {
  if (!IsDescription(options.target)) {
    json::object request;
    if (!options.target.empty()) request["function"] = options.target;
    request["mig-instance"] = "any";
    request["gpu-memory"] = 256;
    return request;
  }
  MIG_ASSIGN(const LoadDescription description, ReadLoadDescription(options.target));
  if (options.input >= description.inputs.size())
    return Fail(Code::kInvalidArgument, "Input ({}) is not in the description, which has {}.", options.input,
                description.inputs.size());
  if (!address_given) address = description.address;
  return description.inputs[options.input];
}

void SetText(json::object& request, std::string_view key, const std::string& value) {
  if (!value.empty()) request[json::string_view(key.data(), key.size())] = value;
}

Result<> AddPayload(const Options& options, json::object& request) {
  if (options.payload) {
    MIG_ASSIGN(request["input-payload"], ReadPayload(*options.payload));
    return {};
  }
  if (request.contains("input-payload")) return {};
  // Nothing was given: standard input is the payload, unless a person sits there.
  std::string text;
  if (isatty(STDIN_FILENO) == 0) {
    MIG_ASSIGN(text, ReadAll(stdin));
  }
  request["input-payload"] = text;
  return {};
}

Result<json::object> BuildRequest(const Options& options, std::string& address, bool address_given) {
  MIG_ASSIGN(json::object request, BaseRequest(options, address, address_given));
  SetText(request, "function", options.function);
  if (!options.path.empty()) request["function-path"] = std::filesystem::absolute(options.path).string();
  SetText(request, "function-handler", options.handler);
  SetText(request, "function-language", options.language);
  SetText(request, "uuid", options.uuid);
  SetText(request, "mig-instance", options.instance);
  SetText(request, "user", options.user);
  if (!request.contains("user") && options.token.empty()) request["user"] = "user";  // else: whose token it is
  if (options.gpu_memory_mib) request["gpu-memory"] = *options.gpu_memory_mib;
  if (options.timeout_s) request["timeout"] = *options.timeout_s;
  if (!options.modules.empty()) request["modules"] = json::array(options.modules.begin(), options.modules.end());
  if (!request.contains("function"))
    return Fail(Code::kInvalidArgument, "Name a function: a description file, or --function with --path.");
  MIG_TRY(AddPayload(options, request));
  return request;
}

// `cold start, 123.4 ms here; on the node: queue;dur=0.1, ...; call 7f3a`
void PrintNotice(const Answer& answer, std::chrono::steady_clock::duration elapsed) {
  const double elapsed_ms = std::chrono::duration<double, std::milli>(elapsed).count();
  const std::string_view start = answer.Header("X-Start-Type");
  fmt::print(stderr, "{} start, {:.3f} ms", start.empty() ? "unknown" : start, elapsed_ms);
  if (const auto partition = answer.Header("X-MIGnificient-Partition"); !partition.empty())
    fmt::print(stderr, ", partition {}", partition);
  if (const auto timing = answer.Header("Server-Timing"); !timing.empty())
    fmt::print(stderr, ", on the node: {}", timing);
  if (const auto call = answer.Header("X-Call-Id"); !call.empty()) fmt::print(stderr, ", call {}", call);
  fmt::print(stderr, "\n");
}

// A function that was deployed: it is named, and nothing says where it is.
bool IsRegistered(const Options& options) {
  return !options.target.empty() && !IsDescription(options.target) && options.path.empty() && options.function.empty();
}

// What the registration says cannot be said again.
Result<> CheckRegisteredOptions(const Options& options) {
  const std::pair<std::string_view, bool> given[] = {{"--handler", !options.handler.empty()},
                                                     {"--language", !options.language.empty()},
                                                     {"--uuid", !options.uuid.empty()},
                                                     {"--mig-instance", !options.instance.empty()},
                                                     {"--gpu-memory", options.gpu_memory_mib.has_value()},
                                                     {"--module", !options.modules.empty()}};
  for (const auto& [option, is_given] : given)
    if (is_given)
      return Fail(
          Code::kInvalidArgument,
          "Option {} has no effect on the registered function {}: change it with `mignificient deploy`, or name "
          "its file with --path.",
          option, options.target);
  return {};
}

Result<std::string> RegisteredPayload(const Options& options) {
  if (options.payload) return ReadPayload(*options.payload);
  if (isatty(STDIN_FILENO) == 0) return ReadAll(stdin);
  return std::string();
}

Result<Answer> CallRegistered(const Options& options) {
  MIG_TRY(CheckRegisteredOptions(options));
  MIG_ASSIGN(Address address, Address::Parse(options.address));
  MIG_ASSIGN(std::string payload, RegisteredPayload(options));
  std::vector<std::pair<std::string, std::string>> headers;
  if (options.timeout_s) headers.emplace_back("X-MIGnificient-Timeout", fmt::format("{}", *options.timeout_s));
  HttpClient client(std::move(address), options.token, options.trust);
  const std::string path = (options.later ? "/async-function/" : "/function/") + PercentEncode(options.target);
  return client.Send("POST", WithQuery(path, {{"user", options.user}}), std::move(payload), "application/octet-stream",
                     headers);
}

Result<Answer> CallDescribed(const Options& options, bool address_given) {
  if (options.later)
    return Fail(Code::kInvalidArgument,
                "Option --async takes the name of a registered function: register it with `mignificient deploy`.");
  std::string address_text = options.address;
  MIG_ASSIGN(const json::object request, BuildRequest(options, address_text, address_given));
  MIG_ASSIGN(Address address, Address::Parse(address_text));
  HttpClient client(std::move(address), options.token, options.trust);
  return client.Post("/invoke", json::serialize(request));
}

int Invoke(const Options& options, bool address_given) {
  const auto start = std::chrono::steady_clock::now();
  const auto answer = IsRegistered(options) ? CallRegistered(options) : CallDescribed(options, address_given);
  const auto elapsed = std::chrono::steady_clock::now() - start;
  if (!answer) return Complain("invoke", answer.error());
  if (!options.quiet && !options.later) PrintNotice(*answer, elapsed);
  const ExitStatus status = ExitOfAnswer(answer->status, answer->Header("X-Function-Error"));
  if (status != kExitOk) return ComplainOfAnswer("invoke", *answer);
  if (options.later) {
    fmt::print("{}{}", options.as_json ? answer->body : std::string(answer->Header("X-Call-Id")),
               options.as_json ? "" : "\n");
    return kExitOk;
  }
  if (std::fwrite(answer->body.data(), 1, answer->body.size(), stdout) != answer->body.size() ||
      std::fflush(stdout) != 0)
    return Complain("invoke", FailErrno("write", errno).error());
  return kExitOk;
}

}  // namespace

Command AddInvoke(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("invoke", "Run a function once and print its result");
  const auto options = std::make_shared<Options>();
  CLI::Option* address = AddAddress(*app, options->address);
  AddToken(*app, options->token);
  AddTrust(*app, options->trust);
  app->add_option("target", options->target, "A load description (NAME.json), or the name of a registered function");
  app->add_option("--input", options->input, "Which of the description's inputs to send")->capture_default_str();
  app->add_option("--function", options->function, "Name of the function");
  app->add_option("--path", options->path, "Its library (.so) or Python file");
  app->add_option("--handler", options->handler, "Its symbol, where it differs from the name");
  app->add_option("--language", options->language, "cpp or python; by default the file's ending decides");
  app->add_option("--user", options->user, "Who asks (default: the description's user, else `user`)");
  app->add_option("--uuid", options->uuid, "Your own name for this call");
  app->add_option("--mig-instance", options->instance, "1g to 7g, a profile such as 3g.40gb, or any");
  app->add_option("--gpu-memory", options->gpu_memory_mib, "GPU memory it may use, in MiB (default: 256)");
  app->add_option("--timeout", options->timeout_s, "Seconds after which the node ends it");
  app->add_option("--module", options->modules, "A module the function needs; may be repeated");
  app->add_option(
      "-d,--data", options->payload,
      "The payload: text, @FILE, or @- for standard input (default: the description's, else standard input)");
  app->add_flag("--async", options->later, "Do not wait: print the id of the call, for `mignificient calls`");
  app->add_flag("--json", options->as_json, "With --async: print what is known of the call");
  app->add_flag("-q,--quiet", options->quiet, "Do not print start type and timing to standard error");
  return {app, [options, address] { return Invoke(*options, address->count() > 0); }};
}

}  // namespace mignificient::cli
