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
  const auto first = space.Allocate(100, 0), second = space.Allocate(100, 0);
  EXPECT_TRUE(first.map.has_value());
  EXPECT_FALSE(second.map.has_value());
  EXPECT_EQ(second.address - first.address, 512u);
  EXPECT_EQ(space.mapped_bytes(), 2 * kMiB);
}

TEST(AddressSpaceTest, AnAllocationHasTheBytesThatWereAskedFor) {
  AddressSpace space = Space();
  const auto plan = space.Allocate(1000, 0);
  EXPECT_EQ(space.Find(plan.address + 999), (Extent{plan.address, 1000}));
  EXPECT_FALSE(space.Find(plan.address + 1000));
}

TEST(AddressSpaceTest, LargeAllocationsAreWholeGranules) {
  AddressSpace space = Space();
  const auto plan = space.Allocate(3 * kMiB, 0);
  EXPECT_EQ(plan.map, (Extent{kBase, 4 * kMiB}));
}

TEST(AddressSpaceTest, FreedMemoryIsWaitedForAndThenUsedAgain) {
  AddressSpace space = Space();
  const auto a = space.Allocate(4 * kMiB, 0);
  space.Free(a.address, 1);
  const auto early = space.Allocate(4 * kMiB, 0);
  EXPECT_FALSE(early);
  EXPECT_EQ(early.wait, 1u);
  const auto late = space.Allocate(4 * kMiB, 1);
  ASSERT_TRUE(late);
  EXPECT_EQ(late.address, a.address);
  EXPECT_FALSE(late.map.has_value());
}

TEST(AddressSpaceTest, MemoryWhoseUseIsOverIsUsedAgainAtOnce) {
  AddressSpace space = Space();
  const auto a = space.Allocate(4 * kMiB, 0);
  space.Free(a.address, 0);
  EXPECT_EQ(space.Allocate(4 * kMiB, 0).address, a.address);
}

TEST(AddressSpaceTest, FreshMemoryNeedsNoWait) {
  AddressSpace space = Space();
  space.Free(space.Allocate(4 * kMiB, 0).address, 1);
  EXPECT_TRUE(space.Allocate(6 * kMiB, 0));
  space.Free(space.Allocate(1000, 0).address, 2);
  EXPECT_TRUE(space.Allocate(1000, 0)) << "The slab has unused parts.";
}

TEST(AddressSpaceTest, SmallMemoryIsWaitedForOnceASlabsWorthIsPending) {
  AddressSpace space = Space();
  constexpr uint64_t kBytes = kMiB / 2;
  std::vector<uint64_t> held;
  for (int i = 0; i < 4; ++i) held.push_back(space.Allocate(kBytes, 0).address);
  for (int i = 0; i < 3; ++i) space.Free(held[i], 1);
  const auto another_slab = space.Allocate(kBytes, 0);
  EXPECT_TRUE(another_slab.map.has_value());
  space.Free(held[3], 2);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(space.Allocate(kBytes, 0));
  EXPECT_EQ(space.Allocate(kBytes, 0).wait, 1u);
  EXPECT_TRUE(space.Allocate(kBytes, 1));
}

TEST(AddressSpaceTest, SmallMemoryIsAllocatedAgainByItsSizeOnceItsEpochHasPassed) {
  AddressSpace space = Space();
  EXPECT_EQ(space.AllocateAgain(1000, 0), 0u);
  const auto a = space.Allocate(1000, 0), b = space.Allocate(300, 0);
  space.Free(a.address, 1);
  space.Free(b.address, 0);
  EXPECT_EQ(space.AllocateAgain(1000, 0), 0u);
  EXPECT_EQ(space.AllocateAgain(500, 0), b.address);
  EXPECT_EQ(space.Find(b.address + 499), (Extent{b.address, 500}));
  EXPECT_EQ(space.AllocateAgain(1024, 1), a.address);
  EXPECT_EQ(space.unused_bytes(), 2 * kMiB - 1536);
  for (const uint64_t bytes : {uint64_t{0}, uint64_t{512}, 2 * kMiB, ~uint64_t{0}})
    EXPECT_EQ(space.AllocateAgain(bytes, 1), 0u);
}

