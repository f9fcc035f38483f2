#include "cli/node_call.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "cli/percent_encode.h"
#include "cli/table.h"

namespace mignificient::cli {
namespace json = boost::json;

Result<NodeAnswer> AskNode(const NodeOptions& node, std::string_view method, const std::string& target,
                           std::string body) {
  MIG_ASSIGN(HttpClient client, ClientOf(node));
  NodeAnswer asked;
  MIG_ASSIGN(asked.answer, client.Send(method, target, std::move(body), "application/json"));
  boost::system::error_code error;
  asked.body = json::parse(json::string_view(asked.answer.body.data(), asked.answer.body.size()), error);
  if (error && asked.ok()) return Fail(Code::kPeer, "The node's answer is no JSON: {}.", error.message());
  return asked;
}

std::string WithQuery(std::string path, std::initializer_list<std::pair<std::string_view, std::string>> query) {
  char before = '?';
  for (const auto& [name, value] : query) {
    if (value.empty()) continue;
    path += fmt::format("{}{}={}", before, name, PercentEncode(value));
    before = '&';
  }
  return path;
}

void PrintTable(const json::array& rows, const std::vector<std::string>& columns) {
  fmt::print("{}", TableText(rows, columns));
}

}  // namespace mignificient::cli
