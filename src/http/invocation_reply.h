// One invocation, from a request that is checked to the reply; for every route that runs a function while its caller
// waits.
#pragma once

#include "http/routes.h"

namespace mignificient::http {

// Writes the log line `invocation`.
boost::asio::awaitable<Reply> InvokeAndReply(const Services& services, node::Request request, node::Caller& caller);

}  // namespace mignificient::http
