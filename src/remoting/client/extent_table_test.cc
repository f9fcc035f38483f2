#include "remoting/client/extent_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace mignificient::client {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kBase = uint64_t{1} << 44;
constexpr Extent kWindow{kBase, 4096 * kMiB};

TEST(ExtentTableTest, AnExtentIsFoundByEveryAddressWithinAndNoOther) {
  ExtentTable table(kWindow);
  table.Insert({kBase + 512, 1000});
  table.Insert({kBase + 1536, 1});
  EXPECT_EQ(table.Find(kBase + 512), (Extent{kBase + 512, 1000}));
  EXPECT_EQ(table.Find(kBase + 1511), (Extent{kBase + 512, 1000}));
  EXPECT_EQ(table.Find(kBase + 1536), (Extent{kBase + 1536, 1}));
  EXPECT_FALSE(table.Find(kBase + 511));
  EXPECT_FALSE(table.Find(kBase + 1512));
  EXPECT_FALSE(table.Find(kBase + 1537));
}

TEST(ExtentTableTest, OnlyTheBeginningTakesAnExtentOutAndOnce) {
  ExtentTable table(kWindow);
  for (const uint64_t address : {kBase, kBase + 512 * 70}) {
    table.Insert({address, 2000});
    EXPECT_EQ(table.Erase(address + 512), 0u);
    EXPECT_EQ(table.Erase(address + 1), 0u);
    EXPECT_EQ(table.Erase(address), 2000u);
    EXPECT_EQ(table.Erase(address), 0u);
    EXPECT_FALSE(table.Find(address));
    EXPECT_TRUE(table.empty());
  }
}

TEST(ExtentTableTest, AddressesOutsideOfTheWindowAreInNoExtent) {
  ExtentTable table(kWindow);
  table.Insert({kBase, 4096 * kMiB});
  for (const uint64_t address : {uint64_t{0}, kBase - 1, kBase + 4096 * kMiB, ~uint64_t{0}}) {
    EXPECT_FALSE(table.Find(address));
    EXPECT_EQ(table.Erase(address), 0u);
  }
  EXPECT_TRUE(table.Find(kBase + 4096 * kMiB - 1));
}

TEST(ExtentTableTest, AnExtentOfManyBlocksIsFoundFromItsEnd) {
  ExtentTable table(kWindow);
  table.Insert({kBase, 512});
  table.Insert({kBase + 512, 3000 * kMiB});
  EXPECT_EQ(table.Find(kBase + 3000 * kMiB + 511), (Extent{kBase + 512, 3000 * kMiB}));
  EXPECT_FALSE(table.Find(kBase + 3000 * kMiB + 512));
  table.Insert({kBase + 3000 * kMiB + 512, 512});
  EXPECT_EQ(table.Find(kBase + 3000 * kMiB), (Extent{kBase + 512, 3000 * kMiB}));
  table.Erase(kBase + 512);
  EXPECT_FALSE(table.Find(kBase + 3000 * kMiB));
}

TEST(ExtentTableTest, AWindowThatBeginsAnywhereWorks) {
  ExtentTable table({0x1000, 0x3000000});
  table.Insert({0x1000, 0x200000});
  table.Insert({0x201000, 512});
  EXPECT_EQ(table.Find(0x200fff), (Extent{0x1000, 0x200000}));
  EXPECT_EQ(table.Find(0x201000), (Extent{0x201000, 512}));
  EXPECT_FALSE(table.Find(0xfff));
}

TEST(ExtentTableTest, RandomHistoriesAnswerAsAnOrderedMapDoes) {
  std::mt19937_64 random(5);
  ExtentTable table(kWindow);
  std::map<uint64_t, uint64_t> expected;
  const auto find = [&](uint64_t address) -> std::optional<Extent> {
    auto it = expected.upper_bound(address);
    if (it == expected.begin()) return std::nullopt;
    --it;
    if (address - it->first >= it->second) return std::nullopt;
    return Extent{it->first, it->second};
  };
  for (int i = 0; i < 50000; ++i) {
    const uint64_t reach = i % 3 == 0 ? kWindow.bytes : 8 * kMiB;
    const uint64_t address = kBase + random() % reach / 512 * 512;
    if (random() % 3 == 0) {
      const auto it = expected.find(address);
      EXPECT_EQ(table.Erase(address), it == expected.end() ? 0 : it->second);
      if (it != expected.end()) expected.erase(it);
      if (expected.empty()) continue;
      const uint64_t some = std::next(expected.begin(), static_cast<long>(random() % expected.size()))->first;
      EXPECT_EQ(table.Erase(some), expected.at(some));
      expected.erase(some);
    } else {
      const uint64_t bytes = 1 + random() % (random() % 4 == 0 ? 16 * kMiB : 4096);
      const auto after = expected.lower_bound(address);
      const bool free = address + bytes <= kBase + kWindow.bytes && !find(address) &&
                        (after == expected.end() || address + bytes <= after->first);
      if (free) {
        table.Insert({address, bytes});
        expected[address] = bytes;
      }
    }
    const uint64_t asked = kBase + random() % reach;
    ASSERT_EQ(table.Find(asked), find(asked));
    ASSERT_EQ(table.empty(), expected.empty());
  }
}

}  // namespace
}  // namespace mignificient::client
