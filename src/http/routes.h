// Which request is answered how. Apart from connections and bytes.
//
// A route is a line of the table in routes.cc and a function in the file of its family (`container_routes.cc`, ...),
// declared in route_handlers.h; openapi.json describes it, and a test compares the two.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "http/identity.h"
#include "http/reply.h"
#include "http/traffic.h"
#include "node/caller.h"
#include "node/config.h"

namespace mignificient::node {
class Calls;
class DeviceWatch;
class MigAuto;
class Node;
class Registry;
}  // namespace mignificient::node

namespace mignificient::http {

// What routes work with. Outlives every request.
struct Services {
  const node::Config& config;
  node::Node& node;
  node::Registry& registry;
  node::Calls& calls;
  node::DeviceWatch& devices;
  Traffic& traffic;                    // has a place for each of AllRoutes()
  const node::MigAuto* mig = nullptr;  // null: mig.auto is off
};

struct RouteRequest {
  std::string method;
  std::string target;  // path and query as sent
  std::string body;
  std::string content_type;
  std::string traceparent;
  std::string timeout;  // the header X-MIGnificient-Timeout
  Identity identity;
  std::chrono::steady_clock::time_point accepted;
  std::vector<std::pair<std::string_view, std::string>> parameters;  // of the pattern, decoded; the router's to fill

  // The value of `{name}` in the route's pattern, which must have it.
  const std::string& Parameter(std::string_view name) const;
  // The first value of `name` in the query, decoded.
  std::optional<std::string> Query(std::string_view name) const;
};

using Handler = boost::asio::awaitable<Reply> (*)(const Services& services, RouteRequest& request,
                                                  node::Caller& caller);

struct Route {
  std::string_view method;
  std::string_view pattern;  // "/v1/functions/{name}": a part in braces takes one part of a path that is not empty
  Handler handler;
};

std::span<const Route> AllRoutes();

// The place in AllRoutes() of what a request asks for; their number where it asks for none of them.
size_t FindRoute(std::string_view method, std::string_view target);

// The decoded values of the braces, where `path` is of this pattern. Exposed for tests.
std::optional<std::vector<std::pair<std::string_view, std::string>>> MatchPattern(std::string_view pattern,
                                                                                  std::string_view path);

// Answers by the table, and counts it. Never throws; `caller` is told of callers that go away meanwhile. Every answer
// has an X-Call-Id.
boost::asio::awaitable<Reply> AnswerRoute(const Services& services, RouteRequest request, node::Caller& caller);

}  // namespace mignificient::http
