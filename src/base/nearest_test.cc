#include "base/nearest.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace mignificient {
namespace {

const std::vector<std::string> kCommands = {"serve", "invoke", "bench", "devices", "run", "ps", "kill"};

TEST(NearestTest, FindsATypingError) {
  EXPECT_EQ(NearestName("invok", kCommands), "invoke");
  EXPECT_EQ(NearestName("sevre", kCommands), "serve");
  EXPECT_EQ(NearestName("device", kCommands), "devices");
}

TEST(NearestTest, CountsSwappedNeighboursAsOneEdit) {
  EXPECT_EQ(NearestName("sp", kCommands), "ps");
}

TEST(NearestTest, StaysSilentWhenNothingIsClose) {
  EXPECT_EQ(NearestName("frobnicate", kCommands), "");
  EXPECT_EQ(Suggestion("frobnicate", kCommands), "");
}

TEST(NearestTest, SuggestsInASentence) {
  EXPECT_EQ(Suggestion("bnech", kCommands), " Did you mean `bench`?");
}

}  // namespace
}  // namespace mignificient
