#include "remoting/client/pool_space.h"

#include <gtest/gtest.h>

#include <random>

namespace mignificient::client {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kBase = uint64_t{1} << 44;
constexpr uint64_t kA = 10, kB = 11;  // streams

class PoolSpaceTest : public testing::Test {
 protected:
  PoolSpaceTest() { pool_.AddChunk({kBase, kMiB}); }
  PoolSpace pool_{{kBase, 32 * 1024 * kMiB}};
};

TEST_F(PoolSpaceTest, MemoryFreedInAStreamIsUsedAgainThereAtOnce) {
  const auto first = pool_.Take(kMiB, kA, 0);
  ASSERT_TRUE(first);
  EXPECT_TRUE(pool_.Free(*first, kA, 1));
  EXPECT_EQ(pool_.Take(kMiB, kA, 0), first);
}

TEST_F(PoolSpaceTest, AnotherStreamGetsItOnceTheEpochOfTheFreeHasPassed) {
  pool_.Free(*pool_.Take(kMiB, kA, 0), kA, 3);
  EXPECT_TRUE(pool_.pending());
  EXPECT_FALSE(pool_.Take(512, kB, 2));
  EXPECT_TRUE(pool_.Take(512, kB, 3));
  EXPECT_FALSE(pool_.pending());
}

TEST_F(PoolSpaceTest, MemoryWhoseUseIsOverIsAnyStreams) {
  pool_.Free(*pool_.Take(kMiB, kA, 0), kA, 0);
  EXPECT_TRUE(pool_.Take(kMiB, kB, 0));
}

TEST_F(PoolSpaceTest, FreesOfSeveralEpochsInOneStreamAreAllUsedAgain) {
  const auto first = pool_.Take(kMiB / 2, kA, 0), second = pool_.Take(kMiB / 2, kA, 0);
  pool_.Free(*first, kA, 1);
  pool_.Free(*second, kA, 2);
  EXPECT_TRUE(pool_.Take(kMiB / 2, kA, 0));
  EXPECT_TRUE(pool_.Take(kMiB / 2, kA, 0));
  EXPECT_FALSE(pool_.pending());
}

TEST_F(PoolSpaceTest, WhatWasFreedLastIsUsedFirstAndWhatLiesSideBySideIsOneAgain) {
  std::vector<uint64_t> held;
  for (uint64_t i = 0; i < kMiB / 512; ++i) held.push_back(*pool_.Take(512, kA, 0));
  for (const uint64_t address : held) ASSERT_TRUE(pool_.Free(address, kA, 1));
  EXPECT_EQ(pool_.Take(512, kA, 0), held.back());
  EXPECT_FALSE(pool_.Take(kMiB, kA, 0));
  EXPECT_TRUE(pool_.Free(held.back(), kA, 1));
  EXPECT_TRUE(pool_.Take(kMiB, kA, 0));
}

TEST_F(PoolSpaceTest, LevelsCountRoundedBytesAndRememberTheHighest) {
  const auto first = pool_.Take(1, kA, 0), second = pool_.Take(513, kA, 0);
  EXPECT_EQ(pool_.used.current, 512u + 1024u);
  pool_.Free(*first, kA, 1);
  pool_.Free(*second, kA, 1);
  EXPECT_EQ(pool_.used.current, 0u);
  EXPECT_EQ(pool_.used.high, 1536u);
  pool_.used.Reset();
  EXPECT_EQ(pool_.used.high, 0u);
  EXPECT_EQ(pool_.reserved.current, kMiB);
}

TEST_F(PoolSpaceTest, TrimKeepsWhatIsUsedPendingOrToBeKept) {
  pool_.AddChunk({kBase + 4 * kMiB, kMiB});
  pool_.AddChunk({kBase + 8 * kMiB, kMiB});
  const auto used = pool_.Take(kMiB, kA, 0), pending = pool_.Take(kMiB, kA, 0);
  pool_.Free(*pending, kA, 1);
  EXPECT_TRUE(pool_.Trim(3 * kMiB, 0).empty());
  EXPECT_TRUE(pool_.Trim(5 * kMiB / 2, 0).empty()) << "What remains would be less than is to be kept.";
  EXPECT_EQ(pool_.Trim(0, 0).size(), 1u);
  EXPECT_EQ(pool_.Trim(0, 1), (std::vector<Extent>{{*pending, kMiB}}));
  EXPECT_EQ(pool_.reserved.current, kMiB);
  EXPECT_TRUE(pool_.Trim(0, 1).empty());
  EXPECT_TRUE(pool_.Free(*used, kA, 0));
  EXPECT_EQ(pool_.Trim(0, 1).size(), 1u);
}

TEST_F(PoolSpaceTest, OnlyTheBeginningOfAnAllocationIsFreedAndAllOfItIsFound) {
  const auto address = pool_.Take(2000, kA, 0);
  EXPECT_FALSE(pool_.Free(*address + 512, kA, 1));
  EXPECT_EQ(pool_.Find(*address + 2047), (Extent{*address, 2048}));
  EXPECT_FALSE(pool_.Find(*address + 2048));
  EXPECT_TRUE(pool_.Free(*address, kA, 1));
  EXPECT_FALSE(pool_.Free(*address, kA, 1));
  EXPECT_FALSE(pool_.Find(*address));
}

TEST_F(PoolSpaceTest, AbsurdSizesAreRefused) {
  EXPECT_FALSE(pool_.Take(kMiB + 1, kA, 0));
  EXPECT_FALSE(pool_.Take(~uint64_t{0}, kA, 0));
}

// No byte is given to a stream while another one may still use it, and no two allocations overlap.
TEST_F(PoolSpaceTest, RandomHistoriesKeepStreamsApart) {
  std::mt19937_64 random(11);
  struct Live {
    uint64_t bytes;
    uint64_t stream;
  };
  std::map<uint64_t, Live> live;
  struct Freed {
    uint64_t bytes, stream, epoch;
  };
  std::map<uint64_t, Freed> freed;  // the last free that touched these bytes
  uint64_t epoch = 1, passed = 0, chunk = kBase + kMiB;
  for (int i = 0; i < 20000; ++i) {
    if (random() % 16 == 0) passed = epoch++;
    const uint64_t stream = random() % 4;
    if (random() % 2 && !live.empty()) {
      const auto it = std::next(live.begin(), static_cast<long>(random() % live.size()));
      ASSERT_TRUE(pool_.Free(it->first, stream, epoch));
      freed[it->first] = {it->second.bytes, stream, epoch};
      live.erase(it);
      continue;
    }
    const uint64_t bytes = 512 * (1 + random() % 200);
    const auto address = pool_.Take(bytes, stream, passed);
    if (!address) {
      pool_.AddChunk({chunk, kMiB});
      chunk += kMiB;
      continue;
    }
    const auto after = live.lower_bound(*address);
    if (after != live.end()) {
      ASSERT_LE(*address + bytes, after->first);
    }
    if (after != live.begin()) {
      ASSERT_LE(std::prev(after)->first + std::prev(after)->second.bytes, *address);
    }
    for (auto it = freed.begin(); it != freed.end();) {
      const auto [begin, was] = *it;
      if (begin + was.bytes <= *address || *address + bytes <= begin) {
        ++it;
        continue;
      }
      ASSERT_TRUE(was.stream == stream || was.epoch <= passed);
      // What it did not take is still as it was freed.
      const uint64_t end = begin + was.bytes;
      it = freed.erase(it);
      if (*address + bytes < end) freed[*address + bytes] = {end - *address - bytes, was.stream, was.epoch};
      if (begin < *address) freed[begin] = {*address - begin, was.stream, was.epoch};
    }
    live[*address] = {bytes, stream};
    if (random() % 64 == 0) pool_.Trim(random() % (8 * kMiB), passed);
  }
  uint64_t used = 0;
  for (const auto& [address, each] : live) used += each.bytes;
  EXPECT_EQ(pool_.used.current, used);
}

}  // namespace
}  // namespace mignificient::client
