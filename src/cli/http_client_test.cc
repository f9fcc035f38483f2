#include "cli/http_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mignificient::cli {
namespace {

using ::testing::HasSubstr;

TEST(AddressTest, ReadsEveryForm) {
  EXPECT_EQ(Address::Parse("http://node:1234")->Text(), "http://node:1234");
  EXPECT_EQ(Address::Parse("http://node:1234/")->Text(), "http://node:1234");
  EXPECT_EQ(Address::Parse("node")->Text(), "http://node:10000");
  EXPECT_EQ(Address::Parse("https://node:1234")->Text(), "https://node:1234");
  EXPECT_TRUE(Address::Parse("https://node")->tls);
  EXPECT_FALSE(Address::Parse("http://node")->tls);
  EXPECT_EQ(Address::Parse("[::1]:80")->Text(), "http://[::1]:80");
  EXPECT_EQ(Address::Parse("http://[::1]")->Text(), "http://[::1]:10000");
  EXPECT_EQ(Address::Parse("unix:/run/m.sock")->Text(), "unix:/run/m.sock");
}

TEST(AddressTest, RefusesWhatIsNoAddressAndSaysWhy) {
  const auto complaint = [](const char* text) { return Address::Parse(text).error().message(); };
  EXPECT_THAT(complaint(""), HasSubstr("names no host"));
  EXPECT_THAT(complaint("http://node:0"), HasSubstr("no port from 1 to 65535"));
  EXPECT_THAT(complaint("node:port"), HasSubstr("no port"));
  EXPECT_THAT(complaint("https://"), HasSubstr("names no host"));
  EXPECT_THAT(complaint("http://node/invoke"), HasSubstr("has a path"));
  EXPECT_THAT(complaint("unix:"), HasSubstr("names no socket"));
  EXPECT_THAT(complaint("[::1"), HasSubstr("bracket"));
}

TEST(HttpClientTest, NobodyListeningIsUnavailable) {
  HttpClient client(*Address::Parse("unix:/nonexistent/socket"));
  const auto answer = client.Get("/healthz");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), Code::kUnavailable);
  EXPECT_THAT(answer.error().message(), HasSubstr("mignificient serve"));
}

}  // namespace
}  // namespace mignificient::cli
