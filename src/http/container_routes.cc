// Containers: who has which, and their end.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "http/acting_user.h"
#include "http/route_handlers.h"

namespace mignificient::http {
namespace {

namespace json = boost::json;

json::object ToJson(const node::ContainerInfo& info) {
  return {{"id", info.id},
          {"user", info.user},
          {"function", info.function},
          {"status", info.status},
          {"partition", info.partition},
          {"instance", info.instance_size},
          {"gpu-memory", info.gpu_memory_mib},
          {"invocations", info.invocations},
          {"executor-pid", info.executor_pid},
          {"gpu-server-pid", info.gpu_server_pid},
          {"log", info.log}};
}

// {"user": ..., "container": ...}, as the original has it.
struct Named {
  std::string user, container;
};

Result<Named> ParseNamed(const std::string& body) {
  boost::system::error_code error;
  const json::value root = json::parse(body, error);
  if (error || !root.is_object())
    return Fail(Code::kInvalidArgument,
                "The body is no JSON object; {{\"user\": ..., \"container\": ...}} is allowed.");
  Named named;
  for (auto& [name, place] : {std::pair("user", &named.user), std::pair("container", &named.container)}) {
    const json::value* value = root.as_object().if_contains(name);
    if (value == nullptr || !value->is_string())
      return Fail(Code::kInvalidArgument, "Field [{}]: {} is given; a string is required.", name,
                  value == nullptr ? "nothing" : json::serialize(*value));
    *place = std::string(value->as_string());
  }
  return named;
}

Result<> Kill(const Services& services, const RouteRequest& request) {
  MIG_ASSIGN(const Named named, ParseNamed(request.body));
  MIG_TRY(CheckMay(request.identity, named.user));
  return services.node.Kill(named.user, named.container);
}

}  // namespace

boost::asio::awaitable<Reply> ListContainers(const Services& services, RouteRequest& request, node::Node::Caller&) {
  const auto user = ListedUser(request.identity, request.Query("user"));
  if (!user) co_return ErrorReply(user.error());
  json::array containers;
  for (const node::ContainerInfo& info : services.node.Containers())
    if (user->empty() || info.user == *user) containers.push_back(ToJson(info));
  co_return JsonReply(json::serialize(json::object{{"containers", std::move(containers)}}) + "\n");
}

boost::asio::awaitable<Reply> KillContainer(const Services& services, RouteRequest& request, node::Node::Caller&) {
  const auto killed = Kill(services, request);
  co_return killed ? JsonReply("{\"result\": \"killed\"}\n") : ErrorReply(killed.error());
}

}  // namespace mignificient::http
