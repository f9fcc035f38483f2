#include "http/response_head.h"

#include <gtest/gtest.h>

namespace mignificient::http {
namespace {

Reply Example() {
  Reply reply;
  reply.body = "abc";
  reply.content_type = "text/plain";
  reply.headers.emplace_back("X-Call-Id", "7");
  return reply;
}

TEST(ResponseHeadTest, HasStatusFieldsAndLength) {
  EXPECT_EQ(ResponseHead(Example(), 11, true),
            "HTTP/1.1 200 OK\r\nServer: mignificient\r\nContent-Type: text/plain\r\nX-Call-Id: 7\r\n"
            "Content-Length: 3\r\n\r\n");
}

TEST(ResponseHeadTest, SaysWhatTheVersionDoesNotImply) {
  EXPECT_NE(ResponseHead(Example(), 11, false).find("\r\nConnection: close\r\n"), std::string::npos);
  EXPECT_NE(ResponseHead(Example(), 10, true).find("\r\nConnection: keep-alive\r\n"), std::string::npos);
  EXPECT_EQ(ResponseHead(Example(), 10, false).find("Connection"), std::string::npos);
  EXPECT_TRUE(ResponseHead(Example(), 10, false).starts_with("HTTP/1.0 200 OK\r\n"));
}

TEST(ResponseHeadTest, GivesErrorsTheirReasons) {
  Reply reply = Example();
  reply.status = 507;
  EXPECT_TRUE(ResponseHead(reply, 11, true).starts_with("HTTP/1.1 507 Insufficient Storage\r\n"));
}

}  // namespace
}  // namespace mignificient::http
