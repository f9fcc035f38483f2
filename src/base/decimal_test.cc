#include "base/decimal.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

namespace mignificient {
namespace {

std::string Thousandths(double value) {
  std::string text;
  AppendThousandths(text, value);
  return text;
}

TEST(DecimalTest, ThousandthsAreTheNearestOnes) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> exponent(-4, 11);
  for (int i = 0; i < 100'000; ++i) {
    const double value = std::pow(10.0, exponent(random));
    const std::string text = Thousandths(value);
    ASSERT_EQ(text.find('.'), text.size() - 4) << text;
    ASSERT_LE(std::abs(std::stod(text) - value), 0.0005 + value * 1e-15) << text;
  }
}

TEST(DecimalTest, ThousandthsAreAsFormatHasThem) {
  for (const double value : {0.0, 0.0004, 0.0006, 0.9994, 0.9996, 1.0, 12.3456, 1e11, 1e12, 1e300, -1.5,
                             std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()})
    EXPECT_EQ(Thousandths(value), fmt::format("{:.3f}", value));
}

TEST(DecimalTest, ThousandthsAreAppended) {
  std::string text = "dur=";
  AppendThousandths(text, 0.0415);
  AppendThousandths(text, 2);
  EXPECT_EQ(text, "dur=0.0422.000");
}

}  // namespace
}  // namespace mignificient
