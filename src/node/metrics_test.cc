#include "node/metrics.h"

#include <gtest/gtest.h>

namespace mignificient::node {
namespace {

TEST(HistogramTest, BucketsAreCumulative) {
  Histogram histogram;
  for (const double seconds : {0.0004, 0.001, 0.7, 1000.0}) histogram.Observe(seconds);
  EXPECT_EQ(histogram.Within(0), 1u);                              // 0.0005
  EXPECT_EQ(histogram.Within(1), 2u);                              // 0.001 itself included
  EXPECT_EQ(histogram.Within(Histogram::kBounds.size() - 1), 3u);  // 300
  EXPECT_EQ(histogram.count(), 4u);
  EXPECT_DOUBLE_EQ(histogram.sum(), 1000.7014);
}

TEST(MetricsTest, CountsByOutcomeAndStart) {
  Metrics metrics;
  Answer cold;
  cold.granted = cold.cold = true;
  cold.timing = {.queue = 1, .spawn = 10, .context = 20, .attach = 30, .exec = 5, .total = 66};
  metrics.Count(cold);
  Answer refused;
  refused.outcome = Outcome::kQueueFull;
  metrics.Count(refused);
  metrics.Count(refused);
  const std::map<std::pair<Outcome, std::string_view>, uint64_t> expected = {{{Outcome::kOk, "cold"}, 1},
                                                                             {{Outcome::kQueueFull, "none"}, 2}};
  EXPECT_EQ(metrics.invocations(), expected);
  EXPECT_EQ(metrics.duration().count(), 1u);
  EXPECT_DOUBLE_EQ(metrics.start().sum(), 0.060);
  EXPECT_DOUBLE_EQ(metrics.execution().sum(), 0.005);
}

}  // namespace
}  // namespace mignificient::node
