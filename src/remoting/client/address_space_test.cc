#include "remoting/client/address_space.h"

#include <gtest/gtest.h>

#include <random>

namespace mignificient::client {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kBase = uint64_t{1} << 44;

AddressSpace Space(uint64_t budget = 64 * kMiB) {
  return {{kBase, 1024 * kMiB}, 2 * kMiB, budget};
}

TEST(AddressSpaceTest, SmallAllocationsShareOneSlab) {
  AddressSpace space = Space();
  const auto first = space.Allocate(100), second = space.Allocate(100);
  EXPECT_TRUE(first.map.has_value());
  EXPECT_FALSE(second.map.has_value());
  EXPECT_EQ(second.address - first.address, 512u);
  EXPECT_EQ(space.mapped_bytes(), 2 * kMiB);
}

TEST(AddressSpaceTest, LargeAllocationsAreWholeGranules) {
  AddressSpace space = Space();
  const auto plan = space.Allocate(3 * kMiB);
  EXPECT_EQ(plan.map, (Extent{kBase, 4 * kMiB}));
}

TEST(AddressSpaceTest, ReusedMemoryAsksForAFenceOnce) {
  AddressSpace space = Space();
  const auto a = space.Allocate(4 * kMiB), b = space.Allocate(4 * kMiB);
  space.Free(a.address);
  space.Free(b.address);
  const auto c = space.Allocate(4 * kMiB), d = space.Allocate(4 * kMiB);
  EXPECT_TRUE(c.fence);
  EXPECT_FALSE(d.fence);
  EXPECT_FALSE(c.map.has_value());
}

TEST(AddressSpaceTest, FreshMemoryNeedsNoFence) {
  AddressSpace space = Space();
  space.Free(space.Allocate(4 * kMiB).address);
  EXPECT_FALSE(space.Allocate(6 * kMiB).fence);
}

TEST(AddressSpaceTest, BudgetPressureUnmapsWhatIsUnused) {
  AddressSpace space = Space(8 * kMiB);
  const auto a = space.Allocate(6 * kMiB);
  space.Free(a.address);
  const auto b = space.Allocate(8 * kMiB);
  ASSERT_TRUE(b);
  EXPECT_EQ(b.unmap, (std::vector<Extent>{{a.address, 6 * kMiB}}));
  EXPECT_FALSE(space.Allocate(1));
}

TEST(AddressSpaceTest, EmptySlabsAreUnmappedUnderPressureAndUsedOnesAreNot) {
  AddressSpace space = Space(4 * kMiB);
  const auto small = space.Allocate(1000);
  EXPECT_FALSE(space.Allocate(4 * kMiB));
  space.Free(small.address);
  EXPECT_TRUE(space.Allocate(4 * kMiB));
}

TEST(AddressSpaceTest, ZeroAndAbsurdSizesAreRefused) {
  AddressSpace space = Space();
  EXPECT_FALSE(space.Allocate(0));
  EXPECT_FALSE(space.Allocate(~uint64_t{0}));
  EXPECT_FALSE(space.Free(kBase + 5));
}

TEST(AddressSpaceTest, RandomHistoriesNeverOverlapAndNeverExceedTheBudget) {
  std::mt19937_64 random(7);
  AddressSpace space = Space(40 * kMiB);
  std::map<uint64_t, uint64_t> live;
  std::map<uint64_t, uint64_t> mapped;
  for (int i = 0; i < 20000; ++i) {
    if (random() % 2 && !live.empty()) {
      auto it = std::next(live.begin(), static_cast<long>(random() % live.size()));
      ASSERT_TRUE(space.Free(it->first));
      live.erase(it);
      continue;
    }
    const uint64_t bytes = random() % 10 ? 1 + random() % 5000 : 1 + random() % (6 * kMiB);
    const auto plan = space.Allocate(bytes);
    for (const Extent& extent : plan.unmap) ASSERT_EQ(mapped.erase(extent.address), 1u);
    if (!plan) continue;
    if (plan.map) mapped[plan.map->address] = plan.map->bytes;
    uint64_t total = 0;
    bool inside = false;
    for (const auto& [address, size] : mapped) {
      total += size;
      inside |= address <= plan.address && plan.address + bytes <= address + size;
    }
    ASSERT_TRUE(inside);
    ASSERT_EQ(total, space.mapped_bytes());
    ASSERT_LE(total, 40 * kMiB);
    const auto after = live.lower_bound(plan.address);
    if (after != live.end()) {
      ASSERT_LE(plan.address + bytes, after->first);
    }
    if (after != live.begin()) {
      ASSERT_LE(std::prev(after)->first + std::prev(after)->second, plan.address);
    }
    live[plan.address] = bytes;
    ASSERT_EQ(space.Find(plan.address + bytes - 1)->address, plan.address);
  }
}

}  // namespace
}  // namespace mignificient::client
