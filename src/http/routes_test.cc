#include "http/routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mignificient::http {
namespace {

using testing::ElementsAre;
using testing::Pair;

TEST(RoutesTest, APatternTakesOneWholePartForEachName) {
  EXPECT_THAT(*MatchPattern("/v1/calls/{id}/result", "/v1/calls/7/result"), ElementsAre(Pair("id", "7")));
  EXPECT_TRUE(MatchPattern("/invoke", "/invoke"));
  for (const char* path : {"", "/", "/v1/calls", "/v1/calls/", "/v1/calls//result", "/v1/calls/7",
                           "/v1/calls/7/result/", "/v1/calls/7/result/x", "v1/calls/7/result", "/v1/calls/7/8/result"})
    EXPECT_FALSE(MatchPattern("/v1/calls/{id}/result", path)) << path;
  EXPECT_FALSE(MatchPattern("/invoke", "/invoke/"));
}

TEST(RoutesTest, AValueIsDecodedAfterThePathIsDivided) {
  EXPECT_THAT(*MatchPattern("/function/{name}", "/function/a%2Fb+c%20d"), ElementsAre(Pair("name", "a/b+c d")));
}

TEST(RoutesTest, AQueryIsDecodedAndItsFirstValueCounts) {
  RouteRequest request;
  request.target = "/containers?username=x&user=a+b%26c&user=d&empty=";
  EXPECT_EQ(request.Query("user"), "a b&c");
  EXPECT_EQ(request.Query("empty"), "");
  EXPECT_EQ(request.Query("name"), std::nullopt);
  request.target = "/containers";
  EXPECT_EQ(request.Query("user"), std::nullopt);
}

TEST(RoutesTest, ARequestIsOfTheRouteThatWouldAnswerIt) {
  const auto pattern_of = [](std::string_view method, std::string_view target) -> std::string_view {
    const size_t route = FindRoute(method, target);
    return route == AllRoutes().size() ? "none" : AllRoutes()[route].pattern;
  };
  EXPECT_EQ(pattern_of("POST", "/function/a%2Fb?x=/invoke"), "/function/{name}");
  EXPECT_EQ(pattern_of("HEAD", "/metrics"), "/metrics");
  for (const auto& [method, target] : {std::pair("GET", "/invoke"), {"POST", "/nowhere"}, {"", ""}, {"POST", ""}})
    EXPECT_EQ(pattern_of(method, target), "none") << method << target;
}

TEST(RoutesTest, NoTwoLinesOfTheTableTakeTheSameRequest) {
  for (const Route& one : AllRoutes()) {
    for (const Route& other : AllRoutes()) {
      if (&one == &other || one.method != other.method) continue;
      EXPECT_FALSE(MatchPattern(one.pattern, other.pattern)) << one.pattern << " and " << other.pattern;
    }
  }
}

}  // namespace
}  // namespace mignificient::http
