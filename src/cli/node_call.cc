#include "cli/node_call.h"

#include <algorithm>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "cli/percent_encode.h"

namespace mignificient::cli {
namespace json = boost::json;
namespace {

std::string CellText(const json::value* cell) {
  if (cell == nullptr || cell->is_null()) return "-";
  return cell->is_string() ? std::string(cell->as_string()) : json::serialize(*cell);
}

}  // namespace

Result<NodeAnswer> AskNode(const std::string& address_text, const std::string& token, std::string_view method,
                           const std::string& target, std::string body) {
  MIG_ASSIGN(Address address, Address::Parse(address_text));
  HttpClient client(std::move(address), token);
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
  std::vector<std::vector<std::string>> lines = {columns};
  for (const json::value& row : rows) {
    std::vector<std::string>& line = lines.emplace_back();
    for (const std::string& column : columns)
      line.push_back(CellText(row.is_object() ? row.as_object().if_contains(column) : nullptr));
  }
  std::vector<size_t> widths(columns.size());
  for (const auto& line : lines)
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  for (const auto& line : lines) {
    for (size_t i = 0; i + 1 < line.size(); ++i) fmt::print("{:<{}}  ", line[i], widths[i]);
    fmt::print("{}\n", line.back());
  }
}

}  // namespace mignificient::cli
