#include "cli/table.h"

#include <fmt/format.h>

#include <algorithm>

#include <boost/json/serialize.hpp>

namespace mignificient::cli {
namespace {

namespace json = boost::json;

std::string CellText(const json::value* value) {
  if (value == nullptr || value->is_null()) return "-";
  std::string text = value->is_string() ? std::string(value->as_string()) : json::serialize(*value);
  std::ranges::replace_if(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text.empty() ? "-" : text;
}

}  // namespace

std::string TableText(const Table& table) {
  if (table.empty()) return {};
  std::vector<size_t> widths(table.front().size());
  for (const auto& row : table)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  std::string text;
  for (const auto& row : table) {
    for (size_t i = 0; i + 1 < row.size(); ++i) text += fmt::format("{:<{}}  ", row[i], widths[i]);
    if (!row.empty()) text += row.back();
    text += '\n';
  }
  return text;
}

void Print(const Table& table) {
  fmt::print("{}", TableText(table));
}

std::vector<std::string> ColumnsOf(const json::array& rows) {
  std::vector<std::string> columns;
  for (const json::value& row : rows)
    for (const auto& [key, value] : row.as_object())
      if (std::ranges::find(columns, std::string(key)) == columns.end()) columns.emplace_back(key);
  return columns;
}

std::string TableText(const json::array& rows, const std::vector<std::string>& columns) {
  Table table = {columns};
  for (const json::value& row : rows) {
    std::vector<std::string>& line = table.emplace_back();
    for (const std::string& column : columns) line.push_back(CellText(row.as_object().if_contains(column)));
  }
  return TableText(table);
}

}  // namespace mignificient::cli
