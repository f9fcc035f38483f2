// `mignificient ps`: the containers of a node.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/nearest.h"
#include "cli/command.h"
#include "cli/exit_status.h"
#include "cli/percent_encode.h"
#include "cli/table.h"

namespace mignificient::cli {
namespace {

namespace json = boost::json;

struct Options {
  NodeOptions node;
  std::string user;
  std::vector<std::string> columns;
  bool as_json = false;
};

// The list of containers in an answer; null where it holds none.
const json::array* ContainersIn(const json::value& body) {
  const json::value* list = &body;
  if (body.is_object()) list = body.as_object().if_contains("containers");
  if (list == nullptr || !list->is_array()) return nullptr;
  const bool objects = std::all_of(list->as_array().begin(), list->as_array().end(),
                                   [](const json::value& row) { return row.is_object(); });
  return objects ? &list->as_array() : nullptr;
}

int PrintTable(const json::array& containers, const std::vector<std::string>& wanted) {
  const std::vector<std::string> known = ColumnsOf(containers);
  for (const std::string& column : wanted)
    if (std::ranges::find(known, column) == known.end())
      return Complain("ps", Error(Code::kInvalidArgument,
                                  fmt::format("Column ({}) is not known.{}", column, Suggestion(column, known))));
  fmt::print("{}", TableText(containers, wanted.empty() ? known : wanted));
  return kExitOk;
}

int Ps(const Options& options) {
  auto client = ClientOf(options.node);
  if (!client) return Complain("ps", client.error());
  const auto answer =
      client->Get(options.user.empty() ? "/containers" : "/containers?user=" + PercentEncode(options.user));
  if (!answer) return Complain("ps", answer.error());
  if (answer->status != 200) return ComplainOfAnswer("ps", *answer);
  boost::system::error_code error;
  const json::value body = json::parse(json::string_view(answer->body.data(), answer->body.size()), error);
  const json::array* containers = error ? nullptr : ContainersIn(body);
  if (containers == nullptr)
    return Complain("ps", Error(Code::kPeer, "The node's answer is not a list of containers."));
  if (!options.as_json && !containers->empty()) return PrintTable(*containers, options.columns);
  if (options.as_json)
    fmt::print("{}\n", json::serialize(*containers));
  else
    fmt::print(stderr, "No containers.\n");
  return kExitOk;
}

}  // namespace

Command AddPs(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("ps", "List the containers of a node");
  const auto options = std::make_shared<Options>();
  AddNodeOptions(*app, options->node);
  app->add_option("--user", options->user, "Only this user's containers (default: all that the token may see)");
  app->add_option("--columns", options->columns, "What to show, such as id,user,status (default: everything)")
      ->delimiter(',')
      ->allow_extra_args(false);
  app->add_flag("--json", options->as_json, "Print a JSON list");
  return {app, [options] { return Ps(*options); }};
}

}  // namespace mignificient::cli
