// Columns for people.
#pragma once

#include <string>
#include <vector>

#include <boost/json/array.hpp>

namespace mignificient::cli {

// Rows of equal length; the first holds the headings.
using Table = std::vector<std::vector<std::string>>;

// Columns as wide as their widest cell, two spaces between them.
std::string TableText(const Table& table);
void Print(const Table& table);  // on standard output

// The keys of all rows, in the order in which they first appear.
std::vector<std::string> ColumnsOf(const boost::json::array& rows);

// A heading and a line per row, of objects; "-" where a row has no such key. What would steer a terminal is shown as
// '?'.
std::string TableText(const boost::json::array& rows, const std::vector<std::string>& columns);

}  // namespace mignificient::cli
