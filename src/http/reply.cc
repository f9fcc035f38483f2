#include "http/reply.h"

#include <algorithm>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "base/decimal.h"
#include "base/utf8.h"
#include "node/outcome.h"

namespace mignificient::http {
namespace {

namespace json = boost::json;
using node::Outcome;

unsigned StatusOf(Outcome outcome) {
  switch (outcome) {
    case Outcome::kOk:
      return 200;
    case Outcome::kBadRequest:
      return 400;
    case Outcome::kForbidden:
      return 403;
    case Outcome::kNotFound:
      return 404;
    case Outcome::kPayloadTooLarge:
      return 413;
    case Outcome::kQueueFull:
      return 429;
    case Outcome::kFunctionCrashed:
      return 502;
    case Outcome::kNoCapacity:
      return 503;
    case Outcome::kTimeout:
      return 504;
    case Outcome::kOutOfMemory:
      return 507;
    default:
      return 500;
  }
}

}  // namespace

Reply JsonReply(std::string body) {
  Reply reply;
  reply.body = std::move(body);
  return reply;
}

bool IsError(const Reply& reply) {
  return std::ranges::any_of(reply.headers, [](const auto& header) { return header.first == "X-Function-Error"; });
}

Reply ErrorReply(unsigned status, std::string_view type, std::string_view error) {
  Reply reply =
      JsonReply(json::serialize(json::object{{"result", nullptr}, {"error", ValidUtf8(error)}, {"type", type}}));
  reply.status = status;
  reply.headers.emplace_back("X-Function-Error", type);
  return reply;
}

Reply ErrorReply(Outcome outcome, std::string_view error) {
  Reply reply = ErrorReply(StatusOf(outcome), node::OutcomeName(outcome), error);
  if (outcome == Outcome::kQueueFull) reply.headers.emplace_back("Retry-After", "1");
  return reply;
}

Reply ErrorReply(const Error& error) {
  return ErrorReply(node::OutcomeOf(error.code()), error.message());
}

std::string ServerTiming(const node::Timing& timing) {
  std::string text;
  text.reserve(64);
  const auto add = [&](std::string_view name, const std::optional<double>& milliseconds) {
    if (!milliseconds) return;
    text.append(text.empty() ? "" : ", ").append(name).append(";dur=");
    AppendThousandths(text, *milliseconds);
  };
  add("queue", timing.queue);
  add("spawn", timing.spawn);
  add("context", timing.context);
  add("attach", timing.attach);
  add("exec", timing.exec);
  add("gpu-copy", timing.gpu_copy);
  add("gpu-kernel", timing.gpu_kernel);
  add("total", timing.total);
  return text;
}

Reply InvokeReply(node::Answer answer, bool compatible_status) {
  Reply reply;
  if (answer.outcome == Outcome::kOk) {
    reply.content_type = "application/octet-stream";
    reply.body = std::move(answer.body);
  } else {
    reply = ErrorReply(answer.outcome, answer.error);
    for (auto& [name, value] : reply.headers)
      if (name == "Retry-After" && answer.retry_after_s > 0) value = fmt::format("{:.0f}", answer.retry_after_s);
    if (compatible_status && (answer.outcome == Outcome::kTimeout || answer.outcome == Outcome::kOutOfMemory))
      reply.status = 200;
  }
  if (answer.granted) {
    reply.headers.reserve(6);  // and what is added to every answer
    reply.headers.emplace_back("X-Start-Type", answer.cold ? "cold" : "warm");
    reply.headers.emplace_back("X-MIGnificient-Container", std::move(answer.container));
    reply.headers.emplace_back("X-MIGnificient-Partition",
                               std::move(answer.instance_size).append(" ").append(answer.partition));
  }
  reply.headers.emplace_back("Server-Timing", ServerTiming(answer.timing));
  return reply;
}

}  // namespace mignificient::http
