#include "http/traffic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mignificient::http {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

TEST(TrafficTest, AnswersAreCountedByRouteAndStatus) {
  Traffic traffic(2);
  traffic.Answered(0, 200);
  traffic.Answered(0, 429);
  traffic.Answered(0, 200);
  traffic.Answered(traffic.no_route(), 404);
  EXPECT_THAT(traffic.Answers(0), ElementsAre(Pair(200, 2), Pair(429, 1)));
  EXPECT_THAT(traffic.Answers(1), IsEmpty());
  EXPECT_THAT(traffic.Answers(traffic.no_route()), ElementsAre(Pair(404, 1)));
}

}  // namespace
}  // namespace mignificient::http
