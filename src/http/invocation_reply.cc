#include "http/invocation_reply.h"

#include "base/decimal.h"
#include "base/log.h"
#include "node/node.h"
#include "node/registry.h"

namespace mignificient::http {

boost::asio::awaitable<Reply> InvokeAndReply(const Services& services, node::Request request, node::Caller& caller) {
  const std::string call = request.call_id, user = request.user, function = request.function;
  node::Answer answer = co_await services.node.Invoke(std::move(request), caller);
  if (!answer.container.empty()) services.registry.Settle(answer.container);
  const std::string container = answer.container.empty() ? "-" : answer.container;
  std::string total_ms;
  AppendThousandths(total_ms, answer.timing.total.value_or(0));
  Reply reply = InvokeReply(std::move(answer), services.config.compatible_status);
  reply.headers.emplace_back("X-Call-Id", call);
  log::Info("invocation", {{"call", call},
                           {"user", user},
                           {"function", function},
                           {"status", reply.status},
                           {"container", container},
                           {"total_ms", total_ms}});
  co_return reply;
}

}  // namespace mignificient::http
