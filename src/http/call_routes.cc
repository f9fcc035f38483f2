// Asynchronous calls, after they were accepted.
#include <charconv>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "base/seconds.h"
#include "http/acting_user.h"
#include "http/call_json.h"
#include "http/route_handlers.h"
#include "node/calls.h"

namespace mignificient::http {
namespace {

namespace json = boost::json;

constexpr double kLongestWait = 3600;  // seconds that a request may wait for the end of a call
constexpr double kLongestList = 1000;

Result<double> QueryNumber(const RouteRequest& request, std::string_view name, double fallback, double least,
                           double most) {
  const auto text = request.Query(name);
  if (!text) return fallback;
  double number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error == std::errc() && end == text->data() + text->size() && number >= least && number <= most) return number;
  return Fail(Code::kInvalidArgument, "Parameter [{}]: \"{}\" is given; a number from {} to {} is allowed.", name,
              *text, least, most);
}

// A call of somebody else is as unknown as one that never was.
Result<node::StoredCall> Own(const Identity& identity, Result<node::StoredCall> call) {
  if (!call || identity.May(call->user)) return call;
  return Fail(Code::kNotFound, "There is no call [{}], or it is no longer kept.", call->id);
}

// The call that the path names, after `?wait=` seconds at most.
boost::asio::awaitable<Result<node::StoredCall>> Named(const Services& services, const RouteRequest& request) {
  const Result<double> wait = QueryNumber(request, "wait", 0, 0, kLongestWait);
  if (!wait) co_return std::unexpected(wait.error());
  // Whether it may wait is asked first.
  Result<node::StoredCall> call = co_await services.calls.Find(request.Parameter("id"));
  call = Own(request.identity, std::move(call));
  if (!call || *wait == 0 || node::IsOver(call->status)) co_return call;
  co_return co_await services.calls.Find(request.Parameter("id"), FromSeconds(*wait));
}

Result<node::CallFilter> ParseFilter(const RouteRequest& request) {
  node::CallFilter filter;
  MIG_ASSIGN(filter.user, ListedUser(request.identity, request.Query("user")));
  filter.function = request.Query("function").value_or("");
  if (const auto status = request.Query("status")) {
    filter.status = node::CallStatusOf(*status);
    if (!filter.status)
      return Fail(Code::kInvalidArgument,
                  "Parameter [status]: \"{}\" is given; allowed is queued, running, done, failed, cancelled, lost.",
                  *status);
  }
  MIG_ASSIGN(const double limit, QueryNumber(request, "limit", filter.limit, 1, kLongestList));
  filter.limit = static_cast<uint32_t>(limit);
  return filter;
}

Reply CallReply(const Result<node::StoredCall>& call) {
  if (!call) return ErrorReply(call.error());
  Reply reply = JsonReply(json::serialize(CallJson(*call)) + "\n");
  reply.headers.emplace_back("X-Call-Id", call->id);
  return reply;
}

}  // namespace

boost::asio::awaitable<Reply> ListCalls(const Services& services, RouteRequest& request, node::Caller&) {
  auto filter = ParseFilter(request);
  if (!filter) co_return ErrorReply(filter.error());
  const auto calls = co_await services.calls.List(std::move(*filter));
  if (!calls) co_return ErrorReply(calls.error());
  json::array list;
  for (const node::StoredCall& call : *calls) list.push_back(CallJson(call));
  co_return JsonReply(json::serialize(json::object{{"calls", std::move(list)}}) + "\n");
}

boost::asio::awaitable<Reply> GetCall(const Services& services, RouteRequest& request, node::Caller&) {
  const Result<node::StoredCall> call = co_await Named(services, request);
  co_return CallReply(call);
}

boost::asio::awaitable<Reply> GetCallResult(const Services& services, RouteRequest& request, node::Caller&) {
  const Result<node::StoredCall> call = co_await Named(services, request);
  if (!call) co_return ErrorReply(call.error());
  std::string body;
  if (call->status == node::CallStatus::kDone) {
    Result<std::string> result = co_await services.calls.ResultOf(call->id);
    if (!result) co_return ErrorReply(result.error());
    body = std::move(*result);
  }
  Reply reply = CallResultReply(*call, std::move(body), services.config.compatible_status);
  reply.headers.emplace_back("X-Call-Id", call->id);
  if (request.traceparent.empty()) request.traceparent = call->traceparent;
  co_return reply;
}

boost::asio::awaitable<Reply> CancelCall(const Services& services, RouteRequest& request, node::Caller&) {
  Result<node::StoredCall> call = co_await services.calls.Find(request.Parameter("id"));
  call = Own(request.identity, std::move(call));
  if (call && !node::IsOver(call->status)) call = co_await services.calls.Cancel(call->id);
  co_return CallReply(call);
}

}  // namespace mignificient::http
