#include "http/exposition.h"

#include <fmt/format.h>

namespace mignificient::http {
namespace {

std::string Escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\' || c == '"') escaped += '\\';
    if (c == '\n')
      escaped += "\\n";
    else
      escaped += c;
  }
  return escaped;
}

}  // namespace

void Exposition::Metric(std::string_view name, std::string_view type, std::string_view help) {
  name_ = name;
  text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void Exposition::Part(std::string_view suffix, double value, Labels labels) {
  Line(name_ + std::string(suffix), labels, value);
}

void Exposition::Line(std::string_view name, Labels labels, double value) {
  text_ += name;
  char before = '{';
  for (const auto& [key, of_key] : labels) {
    text_ += fmt::format("{}{}=\"{}\"", before, key, Escaped(of_key));
    before = ',';
  }
  text_ += fmt::format("{} {}\n", before == ',' ? "}" : "", value);
}

}  // namespace mignificient::http
