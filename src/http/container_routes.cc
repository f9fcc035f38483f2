// Containers: who has which, and their end.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "http/acting_user.h"
#include "http/container_json.h"
#include "http/route_handlers.h"
#include "node/node.h"

namespace mignificient::http {
namespace {

namespace json = boost::json;

// {"user": ..., "container": ...}, as the original has it; the user may be left to the token.
struct Named {
  std::optional<std::string> user;
  std::string container;
};

Result<std::optional<std::string>> TextField(const json::object& body, std::string_view name) {
  const json::value* value = body.if_contains(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string())
    return Fail(Code::kInvalidArgument, "Field [{}]: {} is given; a string is required.", name,
                json::serialize(*value));
  return std::string(value->as_string());
}

Result<Named> ParseNamed(const std::string& body) {
  boost::system::error_code error;
  const json::value root = json::parse(body, error);
  if (error || !root.is_object())
    return Fail(Code::kInvalidArgument,
                "The body is no JSON object; {{\"user\": ..., \"container\": ...}} is allowed.");
  Named named;
  MIG_ASSIGN(named.user, TextField(root.as_object(), "user"));
  MIG_ASSIGN(const auto container, TextField(root.as_object(), "container"));
  if (!container) return Fail(Code::kInvalidArgument, "Field [container]: nothing is given; a string is required.");
  named.container = *container;
  return named;
}

Result<> Kill(const Services& services, const RouteRequest& request) {
  MIG_ASSIGN(const Named named, ParseNamed(request.body));
  MIG_ASSIGN(const std::string user, ActingUser(request.identity, named.user));
  return services.node.Kill(user, named.container);
}

}  // namespace

boost::asio::awaitable<Reply> ListContainers(const Services& services, RouteRequest& request, node::Caller&) {
  const auto user = ListedUser(request.identity, request.Query("user"));
  if (!user) co_return ErrorReply(user.error());
  json::array containers;
  for (const node::ContainerInfo& info : services.node.Containers())
    if (user->empty() || info.user == *user) containers.push_back(ContainerJson(info));
  co_return JsonReply(json::serialize(json::object{{"containers", std::move(containers)}}) + "\n");
}

boost::asio::awaitable<Reply> KillContainer(const Services& services, RouteRequest& request, node::Caller&) {
  const auto killed = Kill(services, request);
  co_return killed ? JsonReply("{\"result\": \"killed\"}\n") : ErrorReply(killed.error());
}

}  // namespace mignificient::http
