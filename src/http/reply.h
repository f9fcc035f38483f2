// What goes back to a caller, apart from how it is sent: status, headers, body (CONTRACT 1).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "base/result.h"
#include "node/request.h"

namespace mignificient::http {

struct Reply {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string_view, std::string>> headers;  // names are constants
  // Where there is one, what it answers is the body, sent as it comes, until nullopt. Empty texts in between let the
  // connection look whether the caller is still there.
  std::function<boost::asio::awaitable<std::optional<std::string>>()> more = {};
};

Reply JsonReply(std::string body);

// Has it an X-Function-Error? Its status does not tell where it is compatible with the original.
bool IsError(const Reply& reply);

// The error table.
Reply ErrorReply(node::Outcome outcome, std::string_view error);
Reply ErrorReply(const Error& error);
// One that is not in it.
Reply ErrorReply(unsigned status, std::string_view type, std::string_view error);

// `compatible_status`: timeout and GPU out-of-memory answer 200.
Reply InvokeReply(node::Answer answer, bool compatible_status);

// "queue;dur=0.1, exec;dur=2.5, total;dur=3"
std::string ServerTiming(const node::Timing& timing);

}  // namespace mignificient::http
