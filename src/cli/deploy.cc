// `mignificient deploy`: registers a function, or changes it.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <optional>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "cli/command.h"
#include "cli/exit_status.h"
#include "cli/node_call.h"
#include "cli/percent_encode.h"
#include "cli/read_file.h"

namespace mignificient::cli {
namespace {

namespace json = boost::json;

struct Options {
  NodeOptions node;
  std::string target;  // a specification (NAME.json), or a function's name
  std::string name, path, handler, language, instance, user, content_type;
  std::optional<int64_t> gpu_memory_mib, concurrency, min_containers, max_containers;
  std::optional<double> timeout_s, swap_off_after_s, remove_after_s;
  std::vector<std::string> preload;
  bool as_json = false;
};

bool IsFile(const std::string& target) {
  return target.ends_with(".json");
}

// A relative path in the file is relative to the file.
Result<json::object> ReadSpec(const std::filesystem::path& file) {
  MIG_ASSIGN(const std::string text, ReadFile(file));
  boost::system::error_code error;
  json::value root = json::parse(text, error, {}, {.allow_comments = true, .allow_trailing_commas = true});
  if (error || !root.is_object())
    return Fail(Code::kInvalidArgument, "The specification ({}) is no JSON object{}.", file.string(),
                error ? ": " + error.message() : "");
  json::object spec = std::move(root.as_object());
  if (json::value* path = spec.if_contains("path"); path != nullptr && path->is_string()) {
    const std::filesystem::path given(std::string(path->as_string()));
    if (!given.empty() && given.is_relative())
      *path = (std::filesystem::absolute(file).parent_path() / given).lexically_normal().string();
  }
  if (!spec.contains("name")) spec["name"] = file.stem().string();
  return spec;
}

void SetText(json::object& spec, std::string_view key, const std::string& value) {
  if (!value.empty()) spec[key] = value;
}

template <typename Number>
void SetNumber(json::object& spec, std::string_view key, const std::optional<Number>& value) {
  if (value) spec[key] = *value;
}

Result<json::object> BuildSpec(const Options& options) {
  json::object spec;
  if (IsFile(options.target)) {
    MIG_ASSIGN(spec, ReadSpec(options.target));
  } else {
    SetText(spec, "name", options.target);
    spec["gpu-memory"] = 256;
  }
  SetText(spec, "name", options.name);
  if (!options.path.empty()) spec["path"] = std::filesystem::absolute(options.path).lexically_normal().string();
  SetText(spec, "handler", options.handler);
  SetText(spec, "language", options.language);
  SetText(spec, "mig-instance", options.instance);
  SetText(spec, "user", options.user);
  SetText(spec, "content-type", options.content_type);
  SetNumber(spec, "gpu-memory", options.gpu_memory_mib);
  SetNumber(spec, "concurrency", options.concurrency);
  SetNumber(spec, "min-containers", options.min_containers);
  SetNumber(spec, "max-containers", options.max_containers);
  SetNumber(spec, "timeout", options.timeout_s);
  SetNumber(spec, "swap-off-after", options.swap_off_after_s);
  SetNumber(spec, "remove-after", options.remove_after_s);
  if (!options.preload.empty()) spec["preload"] = json::array(options.preload.begin(), options.preload.end());
  const json::value* name = spec.if_contains("name");
  if (name == nullptr || !name->is_string() || name->as_string().empty())
    return Fail(Code::kInvalidArgument, "Name a function: a specification (NAME.json), or NAME with --path.");
  return spec;
}

int Deploy(const Options& options) {
  const auto spec = BuildSpec(options);
  if (!spec) return Complain("deploy", spec.error());
  const std::string name(spec->at("name").as_string());
  const auto asked = AskNode(options.node, "PUT", "/v1/functions/" + PercentEncode(name), json::serialize(*spec));
  if (!asked) return Complain("deploy", asked.error());
  if (!asked->ok()) return ComplainOfAnswer("deploy", asked->answer);
  if (options.as_json)
    fmt::print("{}\n", json::serialize(asked->body));
  else
    fmt::print(stderr, "Function {} is {}.\n", name, asked->answer.status == 201 ? "registered" : "changed");
  return kExitOk;
}

}  // namespace

Command AddDeploy(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("deploy", "Register a function, or change it");
  const auto options = std::make_shared<Options>();
  AddNodeOptions(*app, options->node);
  app->add_option("target", options->target, "A specification (NAME.json), or the function's name");
  app->add_option("--name", options->name, "Its name, where it is not the specification's");
  app->add_option("--path", options->path, "Its library (.so) or Python file");
  app->add_option("--handler", options->handler, "Its symbol, where it differs from the name");
  app->add_option("--language", options->language, "cpp or python; by default the file's ending decides");
  app->add_option("--user", options->user, "Whose it is (default: whoever asks, else `default`)");
  app->add_option("--gpu-memory", options->gpu_memory_mib, "GPU memory it may use, in MiB (default: 256)");
  app->add_option("--mig-instance", options->instance, "1g to 7g, a profile such as 3g.40gb, or any (default: any)");
  app->add_option("--timeout", options->timeout_s, "Seconds after which a call is ended (default: the node's)");
  app->add_option("--concurrency", options->concurrency, "Calls that run at once; 0: no limit");
  app->add_option("--min-containers", options->min_containers, "Started ahead and kept");
  app->add_option("--max-containers", options->max_containers, "0: no limit");
  app->add_option("--swap-off-after", options->swap_off_after_s, "Seconds idle until its memory leaves the GPU");
  app->add_option("--remove-after", options->remove_after_s, "Seconds idle until a container is ended");
  app->add_option("--preload", options->preload, "A module to import ahead (Python); may be repeated")
      ->allow_extra_args(false);
  app->add_option("--content-type", options->content_type, "Of its answers (default: application/octet-stream)");
  app->add_flag("--json", options->as_json, "Print the specification, all fields");
  return {app, [options] { return Deploy(*options); }};
}

}  // namespace mignificient::cli