TEST(AddressSpaceTest, FreedNeighboursBecomeOneBeforeAnotherSlabIsMapped) {
  AddressSpace space = Space();
  std::vector<uint64_t> held;
  for (int i = 0; i < 4096; ++i) held.push_back(space.Allocate(512, 0).address);
  for (const uint64_t address : held) ASSERT_TRUE(space.Free(address, 0));
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(space.Allocate(kMiB / 2, 0).map.has_value());
  EXPECT_TRUE(space.Allocate(512, 0).map.has_value());
}

TEST(AddressSpaceTest, BudgetPressureUnmapsWhatIsUnused) {
  AddressSpace space = Space(8 * kMiB);
  const auto a = space.Allocate(6 * kMiB, 0);
  space.Free(a.address, 1);
  const auto early = space.Allocate(8 * kMiB, 0);
  EXPECT_FALSE(early);
  EXPECT_EQ(early.wait, 1u) << "What work may still use is not unmapped.";
  EXPECT_TRUE(early.unmap.empty());
  const auto b = space.Allocate(8 * kMiB, 1);
  ASSERT_TRUE(b);
  EXPECT_EQ(b.unmap, (std::vector<Extent>{{a.address, 6 * kMiB}}));
  const auto none = space.Allocate(1, 1);
  EXPECT_FALSE(none);
  EXPECT_EQ(none.wait, 0u) << "Waiting does not help.";
}

TEST(AddressSpaceTest, EmptySlabsAreUnmappedUnderPressureAndUsedOnesAreNot) {
  AddressSpace space = Space(4 * kMiB);
  const auto small = space.Allocate(1000, 0);
  EXPECT_FALSE(space.Allocate(4 * kMiB, 0));
  space.Free(small.address, 0);
  EXPECT_TRUE(space.Allocate(4 * kMiB, 0));
}

TEST(AddressSpaceTest, SizeThatRoundsUpToHalfASlabIsUnmappedAsItWasMapped) {
  AddressSpace space = Space(4 * kMiB);
  const auto almost_half = space.Allocate(kMiB - 1, 0);
  ASSERT_TRUE(almost_half.map.has_value());
  space.Free(almost_half.address, 0);
  EXPECT_EQ(space.Allocate(4 * kMiB, 0).unmap, (std::vector<Extent>{*almost_half.map}));
}

TEST(AddressSpaceTest, ReleasingLeavesWhatIsUsedOrMayBe) {
  AddressSpace space = Space();
  const auto used = space.Allocate(4 * kMiB, 0), pending = space.Allocate(6 * kMiB, 0);
  const auto unused = space.Allocate(8 * kMiB, 0), small = space.Allocate(1000, 0);
  space.Free(pending.address, 5);
  space.Free(unused.address, 0);
  EXPECT_EQ(space.ReleaseUnused(4), (std::vector<Extent>{*unused.map}));
  EXPECT_EQ(space.ReleaseUnused(5), (std::vector<Extent>{*pending.map}));
  EXPECT_EQ(space.mapped_bytes(), used.map->bytes + small.map->bytes);
}

TEST(AddressSpaceTest, PlanThatIsUndoneLeavesNothing) {
  AddressSpace space = Space(8 * kMiB);
  for (const uint64_t bytes : {uint64_t{1000}, 8 * kMiB}) {
    const auto plan = space.Allocate(bytes, 0);
    ASSERT_TRUE(plan.map.has_value());
    space.Undo(plan);
    EXPECT_EQ(space.mapped_bytes(), 0u);
    EXPECT_EQ(space.unused_bytes(), 0u);
    EXPECT_FALSE(space.Find(plan.address));
  }
  EXPECT_EQ(space.Allocate(8 * kMiB, 0).map, (Extent{kBase, 8 * kMiB}));
}

TEST(AddressSpaceTest, ChargedMemoryCountsAgainstTheBudget) {
  AddressSpace space = Space(8 * kMiB);
  space.Free(space.Allocate(4 * kMiB, 0).address, 0);
  const auto charge = space.Charge(6 * kMiB, 0);
  ASSERT_TRUE(charge);
  EXPECT_EQ(charge.unmap.size(), 1u);
  EXPECT_FALSE(space.Allocate(4 * kMiB, 0));
  space.Discharge(6 * kMiB);
  EXPECT_TRUE(space.Allocate(4 * kMiB, 0));
}

