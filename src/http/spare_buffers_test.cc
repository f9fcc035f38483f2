#include "http/spare_buffers.h"

#include <gtest/gtest.h>

namespace mignificient::http {
namespace {

constexpr size_t kMiB = 1 << 20;

std::string WithRoom(size_t size) {
  std::string text;
  text.reserve(size);
  return text;
}

TEST(SpareBuffersTest, TheSmallestThatIsEnoughIsUsedAgain) {
  SpareBuffers spares;
  std::string small = WithRoom(2 * kMiB), large = WithRoom(8 * kMiB);
  const char* const memory = small.data();
  spares.Give(std::move(large));
  spares.Give(std::move(small));
  EXPECT_EQ(spares.Take(kMiB).data(), memory);
  EXPECT_GE(spares.Take(kMiB).capacity(), 8 * kMiB);
  EXPECT_LT(spares.Take(kMiB).capacity(), kMiB);
  EXPECT_EQ(spares.bytes(), 0u);
}

TEST(SpareBuffersTest, SmallOnesAndMoreThanEnoughAreNotKept) {
  SpareBuffers spares;
  spares.Give(WithRoom(SpareBuffers::kSmallest / 2));
  EXPECT_EQ(spares.bytes(), 0u);
  for (int i = 0; i < 5; ++i) spares.Give(WithRoom(64 * kMiB - 1));
  EXPECT_LE(spares.bytes(), SpareBuffers::kMostBytes);
  EXPECT_GE(spares.bytes(), 64 * kMiB - 1);
}

TEST(SpareBuffersTest, WhatIsTakenIsEmpty) {
  SpareBuffers spares;
  spares.Give(std::string(kMiB, 'x'));
  EXPECT_TRUE(spares.Take(kMiB).empty());
}

}  // namespace
}  // namespace mignificient::http
