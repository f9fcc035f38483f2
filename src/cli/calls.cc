// `mignificient calls`: asynchronous calls of a node.
#include <fmt/format.h>

#include <algorithm>
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
  std::string user, function, status, id;
  bool as_json = false;

  std::string Target() const { return "/v1/calls/" + PercentEncode(id); }
};

int List(const Options& options) {
  const auto asked = AskNode(
      options.node, "GET",
      WithQuery("/v1/calls", {{"user", options.user}, {"function", options.function}, {"status", options.status}}));
  if (!asked) return Complain("calls", asked.error());
  if (!asked->ok()) return ComplainOfAnswer("calls", asked->answer);
  const json::value* list = asked->body.is_object() ? asked->body.as_object().if_contains("calls") : nullptr;
  if (list == nullptr || !list->is_array())
    return Complain("calls", Error(Code::kPeer, "The node's answer is not a list of calls."));
  if (options.as_json)
    fmt::print("{}\n", json::serialize(*list));
  else if (list->as_array().empty())
    fmt::print(stderr, "No calls.\n");
  else
    PrintTable(list->as_array(), {"id", "user", "function", "status", "accepted", "finished", "result-bytes"});
  return kExitOk;
}

int Print(const Options& options, const NodeAnswer& asked) {
  if (options.as_json || !asked.body.is_object()) {
    fmt::print("{}\n", json::serialize(asked.body));
    return kExitOk;
  }
  for (const auto& [key, value] : asked.body.as_object())
    fmt::print("{:<16}{}\n", std::string_view(key.data(), key.size()),
               value.is_string() ? std::string(value.as_string()) : json::serialize(value));
  return kExitOk;
}

int Show(const Options& options) {
  const auto asked = AskNode(options.node, "GET", options.Target());
  if (!asked) return Complain("calls show", asked.error());
  return asked->ok() ? Print(options, *asked) : ComplainOfAnswer("calls show", asked->answer);
}

int Cancel(const Options& options) {
  const auto asked = AskNode(options.node, "DELETE", options.Target());
  if (!asked) return Complain("calls cancel", asked.error());
  return asked->ok() ? Print(options, *asked) : ComplainOfAnswer("calls cancel", asked->answer);
}

// The result to standard output, once the call is over; --json: what became of the call instead.
int Wait(const Options& options) {
  for (;;) {
    const auto asked = AskNode(options.node, "GET", options.Target() + "?wait=60");
    if (!asked) return Complain("calls wait", asked.error());
    if (!asked->ok()) return ComplainOfAnswer("calls wait", asked->answer);
    const json::value* status = asked->body.is_object() ? asked->body.as_object().if_contains("status") : nullptr;
    if (status == nullptr) return Complain("calls wait", Error(Code::kPeer, "The node's answer is not a call."));
    if (*status == "queued" || *status == "running") continue;
    if (options.as_json) Print(options, *asked);
    break;
  }
  auto client = ClientOf(options.node);
  if (!client) return Complain("calls wait", client.error());
  const auto answer = client->Get(options.Target() + "/result");
  if (!answer) return Complain("calls wait", answer.error());
  const ExitStatus exit = ExitOfAnswer(answer->status, answer->Header("X-Function-Error"));
  if (exit != kExitOk) return ComplainOfAnswer("calls wait", *answer);
  if (options.as_json) return kExitOk;
  if (std::fwrite(answer->body.data(), 1, answer->body.size(), stdout) != answer->body.size() ||
      std::fflush(stdout) != 0)
    return Complain("calls wait", FailErrno("write", errno).error());
  return kExitOk;
}

}  // namespace

std::vector<Command> AddCalls(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("calls", "List, show, await and cancel asynchronous calls");
  const auto options = std::make_shared<Options>();
  AddNodeOptions(*app, options->node);
  app->add_flag("--json", options->as_json, "Print JSON");
  app->add_option("--user", options->user, "Only this user's");
  app->add_option("--function", options->function, "Only this function's");
  app->add_option("--status", options->status, "Only queued, running, done, failed, cancelled or lost ones");
  std::vector<Command> commands = {{app, [options] { return List(*options); }}};
  const auto add = [&](const char* name, const char* about, int (*run)(const Options&)) {
    CLI::App* sub = app->add_subcommand(name, about)->fallthrough();
    sub->footer("Options of `mignificient calls` apply as well.");
    commands.push_back({sub, [options, run] { return run(*options); }});
    return sub;
  };
  add("list", "Calls, the newest first", List);
  for (CLI::App* sub : {add("show", "What became of a call", Show),
                        add("wait", "Wait for the end of a call and print its result", Wait),
                        add("cancel", "Cancel a call; the container of a running one is killed", Cancel)})
    sub->add_option("id", options->id, "The call's id, as `invoke --async` prints it")->required();
  return commands;
}

}  // namespace mignificient::cli
