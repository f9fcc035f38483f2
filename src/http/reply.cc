#include "http/reply.h"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "base/utf8.h"

namespace mignificient::http {
namespace {

namespace json = boost::json;
using node::Outcome;

struct Row {
  Outcome outcome;
  unsigned status;
  std::string_view type;
};
constexpr Row kTable[] = {
    {Outcome::kOk, 200, "ok"},
    {Outcome::kBadRequest, 400, "bad_request"},
    {Outcome::kForbidden, 403, "forbidden"},
    {Outcome::kNotFound, 404, "not_found"},
    {Outcome::kPayloadTooLarge, 413, "payload_too_large"},
    {Outcome::kQueueFull, 429, "queue_full"},
    {Outcome::kFunctionError, 500, "function_error"},
    {Outcome::kFunctionCrashed, 502, "function_crashed"},
    {Outcome::kNoCapacity, 503, "no_capacity"},
    {Outcome::kTimeout, 504, "timeout"},
    {Outcome::kOutOfMemory, 507, "gpu_out_of_memory"},
    {Outcome::kInternal, 500, "internal"},
};

const Row& RowOf(Outcome outcome) {
  for (const Row& row : kTable)
    if (row.outcome == outcome) return row;
  return kTable[std::size(kTable) - 1];
}

Outcome OutcomeOf(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
    case Code::kUnsupported:
      return Outcome::kBadRequest;
    case Code::kForbidden:
      return Outcome::kForbidden;
    case Code::kNotFound:
      return Outcome::kNotFound;
    case Code::kExhausted:
      return Outcome::kPayloadTooLarge;
    default:
      return Outcome::kInternal;
  }
}

}  // namespace

Reply JsonReply(std::string body) {
  Reply reply;
  reply.body = std::move(body);
  return reply;
}

Reply ErrorReply(Outcome outcome, std::string_view error) {
  const Row& row = RowOf(outcome);
  Reply reply =
      JsonReply(json::serialize(json::object{{"result", nullptr}, {"error", ValidUtf8(error)}, {"type", row.type}}));
  reply.status = row.status;
  reply.headers.emplace_back("X-Function-Error", row.type);
  if (outcome == Outcome::kQueueFull) reply.headers.emplace_back("Retry-After", "1");
  return reply;
}

Reply ErrorReply(const Error& error) {
  return ErrorReply(OutcomeOf(error.code()), error.message());
}

std::string ServerTiming(const node::Timing& timing) {
  std::string text;
  const auto add = [&](std::string_view name, const std::optional<double>& milliseconds) {
    if (milliseconds) text += fmt::format("{}{};dur={:.3f}", text.empty() ? "" : ", ", name, *milliseconds);
  };
  add("queue", timing.queue);
  add("spawn", timing.spawn);
  add("context", timing.context);
  add("attach", timing.attach);
  add("exec", timing.exec);
  add("total", timing.total);
  return text;
}

Reply InvokeReply(const node::Answer& answer, bool compatible_status) {
  Reply reply;
  if (answer.outcome == Outcome::kOk) {
    reply.content_type = "application/octet-stream";
    reply.body = answer.body;
  } else {
    reply = ErrorReply(answer.outcome, answer.error);
    if (compatible_status && (answer.outcome == Outcome::kTimeout || answer.outcome == Outcome::kOutOfMemory))
      reply.status = 200;
  }
  if (answer.granted) {
    reply.headers.emplace_back("X-Start-Type", answer.cold ? "cold" : "warm");
    reply.headers.emplace_back("X-MIGnificient-Container", answer.container);
    reply.headers.emplace_back("X-MIGnificient-Partition",
                               fmt::format("{} {}", answer.instance_size, answer.partition));
  }
  reply.headers.emplace_back("Server-Timing", ServerTiming(answer.timing));
  return reply;
}

}  // namespace mignificient::http
