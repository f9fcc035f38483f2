#include "remoting/client/allocations.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace mignificient::client {
namespace {

constexpr Extent kWindow{0, uint64_t{1} << 35};
constexpr auto kNothing = [](uint64_t) -> std::optional<Extent> { return std::nullopt; };

TEST(AllocationsTest, ARangeLiesInOneAllocationOrInNone) {
  Allocations allocations(kWindow);
  allocations.Insert({0x1000, 1000});
  allocations.Insert({0x1400, 1000});
  for (int again = 0; again < 2; ++again) {  // the second time from what the thread remembers
    EXPECT_TRUE(allocations.Contain(0x1000, 1000, kNothing));
    EXPECT_TRUE(allocations.Contain(0x1000 + 999, 1, kNothing));
    EXPECT_TRUE(allocations.Contain(0x1400, 1, kNothing));
    EXPECT_FALSE(allocations.Contain(0x1000, 1001, kNothing));
    EXPECT_FALSE(allocations.Contain(0x1000, 0x800, kNothing));  // into the next one
    EXPECT_FALSE(allocations.Contain(0x1000 + 1000, 1, kNothing));
    EXPECT_FALSE(allocations.Contain(0xfff, 1, kNothing));
    EXPECT_FALSE(allocations.Contain(0x1000, ~uint64_t{0}, kNothing));
  }
}

TEST(AllocationsTest, AFreedAllocationIsForgottenByThreadsThatRememberIt) {
  Allocations allocations(kWindow);
  allocations.Insert({0x1000, 512});
  EXPECT_TRUE(allocations.Contain(0x1000, 512, kNothing));
  std::thread([&] { allocations.Erase(0x1000); }).join();
  EXPECT_FALSE(allocations.Contain(0x1000, 512, kNothing));
  allocations.Insert({0x1000, 256});
  EXPECT_TRUE(allocations.Contain(0x1000, 256, kNothing));
  EXPECT_FALSE(allocations.Contain(0x1000, 512, kNothing));
}

TEST(AllocationsTest, WhatIsFoundElsewhereIsRememberedUntilItChanges) {
  Allocations allocations(kWindow);
  int looked = 0;
  bool mapped = true;
  const auto look = [&](uint64_t) {
    ++looked;
    return mapped ? std::optional(Extent{0x4000, 0x2000}) : std::nullopt;
  };
  EXPECT_TRUE(allocations.Contain(0x5000, 0x1000, look));
  EXPECT_TRUE(allocations.Contain(0x4000, 0x2000, look));
  EXPECT_EQ(looked, 1);
  mapped = false;
  allocations.Changed();
  EXPECT_FALSE(allocations.Contain(0x5000, 0x1000, look));
  EXPECT_EQ(looked, 2);
}

TEST(AllocationsTest, MoreThanAThreadRemembersAreStillKnown) {
  Allocations allocations(kWindow);
  for (uint64_t i = 1; i <= 200; ++i) allocations.Insert({i << 12, 512});
  for (int again = 0; again < 3; ++again)
    for (uint64_t i = 1; i <= 200; ++i) EXPECT_TRUE(allocations.Contain(i << 12, 512, kNothing));
}

TEST(AllocationsTest, WhatIsNamedIsRememberedUntilItIsFreed) {
  Allocations allocations(kWindow);
  allocations.Insert({0x1000, 512});
  for (int again = 0; again < 2; ++again) EXPECT_EQ(allocations.Named(0x1000 + 511), (Extent{0x1000, 512}));
  EXPECT_EQ(allocations.Named(0x1000 + 512), std::nullopt);
  std::thread([&] { allocations.Erase(0x1000); }).join();
  EXPECT_EQ(allocations.Named(0x1000), std::nullopt);
  allocations.Insert({0x1000, 256});
  EXPECT_EQ(allocations.Named(0x1000), (Extent{0x1000, 256}));
}

TEST(AllocationsTest, TwoListsAreNotMistakenForEachOther) {
  Allocations one(kWindow), other(kWindow);
  one.Insert({0x1000, 512});
  EXPECT_TRUE(one.Contain(0x1000, 1, kNothing));
  EXPECT_FALSE(other.Contain(0x1000, 1, kNothing));
}

TEST(AllocationsTest, ThreadsAskWhileOthersAllocateAndFree) {
  Allocations allocations(kWindow);
  allocations.Insert({0x100000, 4096});
  std::atomic<bool> wrong{false};
  std::vector<std::thread> threads;
  for (uint64_t t = 1; t <= 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 2000; ++i) {
        const uint64_t own = t << 32;
        allocations.Insert({own, 512});
        if (!allocations.Contain(0x100000, 4096, kNothing) || !allocations.Contain(own, 512, kNothing)) wrong = true;
        allocations.Erase(own);
        if (allocations.Contain(own, 1, kNothing)) wrong = true;
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_FALSE(wrong);
}

}  // namespace
}  // namespace mignificient::client
