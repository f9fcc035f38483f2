#include "http/call_json.h"

#include <ctime>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/utf8.h"
#include "node/outcome.h"

namespace mignificient::http {
namespace {

namespace json = boost::json;
using node::CallStatus;

// "2026-01-02T03:04:05.678Z"
json::value Timestamp(const std::optional<node::WallTime>& time) {
  if (!time) return nullptr;
  const std::time_t seconds = *time / 1000000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return json::string(fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                                  utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, *time / 1000 % 1000));
}

// The machine word of a call that is over and not done.
std::string TypeOf(const node::StoredCall& call) {
  if (call.status == CallStatus::kCancelled || call.status == CallStatus::kLost)
    return std::string(CallStatusName(call.status));
  return std::string(node::OutcomeName(node::ParseOutcome(call.outcome).outcome));
}

}  // namespace

json::object CallJson(const node::StoredCall& call) {
  json::object object{{"id", call.id},
                      {"user", call.user},
                      {"function", call.function},
                      {"status", CallStatusName(call.status)},
                      {"accepted", Timestamp(call.accepted)},
                      {"started", Timestamp(call.started)},
                      {"finished", Timestamp(call.finished)},
                      {"payload-bytes", call.payload_bytes}};
  if (!node::IsOver(call.status)) return object;
  if (call.status == CallStatus::kDone) {
    object["result"] = fmt::format("/v1/calls/{}/result", call.id);
    object["result-bytes"] = call.result_bytes;
    object["content-type"] = call.content_type;
  } else {
    object["error"] = ValidUtf8(call.error);
    object["type"] = TypeOf(call);
  }
  boost::system::error_code error;
  const json::value outcome = json::parse(call.outcome, error);
  if (error || !outcome.is_object()) return object;
  for (const auto& [key, value] : outcome.as_object())
    if (key != "type") object[key] = value;
  return object;
}

Reply CallResultReply(const node::StoredCall& call, std::string body, bool compatible_status) {
  if (!node::IsOver(call.status)) {
    Reply reply = JsonReply(json::serialize(CallJson(call)) + "\n");
    reply.status = 202;
    reply.headers.emplace_back("Retry-After", "1");
    return reply;
  }
  if (call.status == CallStatus::kCancelled) return ErrorReply(410, "cancelled", call.error);
  if (call.status == CallStatus::kLost) return ErrorReply(502, "lost", call.error);
  node::Answer answer = node::ParseOutcome(call.outcome);
  answer.body = std::move(body);
  answer.error = call.error;
  if (call.status == CallStatus::kFailed && answer.outcome == node::Outcome::kOk)
    answer.outcome = node::Outcome::kInternal;  // it ran, and its result could not be kept
  Reply reply = InvokeReply(answer, compatible_status);
  if (call.status == CallStatus::kDone && !call.content_type.empty()) reply.content_type = call.content_type;
  return reply;
}

}  // namespace mignificient::http
