#include "cli/histogram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace mignificient::cli {
namespace {

using namespace std::chrono_literals;
using ::testing::DoubleNear;
using ::testing::ElementsAre;

constexpr std::array kFractions = {0.5, 0.9, 0.95, 0.99, 0.999};

// 5000 values in an order that looks random, in microseconds.
LatencyHistogram FiveThousand(size_t exact_limit) {
  LatencyHistogram histogram(exact_limit);
  for (int i = 0; i < 5000; ++i) histogram.Add(((i * 7919) % 10007) * 1us);
  return histogram;
}

TEST(HistogramTest, PercentilesAreThoseOfNumpy) {
  LatencyHistogram histogram;
  for (const int ms : {7, 1, 3, 3, 20, 11, 4, 9, 2, 100}) histogram.Add(ms * 1ms);
  // numpy.percentile([7, 1, 3, 3, 20, 11, 4, 9, 2, 100], [0, 10, 25, 50, 90, 95, 99, 100])
  const auto near = [](double value) { return DoubleNear(value, 1e-9); };
  EXPECT_THAT(histogram.PercentilesMs(std::array{0.0, 0.1, 0.25, 0.5, 0.9, 0.95, 0.99, 1.0}),
              ElementsAre(near(1), near(1.9), near(3), near(5.5), near(28), near(64), near(92.8), near(100)));
  EXPECT_DOUBLE_EQ(histogram.MeanMs(), 16);
  EXPECT_DOUBLE_EQ(histogram.MinMs(), 1);
  EXPECT_DOUBLE_EQ(histogram.MaxMs(), 100);
}

TEST(HistogramTest, ManyValuesAreExactBelowTheLimit) {
  const LatencyHistogram histogram = FiveThousand(5000);
  EXPECT_TRUE(histogram.exact());
  const auto near = [](double value) { return DoubleNear(value, 1e-9); };
  EXPECT_THAT(histogram.PercentilesMs(kFractions),
              ElementsAre(near(5.006), near(9.0121), near(9.5063), near(9.90801), near(9.996001)));
}

TEST(HistogramTest, BeyondTheLimitPercentilesAreWithinATenthOfAPercent) {
  const LatencyHistogram counted = FiveThousand(100), exact = FiveThousand(5000);
  EXPECT_FALSE(counted.exact());
  EXPECT_EQ(counted.count(), 5000u);
  const auto expected = exact.PercentilesMs(kFractions), got = counted.PercentilesMs(kFractions);
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(got[i] / expected[i], 1, 1e-3) << kFractions[i];
  EXPECT_DOUBLE_EQ(counted.MeanMs(), exact.MeanMs());
  EXPECT_DOUBLE_EQ(counted.MaxMs(), exact.MaxMs());
  EXPECT_EQ(counted.PercentilesMs(std::array{0.0, 1.0}), exact.PercentilesMs(std::array{0.0, 1.0}));
}

TEST(HistogramTest, EveryMagnitudeFitsABucket) {
  LatencyHistogram histogram(0);
  for (int bit = 0; bit < 63; ++bit) histogram.Add(std::chrono::nanoseconds(int64_t{1} << bit));
  histogram.Add(std::chrono::nanoseconds::max());
  histogram.Add(-1ns);
  EXPECT_EQ(histogram.count(), 65u);
  EXPECT_NEAR(histogram.PercentilesMs(std::array{0.5}).front() / 2147.483648, 1, 1e-3);  // 2^31 ns
}

TEST(HistogramTest, OneValueIsEveryPercentileAndNoneIsZero) {
  LatencyHistogram histogram;
  EXPECT_THAT(histogram.PercentilesMs(kFractions), ::testing::Each(0.0));
  EXPECT_DOUBLE_EQ(histogram.MeanMs(), 0);
  histogram.Add(7ms);
  EXPECT_THAT(histogram.PercentilesMs(kFractions), ::testing::Each(7.0));
}

}  // namespace
}  // namespace mignificient::cli
