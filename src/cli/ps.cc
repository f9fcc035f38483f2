// `mignificient ps`: the containers of a node.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "cli/command.h"
#include "cli/description.h"
#include "cli/exit_status.h"
#include "cli/percent_encode.h"
#include "cli/table.h"

namespace mignificient::cli {
namespace {

namespace json = boost::json;

struct Options {
  std::string address = LoadDescription{}.address;
  std::string token;
  std::string user;
  bool as_json = false;
};

std::string CellText(const json::value& value) {
  return value.is_string() ? std::string(value.as_string()) : value.is_null() ? "-" : json::serialize(value);
}

// The keys of all rows, in the order in which they first appear.
std::vector<std::string> Columns(const json::array& rows) {
  std::vector<std::string> columns;
  for (const json::value& row : rows)
    for (const auto& [key, value] : row.as_object())
      if (std::find(columns.begin(), columns.end(), std::string(key)) == columns.end()) columns.emplace_back(key);
  return columns;
}

void PrintTable(const json::array& rows) {
  Table lines = {Columns(rows)};
  const std::vector<std::string> columns = lines.front();
  for (const json::value& row : rows) {
    std::vector<std::string>& line = lines.emplace_back();
    for (const std::string& column : columns) {
      const json::value* cell = row.as_object().if_contains(column);
      line.push_back(cell == nullptr ? "-" : CellText(*cell));
    }
  }
  Print(lines);
}

// The list of containers in an answer; null where it holds none.
const json::array* ContainersIn(const json::value& body) {
  const json::value* list = &body;
  if (body.is_object()) list = body.as_object().if_contains("containers");
  if (list == nullptr || !list->is_array()) return nullptr;
  const bool objects = std::all_of(list->as_array().begin(), list->as_array().end(),
                                   [](const json::value& row) { return row.is_object(); });
  return objects ? &list->as_array() : nullptr;
}

int Ps(const Options& options) {
  auto address = Address::Parse(options.address);
  if (!address) return Complain("ps", address.error());
  HttpClient client(std::move(*address), options.token);
  const auto answer =
      client.Get(options.user.empty() ? "/containers" : "/containers?user=" + PercentEncode(options.user));
  if (!answer) return Complain("ps", answer.error());
  if (answer->status != 200) return ComplainOfAnswer("ps", *answer);
  boost::system::error_code error;
  const json::value body = json::parse(json::string_view(answer->body.data(), answer->body.size()), error);
  const json::array* containers = error ? nullptr : ContainersIn(body);
  if (containers == nullptr)
    return Complain("ps", Error(Code::kPeer, "The node's answer is not a list of containers."));
  if (options.as_json)
    fmt::print("{}\n", json::serialize(*containers));
  else if (containers->empty())
    fmt::print(stderr, "No containers.\n");
  else
    PrintTable(*containers);
  return kExitOk;
}

}  // namespace

Command AddPs(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("ps", "List the containers of a node");
  const auto options = std::make_shared<Options>();
  AddAddress(*app, options->address);
  AddToken(*app, options->token);
  app->add_option("--user", options->user, "Only this user's containers");
  app->add_flag("--json", options->as_json, "Print a JSON list");
  return {app, [options] { return Ps(*options); }};
}

}  // namespace mignificient::cli
