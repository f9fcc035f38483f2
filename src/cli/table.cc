#include "cli/table.h"

#include <fmt/format.h>

#include <algorithm>

namespace mignificient::cli {

void Print(const Table& table) {
  if (table.empty()) return;
  std::vector<size_t> widths(table.front().size());
  for (const auto& row : table)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  for (const auto& row : table) {
    for (size_t i = 0; i + 1 < row.size(); ++i) fmt::print("{:<{}}  ", row[i], widths[i]);
    fmt::print("{}\n", row.back());
  }
}

}  // namespace mignificient::cli
