// Registered functions: their registration, and calls of them by name.
#include <algorithm>
#include <charconv>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "base/log.h"
#include "base/seconds.h"
#include "http/acting_user.h"
#include "http/call_id.h"
#include "http/call_json.h"
#include "http/invocation_reply.h"
#include "http/route_handlers.h"
#include "node/calls.h"
#include "node/fields.h"
#include "node/function_spec.h"
#include "node/registry.h"

namespace mignificient::http {
namespace {

namespace json = boost::json;

std::string Line(const json::object& object) {
  return json::serialize(object) + "\n";
}

// Whose function a PUT registers: named in the query or in the specification.
Result<node::FunctionSpec> ParsePut(const RouteRequest& request) {
  MIG_ASSIGN(const json::object body, node::ParseObject(request.body));
  std::optional<std::string> named = request.Query("user");
  if (!named && node::FindField(body, "user") != nullptr) {
    MIG_ASSIGN(named, node::NameField(body, "user"));
  }
  MIG_ASSIGN(const std::string user, ActingUser(request.identity, named));
  return node::ParseFunctionSpec(user, request.Parameter("name"), body);
}

// Seconds, from the header X-MIGnificient-Timeout.
Result<std::optional<double>> OwnTimeout(const RouteRequest& request) {
  const std::string& text = request.timeout;
  if (text.empty()) return std::nullopt;
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc() && end == text.data() + text.size() && seconds > 0 && seconds <= 1e8) return seconds;
  return Fail(Code::kInvalidArgument,
              "Header [X-MIGnificient-Timeout]: \"{}\" is given; a number of seconds above 0 is allowed.", text);
}

// What both kinds of call have in common.
struct NamedCall {
  std::string user;
  std::optional<double> timeout_s;
};

Result<NamedCall> ParseCall(const Services& services, const RouteRequest& request) {
  NamedCall call;
  MIG_ASSIGN(call.user, ActingUser(request.identity, request.Query("user")));
  MIG_ASSIGN(call.timeout_s, OwnTimeout(request));
  if (request.body.size() > services.config.limits.payload_bytes)
    return Fail(Code::kExhausted, "The payload has {} bytes (limits.payload is {}).", request.body.size(),
                services.config.limits.payload_bytes);
  return call;
}

Result<node::Request> ParseInvocation(const Services& services, RouteRequest& request) {
  MIG_ASSIGN(const NamedCall call, ParseCall(services, request));
  MIG_ASSIGN(node::Request invocation, services.registry.RequestFor(call.user, request.Parameter("name")));
  if (call.timeout_s) invocation.timeout = std::min(invocation.timeout, FromSeconds(*call.timeout_s));
  invocation.call_id = MakeCallId();
  invocation.accepted = request.accepted;
  invocation.payload = std::move(request.body);
  return invocation;
}

Reply Refused(const Error& error) {
  log::Info("refused", {{"error", error.message()}});
  return ErrorReply(error);
}

// Of a call that is not accepted.
Reply NotAccepted(const Error& error) {
  if (error.code() == Code::kExhausted) return ErrorReply(node::Outcome::kQueueFull, error.message());
  if (error.code() == Code::kUnavailable) return ErrorReply(node::Outcome::kNoCapacity, error.message());
  return Refused(error);
}

}  // namespace

boost::asio::awaitable<Reply> PutFunction(const Services& services, RouteRequest& request, node::Caller&) {
  auto spec = ParsePut(request);
  if (!spec) co_return Refused(spec.error());
  const std::string text = Line(node::FunctionJson(*spec));
  const std::string location = "/v1/functions/" + spec->name;
  const Result<bool> is_new = co_await services.registry.Put(std::move(*spec));
  if (!is_new) co_return Refused(is_new.error());
  Reply reply = JsonReply(text);
  reply.status = *is_new ? 201 : 200;
  if (*is_new) reply.headers.emplace_back("Location", location);
  co_return reply;
}

boost::asio::awaitable<Reply> GetFunction(const Services& services, RouteRequest& request, node::Caller&) {
  const auto user = ActingUser(request.identity, request.Query("user"));
  if (!user) co_return ErrorReply(user.error());
  const auto spec = services.registry.Find(*user, request.Parameter("name"));
  if (!spec) co_return ErrorReply(spec.error());
  co_return JsonReply(Line(node::FunctionJson(*spec)));
}

boost::asio::awaitable<Reply> ListFunctions(const Services& services, RouteRequest& request, node::Caller&) {
  const auto user = ListedUser(request.identity, request.Query("user"));
  if (!user) co_return ErrorReply(user.error());
  json::array functions;
  for (const node::FunctionSpec& spec : services.registry.List(*user)) functions.push_back(node::FunctionJson(spec));
  co_return JsonReply(Line({{"functions", std::move(functions)}}));
}

boost::asio::awaitable<Reply> DeleteFunction(const Services& services, RouteRequest& request, node::Caller&) {
  const auto user = ActingUser(request.identity, request.Query("user"));
  if (!user) co_return ErrorReply(user.error());
  const Result<> deleted = co_await services.registry.Delete(*user, request.Parameter("name"));
  if (!deleted) co_return ErrorReply(deleted.error());
  co_return JsonReply("{\"result\": \"deleted\"}\n");
}

boost::asio::awaitable<Reply> CallFunction(const Services& services, RouteRequest& request, node::Caller& caller) {
  auto invocation = ParseInvocation(services, request);
  if (!invocation) co_return Refused(invocation.error());
  const std::string user = invocation->user, name = invocation->function;
  Reply reply = co_await InvokeAndReply(services, std::move(*invocation), caller);
  if (!IsError(reply)) reply.content_type = services.registry.ContentType(user, name);
  co_return reply;
}

boost::asio::awaitable<Reply> CallFunctionLater(const Services& services, RouteRequest& request, node::Caller&) {
  const auto parsed = ParseCall(services, request);
  if (!parsed) co_return Refused(parsed.error());
  node::NewCall call;
  call.id = MakeCallId();
  call.user = parsed->user;
  call.function = request.Parameter("name");
  call.payload = std::move(request.body);
  call.timeout_s = parsed->timeout_s;
  call.traceparent = request.traceparent;
  const Result<node::StoredCall> accepted = co_await services.calls.Accept(std::move(call));
  if (!accepted) co_return NotAccepted(accepted.error());
  Reply reply = JsonReply(Line(CallJson(*accepted)));
  reply.status = 202;
  reply.headers.emplace_back("X-Call-Id", accepted->id);
  reply.headers.emplace_back("Location", "/v1/calls/" + accepted->id);
  co_return reply;
}

}  // namespace mignificient::http
