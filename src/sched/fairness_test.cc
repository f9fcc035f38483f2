#include "sched/fairness.h"

#include <gtest/gtest.h>

#include <vector>

namespace mignificient::sched {
namespace {

// Serves whoever has the smallest tag; both users always have one waiting, each invocation takes as long as given.
std::map<std::string, double> Served(FairOrder& order, const std::map<std::string, double>& cost, int rounds) {
  std::map<std::string, double> tags, microseconds;
  for (const auto& [user, of_one] : cost) tags[user] = order.Tag(user);
  for (int i = 0; i < rounds; ++i) {
    auto next = tags.begin();
    for (auto it = tags.begin(); it != tags.end(); ++it)
      if (it->second < next->second) next = it;
    order.Went(next->second);
    microseconds[next->first] += cost.at(next->first);
    order.Took(next->first, cost.at(next->first));
    next->second = order.Tag(next->first);
  }
  return microseconds;
}

TEST(FairOrderTest, UsersGetTimeInProportionToTheirWeights) {
  FairOrder order({{"alice", 3}});
  const auto served = Served(order, {{"alice", 1000}, {"bob", 1000}}, 4000);
  EXPECT_NEAR(served.at("alice") / served.at("bob"), 3, 0.1);
}

TEST(FairOrderTest, LongInvocationsCountForMore) {
  FairOrder order;
  const auto served = Served(order, {{"alice", 500}, {"bob", 50000}}, 20000);
  EXPECT_NEAR(served.at("alice") / served.at("bob"), 1, 0.05);
}

TEST(FairOrderTest, WhoWasAwayStartsLevelAndNotAhead) {
  FairOrder order;
  Served(order, {{"alice", 1000}}, 1000);
  EXPECT_NEAR(order.Tag("bob"), order.Tag("alice"), 3000);
}

TEST(FairOrderTest, TagsOfOneUserNeverDecrease) {
  FairOrder order;
  double last = order.Tag("alice");
  for (int i = 0; i < 1000; ++i) {
    order.Took("alice", i % 7 * 1e5);
    const double tag = order.Tag("alice");
    ASSERT_GE(tag, last);
    last = tag;
  }
}

TEST(FairOrderTest, NamesWithoutEndAreForgotten) {
  FairOrder order;
  for (int i = 0; i < 100000; ++i) order.Went(order.Tag("user" + std::to_string(i)) + 1e4);
  EXPECT_LE(order.users(), 4096u);
}

}  // namespace
}  // namespace mignificient::sched
