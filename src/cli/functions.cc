// `mignificient functions`: what is registered at a node.
#include <fmt/format.h>

#include <memory>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "cli/command.h"
#include "cli/exit_status.h"
#include "cli/node_call.h"
#include "cli/percent_encode.h"

namespace mignificient::cli {
namespace {

namespace json = boost::json;

struct Options {
  NodeOptions node;
  std::string user, name;
  bool as_json = false;

  std::string Target() const { return WithQuery("/v1/functions/" + PercentEncode(name), {{"user", user}}); }
};

int List(const Options& options) {
  const auto asked = AskNode(options.node, "GET", WithQuery("/v1/functions", {{"user", options.user}}));
  if (!asked) return Complain("functions", asked.error());
  if (!asked->ok()) return ComplainOfAnswer("functions", asked->answer);
  const json::value* list = asked->body.is_object() ? asked->body.as_object().if_contains("functions") : nullptr;
  if (list == nullptr || !list->is_array())
    return Complain("functions", Error(Code::kPeer, "The node's answer is not a list of functions."));
  if (options.as_json)
    fmt::print("{}\n", json::serialize(*list));
  else if (list->as_array().empty())
    fmt::print(stderr, "No functions.\n");
  else
    PrintTable(list->as_array(), {"name", "user", "language", "gpu-memory", "mig-instance", "timeout", "path"});
  return kExitOk;
}

int Show(const Options& options) {
  const auto asked = AskNode(options.node, "GET", options.Target());
  if (!asked) return Complain("functions show", asked.error());
  if (!asked->ok()) return ComplainOfAnswer("functions show", asked->answer);
  if (options.as_json) {
    fmt::print("{}\n", json::serialize(asked->body));
    return kExitOk;
  }
  if (!asked->body.is_object())
    return Complain("functions show", Error(Code::kPeer, "The node's answer is not a function."));
  for (const auto& [key, value] : asked->body.as_object())
    fmt::print("{:<16}{}\n", std::string_view(key.data(), key.size()),
               value.is_string() ? std::string(value.as_string()) : json::serialize(value));
  return kExitOk;
}

int Delete(const Options& options) {
  const auto asked = AskNode(options.node, "DELETE", options.Target());
  if (!asked) return Complain("functions delete", asked.error());
  if (!asked->ok()) return ComplainOfAnswer("functions delete", asked->answer);
  if (options.as_json)
    fmt::print("{}\n", json::serialize(asked->body));
  else
    fmt::print(stderr, "Function {} is deleted.\n", options.name);
  return kExitOk;
}

}  // namespace

std::vector<Command> AddFunctions(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("functions", "List, show and delete registered functions");
  const auto options = std::make_shared<Options>();
  AddNodeOptions(*app, options->node);
  app->add_option("--user", options->user, "Whose (default: whoever asks, else `default`; of a list: all)");
  app->add_flag("--json", options->as_json, "Print JSON");
  std::vector<Command> commands = {{app, [options] { return List(*options); }}};
  const auto add = [&](const char* name, const char* about, int (*run)(const Options&), bool named) {
    CLI::App* sub = app->add_subcommand(name, about)->fallthrough();
    sub->footer("Options of `mignificient functions` apply as well.");
    if (named) sub->add_option("name", options->name, "The function's name")->required();
    commands.push_back({sub, [options, run] { return run(*options); }});
  };
  add("list", "The registered functions", List, false);
  add("show", "What a function is registered as", Show, true);
  add("delete", "Forget a function: its idle containers are ended, running calls finish", Delete, true);
  return commands;
}

}  // namespace mignificient::cli
