#include "remoting/client/managed_ranges.h"

#include <gtest/gtest.h>

namespace mignificient::client {
namespace {

constexpr uint64_t kBase = 0x10000, kPage = 0x1000;

Extent Pages(uint64_t first, uint64_t count) {
  return {kBase + first * kPage, count * kPage};
}
void ReadMostly(RangeState& state) {
  state.read_mostly = true;
}

TEST(ManagedRangesTest, AFreshRangeHasNoState) {
  const ManagedRanges ranges;
  const RangeState state = ranges.Common(Pages(0, 4));
  EXPECT_FALSE(state.read_mostly);
  EXPECT_EQ(state.preferred.type, kNowhere);
}

TEST(ManagedRangesTest, AdviceHoldsForTheRangeItWasGivenForAlone) {
  ManagedRanges ranges;
  ranges.Update(Pages(2, 4), ReadMostly);
  EXPECT_TRUE(ranges.Common(Pages(2, 4)).read_mostly);
  EXPECT_TRUE(ranges.Common(Pages(3, 2)).read_mostly);
  EXPECT_FALSE(ranges.Common(Pages(1, 2)).read_mostly);
  EXPECT_FALSE(ranges.Common(Pages(5, 2)).read_mostly);
  EXPECT_FALSE(ranges.Common(Pages(0, 1)).read_mostly);
  EXPECT_FALSE(ranges.Common(Pages(6, 1)).read_mostly);
}

TEST(ManagedRangesTest, PiecesAddUpAndKeepWhatElseTheyWereTold) {
  ManagedRanges ranges;
  ranges.Update(Pages(0, 2), ReadMostly);
  ranges.Update(Pages(4, 2), ReadMostly);
  EXPECT_FALSE(ranges.Common(Pages(0, 6)).read_mostly);
  ranges.Update(Pages(1, 4), [](RangeState& state) { state.preferred = {kOnDevice, 0}; });
  ranges.Update(Pages(2, 2), ReadMostly);
  EXPECT_TRUE(ranges.Common(Pages(0, 6)).read_mostly);
  EXPECT_EQ(ranges.Common(Pages(1, 4)).preferred.type, kOnDevice);
  EXPECT_EQ(ranges.Common(Pages(0, 6)).preferred.type, kNowhere);
}

TEST(ManagedRangesTest, WhatIsForgottenIsFreshAgain) {
  ManagedRanges ranges;
  ranges.Update(Pages(0, 6), ReadMostly);
  ranges.Forget(Pages(2, 2));
  EXPECT_TRUE(ranges.Common(Pages(0, 2)).read_mostly);
  EXPECT_FALSE(ranges.Common(Pages(2, 2)).read_mostly);
  EXPECT_TRUE(ranges.Common(Pages(4, 2)).read_mostly);
}

}  // namespace
}  // namespace mignificient::client
