#include "http/acting_user.h"

#include <gtest/gtest.h>

namespace mignificient::http {
namespace {

const Identity kLoopback;
const Identity kAlice{"alice", false};
const Identity kRoot{"root", true};

TEST(ActingUserTest, AUserActsForItselfAlone) {
  EXPECT_EQ(*ActingUser(kAlice, {}), "alice");
  EXPECT_EQ(*ActingUser(kAlice, "alice"), "alice");
  const auto refused = ActingUser(kAlice, "bob");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kForbidden);
  EXPECT_EQ(refused.error().message(), "User [alice] may not act for user [bob].");
}

TEST(ActingUserTest, AnAdministratorActsForAnyUser) {
  EXPECT_EQ(*ActingUser(kRoot, {}), "root");
  EXPECT_EQ(*ActingUser(kRoot, "bob"), "bob");
  EXPECT_EQ(*ActingUser(kLoopback, {}), "default");
  EXPECT_EQ(*ActingUser(kLoopback, "bob"), "bob");
}

TEST(ActingUserTest, AUserHasAName) {
  EXPECT_EQ(ActingUser(kLoopback, "").error().code(), Code::kInvalidArgument);
  EXPECT_EQ(ActingUser(kLoopback, "a\nb").error().code(), Code::kInvalidArgument);
}

TEST(ActingUserTest, OnlyAnAdministratorSeesEverybodysThings) {
  EXPECT_EQ(*ListedUser(kRoot, {}), "");
  EXPECT_EQ(*ListedUser(kRoot, "bob"), "bob");
  EXPECT_EQ(*ListedUser(kAlice, {}), "alice");
  EXPECT_EQ(ListedUser(kAlice, "bob").error().code(), Code::kForbidden);
}

}  // namespace
}  // namespace mignificient::http