TEST(AddressSpaceTest, ReservationsAreAlignedApartAndGivenBack) {
  AddressSpace space = Space();
  const auto a = space.Reserve(3 * kMiB, 0, 0), b = space.Reserve(4 * kMiB, 64 * kMiB, 0);
  ASSERT_TRUE(a && b);
  EXPECT_EQ(*a, (Extent{kBase, 4 * kMiB})) << "Whole granules.";
  EXPECT_EQ(b->address % (64 * kMiB), 0u);
  EXPECT_EQ(space.Reserve(2 * kMiB, 0, kBase + 512 * kMiB)->address, kBase + 512 * kMiB);
  EXPECT_NE(space.Reserve(2 * kMiB, 0, a->address)->address, a->address) << "A hint that is taken is no failure.";
  EXPECT_NE(space.Allocate(6 * kMiB, 0).address, a->address);
  space.Unreserve(*a);
  EXPECT_EQ(space.Reserve(4 * kMiB, 0, 0)->address, a->address);
  EXPECT_FALSE(space.Reserve(2048 * kMiB, 0, 0));
  EXPECT_FALSE(space.Reserve(0, 0, 0));
}

TEST(AddressSpaceTest, ZeroAndAbsurdSizesAreRefused) {
  AddressSpace space = Space();
  EXPECT_FALSE(space.Allocate(0, 0));
  EXPECT_FALSE(space.Allocate(~uint64_t{0}, 0));
  EXPECT_FALSE(space.Free(kBase + 5, 1));
}

TEST(AddressSpaceTest, RandomHistoriesNeverOverlapAndNeverExceedTheBudget) {
  std::mt19937_64 random(7);
  AddressSpace space = Space(40 * kMiB);
  std::map<uint64_t, uint64_t> live;
  std::map<uint64_t, uint64_t> mapped;
  std::map<uint64_t, uint64_t> freed_in;  // address -> epoch
  uint64_t epoch = 1, passed = 0;
  for (int i = 0; i < 20000; ++i) {
    if (random() % 8 == 0) passed = epoch++;
    if (random() % 2 && !live.empty()) {
      auto it = std::next(live.begin(), static_cast<long>(random() % live.size()));
      ASSERT_TRUE(space.Free(it->first, epoch));
      freed_in[it->first] = epoch;
      live.erase(it);
      continue;
    }
    const uint64_t bytes = random() % 10 ? 1 + random() % 5000 : 1 + random() % (6 * kMiB);
    const auto plan = space.Allocate(bytes, passed);
    for (const Extent& extent : plan.unmap) ASSERT_EQ(mapped.erase(extent.address), 1u);
    if (plan.wait != 0) {
      ASSERT_GT(plan.wait, passed);
    }
    if (!plan) continue;
    for (auto it = freed_in.lower_bound(plan.address); it != freed_in.end() && it->first < plan.address + bytes;
         it = freed_in.erase(it))
      ASSERT_LE(it->second, passed);
    if (plan.map) mapped[plan.map->address] = plan.map->bytes;
    uint64_t total = 0;
    uint64_t covered = plan.address;  // an allocation may lie across slabs that are side by side
    for (const auto& [address, size] : mapped) {
      total += size;
      if (address <= covered && covered < address + size) covered = address + size;
    }
    ASSERT_GE(covered, plan.address + bytes);
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

TEST(AddressSpaceTest, UndoingASlabLeavesTheSlabsBesideIt) {
  AddressSpace space = Space();
  const auto kept = space.Allocate(100, 0);
  for (int i = 1; i < 4096; ++i) ASSERT_FALSE(space.Allocate(512, 0).map.has_value());  // fills the slab
  const auto plan = space.Allocate(512, 0);
  ASSERT_TRUE(plan.map);
  space.Undo(plan);
  EXPECT_EQ(space.mapped_bytes(), 2 * kMiB);
  EXPECT_TRUE(space.Free(kept.address, 0));
  EXPECT_EQ(space.Allocate(512, 0).address, kept.address);
}

}  // namespace
}  // namespace mignificient::client
