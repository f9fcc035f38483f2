#include "http/reply.h"

#include <gtest/gtest.h>

namespace mignificient::http {
namespace {

std::string Header(const Reply& reply, std::string_view name) {
  for (const auto& [key, value] : reply.headers)
    if (key == name) return value;
  return {};
}

TEST(ReplyTest, ErrorsFollowTheTable) {
  const Reply reply = ErrorReply(node::Outcome::kTimeout, "Too \"late\".");
  EXPECT_EQ(reply.status, 504u);
  EXPECT_EQ(Header(reply, "X-Function-Error"), "timeout");
  EXPECT_EQ(reply.body, R"({"result":null,"error":"Too \"late\".","type":"timeout"})");
}

TEST(ReplyTest, CompatibleStatusKeepsTheTypeAndAnswers200) {
  node::Answer answer;
  answer.outcome = node::Outcome::kOutOfMemory;
  EXPECT_EQ(InvokeReply(answer, false).status, 507u);
  EXPECT_EQ(InvokeReply(answer, true).status, 200u);
  EXPECT_EQ(Header(InvokeReply(answer, true), "X-Function-Error"), "gpu_out_of_memory");
}

TEST(ReplyTest, ErrorsKeepTheirTextAndAreValidJson) {
  const std::string body = ErrorReply(node::Outcome::kFunctionError, "größe \xff\n").body;
  EXPECT_NE(body.find("größe ?\\n"), std::string::npos) << body;
}

TEST(ReplyTest, ServerTimingHoldsWhatApplies) {
  node::Timing timing;
  timing.queue = 0.25;
  timing.total = 3;
  EXPECT_EQ(ServerTiming(timing), "queue;dur=0.250, total;dur=3.000");
}

}  // namespace
}  // namespace mignificient::http
