#include "cli/load_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace mignificient::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Splits a serialised request at the end of its header.
std::pair<std::string, std::string> Parts(const LoadRequest& request, std::string_view uuid, std::string_view user) {
  std::string text = "what the buffer held before";
  request.WriteHead(text, uuid, user);
  text += request.tail();
  const size_t end = text.find("\r\n\r\n");
  return {text.substr(0, end + 2), text.substr(end + 4)};
}

TEST(LoadRequestTest, InvokeNamesEachCallAndItsUser) {
  const LoadRequest request =
      LoadRequest::Invoke(*Address::Parse("node:81"), "", {{"function", "f"}, {"uuid", "old"}, {"user", "old"}});
  EXPECT_EQ(request.function(), "f");
  const auto [header, body] = Parts(request, "invoc-1-0", "a \"b\"");
  EXPECT_EQ(boost::json::parse(body),
            (boost::json::value{{"uuid", "invoc-1-0"}, {"user", "a \"b\""}, {"function", "f"}}));
  EXPECT_THAT(header, ::testing::StartsWith("POST /invoke HTTP/1.1\r\nHost: node:81\r\n"));
  EXPECT_THAT(header, HasSubstr(fmt::format("Content-Length: {}\r\n", body.size())));
  EXPECT_THAT(header, Not(HasSubstr("Authorization")));
}

TEST(LoadRequestTest, RegisteredFunctionGetsTheBytesAsTheyAre) {
  const LoadRequest request =
      LoadRequest::Registered(*Address::Parse("unix:/s"), "secret", "a/b", std::string("\0\xff", 2));
  const auto [header, body] = Parts(request, "invoc-1-0", "");
  EXPECT_EQ(body, std::string("\0\xff", 2));
  EXPECT_THAT(header, ::testing::StartsWith("POST /function/a%2Fb HTTP/1.1\r\nHost: localhost\r\n"));
  EXPECT_THAT(header, HasSubstr("Authorization: Bearer secret\r\n"));
  EXPECT_THAT(header, HasSubstr("Content-Length: 2\r\n"));
}

TEST(LoadRequestTest, AnEmptyInputIsStillAnObject) {
  const auto [header, body] = Parts(LoadRequest::Invoke(*Address::Parse("[::1]:81"), "", {}), "u", "v");
  EXPECT_EQ(boost::json::parse(body), (boost::json::value{{"uuid", "u"}, {"user", "v"}}));
  EXPECT_THAT(header, HasSubstr("Host: [::1]:81\r\n"));
}

}  // namespace
}  // namespace mignificient::cli
