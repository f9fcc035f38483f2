// One request of a command to a node, and its answer as JSON; for commands that ask and print.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include "base/result.h"
#include "cli/command.h"
#include "cli/http_client.h"

namespace mignificient::cli {

// kPeer where the answer is no JSON; an answer other than 2xx is no error here.
struct NodeAnswer {
  Answer answer;
  boost::json::value body;  // null unless the answer is JSON
  bool ok() const { return answer.status / 100 == 2; }
};

Result<NodeAnswer> AskNode(const NodeOptions& node, std::string_view method, const std::string& target,
                           std::string body = "");

// "/v1/functions" and its query: only values that are not empty.
std::string WithQuery(std::string path, std::initializer_list<std::pair<std::string_view, std::string>> query);

// Rows of objects as a table with these columns; "-" where a row lacks one.
void PrintTable(const boost::json::array& rows, const std::vector<std::string>& columns);

}  // namespace mignificient::cli
