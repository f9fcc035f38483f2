#include "http/call_json.h"

#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>

#include "node/outcome.h"

namespace mignificient::http {
namespace {

using node::CallStatus;

node::StoredCall Call(CallStatus status) {
  node::Answer answer;
  answer.granted = answer.cold = true;
  answer.container = "c-1";
  answer.timing.exec = 2.5;
  if (status != CallStatus::kDone) answer.outcome = node::Outcome::kTimeout;
  node::StoredCall call;
  call.id = "i";
  call.status = status;
  call.accepted = 1767323045678901;
  call.outcome = node::OutcomeJson(answer);
  if (status != CallStatus::kDone) call.error = "Too late.";
  return call;
}

std::string Header(const Reply& reply, std::string_view name) {
  for (const auto& [key, value] : reply.headers)
    if (key == name) return value;
  return {};
}

TEST(CallJsonTest, SaysWhatBecameOfACallAndWhereItsResultIs) {
  const auto done = CallJson(Call(CallStatus::kDone));
  EXPECT_EQ(done.at("status"), "done");
  EXPECT_EQ(done.at("accepted"), "2026-01-02T03:04:05.678Z");
  EXPECT_TRUE(done.at("finished").is_null());
  EXPECT_EQ(done.at("result"), "/v1/calls/i/result");
  EXPECT_EQ(done.at("start-type"), "cold");
  EXPECT_EQ(done.at("timing").at("exec"), 2.5);
  EXPECT_FALSE(done.contains("error"));
  const auto failed = CallJson(Call(CallStatus::kFailed));
  EXPECT_EQ(failed.at("error"), "Too late.");
  EXPECT_EQ(failed.at("type"), "timeout");
  EXPECT_FALSE(failed.contains("result"));
  EXPECT_EQ(CallJson(Call(CallStatus::kLost)).at("type"), "lost");
}

TEST(CallJsonTest, AResultIsWhatACallerThatWaitedWouldHaveGot) {
  node::StoredCall call = Call(CallStatus::kDone);
  call.content_type = "text/plain";
  const Reply done = CallResultReply(call, "bytes", false);
  EXPECT_EQ(done.status, 200u);
  EXPECT_EQ(done.body, "bytes");
  EXPECT_EQ(done.content_type, "text/plain");
  EXPECT_EQ(Header(done, "X-Start-Type"), "cold");
  EXPECT_EQ(Header(done, "Server-Timing"), "exec;dur=2.500");
  const Reply failed = CallResultReply(Call(CallStatus::kFailed), "", false);
  EXPECT_EQ(failed.status, 504u);
  EXPECT_EQ(Header(failed, "X-Function-Error"), "timeout");
}

TEST(CallJsonTest, ACallWithoutAResultSaysWhy) {
  EXPECT_EQ(CallResultReply(Call(CallStatus::kQueued), "", false).status, 202u);
  EXPECT_EQ(CallResultReply(Call(CallStatus::kRunning), "", false).status, 202u);
  EXPECT_EQ(CallResultReply(Call(CallStatus::kCancelled), "", false).status, 410u);
  const Reply lost = CallResultReply(Call(CallStatus::kLost), "", false);
  EXPECT_EQ(lost.status, 502u);
  EXPECT_EQ(Header(lost, "X-Function-Error"), "lost");
}

}  // namespace
}  // namespace mignificient::http
