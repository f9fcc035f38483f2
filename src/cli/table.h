// Columns for people.
#pragma once

#include <string>
#include <vector>

namespace mignificient::cli {

// Rows of equal length; the first holds the headings.
using Table = std::vector<std::vector<std::string>>;

// On standard output: columns as wide as their widest cell, two spaces between them.
void Print(const Table& table);

}  // namespace mignificient::cli
