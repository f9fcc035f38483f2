// Which request is answered how. Apart from connections and bytes.
#pragma once

#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

#include "http/identity.h"
#include "http/reply.h"
#include "node/config.h"
#include "node/node.h"

namespace mignificient::http {

struct RouteRequest {
  std::string method;
  std::string target;  // path and query as sent
  std::string body;
  std::string content_type;
  std::string traceparent;
  Identity identity;
  std::chrono::steady_clock::time_point accepted;
};

class Routes {
 public:
  Routes(const node::Config& config, node::Node& node) : config_(config), node_(node) {}

  // Never throws; `caller` is told of callers that go away meanwhile.
  boost::asio::awaitable<Reply> Answer(RouteRequest request, node::Node::Caller& caller);

 private:
  boost::asio::awaitable<Reply> Invoke(RouteRequest& request, node::Node::Caller& caller);
  Reply Immediate(const RouteRequest& request, std::string_view path, std::string_view query);
  Reply Containers(std::string_view query);
  Reply Kill(const std::string& body);

  const node::Config& config_;
  node::Node& node_;
};

}  // namespace mignificient::http
