// The original request: everything in one JSON body.
#include "base/log.h"
#include "http/acting_user.h"
#include "http/invocation_reply.h"
#include "http/invoke_request.h"
#include "http/route_handlers.h"
#include "node/registry.h"

namespace mignificient::http {
namespace {

void LogWarnings(const ParsedInvoke& parsed) {
  for (const std::string& warning : parsed.warnings)
    log::Warning("request_field", {{"call", parsed.request.call_id}, {"warning", warning}});
}

Result<ParsedInvoke> Parse(const Services& services, const RouteRequest& request) {
  MIG_ASSIGN(ParsedInvoke parsed,
             ParseInvoke(request.body, services.config, services.registry.paths(), request.identity.user));
  MIG_TRY(CheckMay(request.identity, parsed.request.user));
  return parsed;
}

}  // namespace

boost::asio::awaitable<Reply> Invoke(const Services& services, RouteRequest& request, node::Caller& caller) {
  auto parsed = Parse(services, request);
  if (!parsed) {
    log::Info("refused", {{"error", parsed.error().message()}});
    co_return ErrorReply(parsed.error());
  }
  request.body = std::string();
  LogWarnings(*parsed);
  parsed->request.accepted = request.accepted;
  co_return co_await InvokeAndReply(services, std::move(parsed->request), caller);
}

}  // namespace mignificient::http
