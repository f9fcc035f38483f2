#include "http/routes.h"

#include <map>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/log.h"
#include "http/invoke_request.h"

namespace mignificient::http {
namespace {

namespace json = boost::json;

struct Route {
  std::string_view path, method;
};
constexpr Route kRoutes[] = {
    {"/invoke", "POST"}, {"/containers", "GET"},          {"/v1/containers", "GET"},
    {"/kill", "POST"},   {"/v1/containers/kill", "POST"}, {"/healthz", "GET"},
    {"/readyz", "GET"},  {"/v1/devices", "GET"},
};

const Route* FindRoute(std::string_view path) {
  for (const Route& route : kRoutes)
    if (route.path == path) return &route;
  return nullptr;
}

void LogInvocation(const node::Request& request, const Reply& reply, const node::Answer& answer) {
  log::Info("invocation", {{"call", request.call_id},
                           {"user", request.user},
                           {"function", request.function},
                           {"status", reply.status},
                           {"container", answer.container.empty() ? "-" : answer.container},
                           {"total_ms", fmt::format("{:.3f}", answer.timing.total.value_or(0))}});
}

void LogWarnings(const ParsedInvoke& parsed) {
  for (const std::string& warning : parsed.warnings)
    log::Warning("request_field", {{"call", parsed.request.call_id}, {"warning", warning}});
}

std::string Decoded(std::string_view text) {
  std::string decoded;
  const auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0) {
      decoded += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      decoded += text[i] == '+' ? ' ' : text[i];
    }
  }
  return decoded;
}

std::optional<std::string> QueryValue(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (pair.starts_with(name) && pair.size() > name.size() && pair[name.size()] == '=')
      return Decoded(pair.substr(name.size() + 1));
  }
  return std::nullopt;
}

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

}  // namespace

boost::asio::awaitable<Reply> Routes::Answer(RouteRequest request, node::Node::Caller& caller) {
  const std::string_view target = request.target;
  const size_t mark = target.find('?');
  const std::string_view path = target.substr(0, mark);
  const std::string_view query = mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
  const Route* route = FindRoute(path);
  Reply reply;
  if (route == nullptr) {
    reply = ErrorReply(node::Outcome::kNotFound, fmt::format("There is no path [{}].", path));
  } else if (request.method != route->method && !(request.method == "HEAD" && route->method == "GET")) {
    reply = ErrorReply(node::Outcome::kBadRequest,
                       fmt::format("Path [{}] allows {}, not {}.", path, route->method, request.method));
    reply.status = 405;
    reply.headers.emplace_back("Allow", route->method);
  } else if (path == "/invoke") {
    reply = co_await Invoke(request, caller);
  } else {
    reply = Immediate(request, path, query);
  }
  bool has_call_id = false;
  for (const auto& header : reply.headers) has_call_id |= header.first == "X-Call-Id";
  if (!has_call_id) reply.headers.emplace_back("X-Call-Id", MakeCallId());
  if (!request.traceparent.empty()) reply.headers.emplace_back("traceparent", request.traceparent);
  co_return reply;
}

boost::asio::awaitable<Reply> Routes::Invoke(RouteRequest& request, node::Node::Caller& caller) {
  auto parsed = ParseInvoke(request.body, config_);
  if (!parsed) {
    log::Info("refused", {{"error", parsed.error().message()}});
    co_return ErrorReply(parsed.error());
  }
  request.body = std::string();
  LogWarnings(*parsed);
  parsed->request.accepted = request.accepted;
  node::Request label;  // for the log, without the payload
  label.call_id = parsed->request.call_id;
  label.user = parsed->request.user;
  label.function = parsed->request.function;
  const node::Answer answer = co_await node_.Invoke(std::move(parsed->request), caller);
  Reply reply = InvokeReply(answer, config_.compatible_status);
  reply.headers.emplace_back("X-Call-Id", label.call_id);
  LogInvocation(label, reply, answer);
  co_return reply;
}

Reply Routes::Immediate(const RouteRequest& request, std::string_view path, std::string_view query) {
  if (path == "/healthz") return JsonReply("{\"status\": \"ok\"}\n");
  if (path == "/readyz")
    return node_.stopping() ? ErrorReply(node::Outcome::kNoCapacity, "The node is stopping.")
                            : JsonReply("{\"status\": \"ready\"}\n");
  if (path == "/v1/devices") return JsonReply(device::InventoryJson(node_.inventory()));
  if (path == "/kill" || path == "/v1/containers/kill") return Kill(request.body);
  return Containers(query);
}

Reply Routes::Containers(std::string_view query) {
  const auto user = QueryValue(query, "user");
  json::array containers;
  for (const node::ContainerInfo& info : node_.Containers())
    if (!user || info.user == *user) containers.push_back(ToJson(info));
  return JsonReply(json::serialize(json::object{{"containers", std::move(containers)}}) + "\n");
}

Reply Routes::Kill(const std::string& body) {
  boost::system::error_code error;
  const json::value root = json::parse(body, error);
  if (error || !root.is_object())
    return ErrorReply(node::Outcome::kBadRequest,
                      "The body is no JSON object; {\"user\": ..., \"container\": ...} is allowed.");
  std::string values[2];
  const std::string_view names[2] = {"user", "container"};
  for (int i = 0; i < 2; ++i) {
    const json::value* value = root.as_object().if_contains(names[i]);
    if (value == nullptr || !value->is_string())
      return ErrorReply(node::Outcome::kBadRequest,
                        fmt::format("Field [{}]: {} is given; a string is required.", names[i],
                                    value == nullptr ? "nothing" : json::serialize(*value)));
    values[i] = std::string(value->as_string());
  }
  if (const auto killed = node_.Kill(values[0], values[1]); !killed) return ErrorReply(killed.error());
  return JsonReply("{\"result\": \"killed\"}\n");
}

}  // namespace mignificient::http
