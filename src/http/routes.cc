#include "http/routes.h"

#include <algorithm>
#include <iterator>

#include "http/call_id.h"
#include "http/route_handlers.h"

namespace mignificient::http {
namespace {

constexpr Route kRoutes[] = {
    {"POST", "/invoke", Invoke},
    {"POST", "/function/{name}", CallFunction},
    {"POST", "/async-function/{name}", CallFunctionLater},
    {"GET", "/v1/functions", ListFunctions},
    {"PUT", "/v1/functions/{name}", PutFunction},
    {"GET", "/v1/functions/{name}", GetFunction},
    {"DELETE", "/v1/functions/{name}", DeleteFunction},
    {"GET", "/v1/calls", ListCalls},
    {"GET", "/v1/calls/{id}", GetCall},
    {"DELETE", "/v1/calls/{id}", CancelCall},
    {"GET", "/v1/calls/{id}/result", GetCallResult},
    {"GET", "/containers", ListContainers},
    {"GET", "/v1/containers", ListContainers},
    {"GET", "/v1/containers/{container}/logs", ContainerLogs},
    {"POST", "/kill", KillContainer},
    {"POST", "/v1/containers/kill", KillContainer},
    {"GET", "/healthz", Health},
    {"GET", "/readyz", Ready},
    {"GET", "/v1/devices", Devices},
    {"POST", "/v1/devices/rescan", Rescan},
    {"GET", "/openapi.json", OpenApi},
    {"GET", "/v1/status", ShowStatus},
    {"GET", "/metrics", ShowMetrics},
};

enum class Part { kPath, kQuery };  // '+' is a space in a query only

std::string Decoded(std::string_view text, Part part) {
  std::string decoded;
  const auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0) {
      decoded += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      decoded += text[i] == '+' && part == Part::kQuery ? ' ' : text[i];
    }
  }
  return decoded;
}

// Takes the next part off the front: "/v1/calls" leaves "/calls" and gives "v1".
std::string_view NextPart(std::string_view& path) {
  path.remove_prefix(1);
  const std::string_view part = path.substr(0, path.find('/'));
  path.remove_prefix(part.size());
  return part;
}

std::string_view PathOf(std::string_view target) {
  return target.substr(0, target.find('?'));
}

bool Takes(const Route& route, std::string_view method) {
  return route.method == method || (method == "HEAD" && route.method == "GET");
}

Reply MethodNotAllowed(std::string_view path, std::string_view method, const std::vector<std::string_view>& allowed) {
  const std::string list = fmt::format("{}", fmt::join(allowed, ", "));
  Reply reply = ErrorReply(node::Outcome::kBadRequest, fmt::format("Path [{}] allows {}, not {}.", path, list, method));
  reply.status = 405;
  reply.headers.emplace_back("Allow", list);
  return reply;
}

// The route of a request, with the values of its braces; or the answer where there is none.
struct Choice {
  const Route* route = nullptr;
  Reply otherwise;
};

Choice Choose(RouteRequest& request) {
  const std::string_view path = PathOf(request.target);
  std::vector<std::string_view> methods;
  for (const Route& route : kRoutes) {
    auto values = MatchPattern(route.pattern, path);
    if (!values) continue;
    if (Takes(route, request.method)) {
      request.parameters = std::move(*values);
      return {&route, {}};
    }
    methods.push_back(route.method);
  }
  if (methods.empty())
    return {nullptr, ErrorReply(node::Outcome::kNotFound, fmt::format("There is no path [{}].", path))};
  return {nullptr, MethodNotAllowed(path, request.method, methods)};
}

}  // namespace

std::span<const Route> AllRoutes() {
  return kRoutes;
}

size_t FindRoute(std::string_view method, std::string_view target) {
  const auto found = std::ranges::find_if(
      kRoutes, [&](const Route& route) { return Takes(route, method) && MatchPattern(route.pattern, PathOf(target)); });
  return static_cast<size_t>(found - std::begin(kRoutes));
}

std::optional<std::vector<std::pair<std::string_view, std::string>>> MatchPattern(std::string_view pattern,
                                                                                  std::string_view path) {
  std::vector<std::pair<std::string_view, std::string>> values;
  while (!pattern.empty() && !path.empty() && path.front() == '/') {
    const std::string_view wanted = NextPart(pattern), given = NextPart(path);
    if (!wanted.starts_with('{')) {
      if (wanted != given) return std::nullopt;
    } else {
      if (given.empty()) return std::nullopt;
      values.emplace_back(wanted.substr(1, wanted.size() - 2), Decoded(given, Part::kPath));
    }
  }
  if (!pattern.empty() || !path.empty()) return std::nullopt;
  return values;
}

const std::string& RouteRequest::Parameter(std::string_view name) const {
  return std::ranges::find(parameters, name, [](const auto& entry) { return entry.first; })->second;
}

std::optional<std::string> RouteRequest::Query(std::string_view name) const {
  std::string_view query = target;
  query.remove_prefix(std::min(query.size(), PathOf(target).size() + 1));
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (pair.starts_with(name) && pair.size() > name.size() && pair[name.size()] == '=')
      return Decoded(pair.substr(name.size() + 1), Part::kQuery);
  }
  return std::nullopt;
}

boost::asio::awaitable<Reply> AnswerRoute(const Services& services, RouteRequest request, node::Caller& caller) {
  Choice choice = Choose(request);
  Reply reply;  // no conditional operator around co_await: g++ 12 destroys its operand twice
  if (choice.route == nullptr)
    reply = std::move(choice.otherwise);
  else
    reply = co_await choice.route->handler(services, request, caller);
  services.traffic.Answered(
      choice.route == nullptr ? std::size(kRoutes) : static_cast<size_t>(choice.route - std::begin(kRoutes)),
      reply.status);
  const bool has_call_id =
      std::ranges::any_of(reply.headers, [](const auto& header) { return header.first == "X-Call-Id"; });
  if (!has_call_id) reply.headers.emplace_back("X-Call-Id", MakeCallId());
  if (!request.traceparent.empty()) reply.headers.emplace_back("traceparent", request.traceparent);
  co_return reply;
}

}  // namespace mignificient::http
