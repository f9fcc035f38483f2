#include "cli/plot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <regex>

namespace mignificient::cli {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// The names of elements that are open at the end, or a complaint: enough of XML for what we write.
std::string WellFormed(const std::string& text) {
  const std::regex element(R"(<(/?)([a-z]+)((?:\s+[a-zA-Z-]+="[^"<&]*")*)\s*(/?)>)");
  std::vector<std::string> open;
  size_t at = 0;
  for (auto it = std::sregex_iterator(text.begin(), text.end(), element); it != std::sregex_iterator(); ++it) {
    const std::string between = text.substr(at, static_cast<size_t>(it->position()) - at);
    if (between.find('<') != between.npos) return "stray text: " + between;
    at = static_cast<size_t>(it->position() + it->length());
    if ((*it)[1].length() > 0) {
      if (open.empty() || open.back() != (*it)[2]) return "closes " + (*it)[2].str();
      open.pop_back();
    } else if ((*it)[4].length() == 0) {
      open.push_back((*it)[2]);
    }
  }
  return open.empty() ? "" : "open: " + open.back();
}

Plot Example() {
  Plot plot{.title = "a <b> & \"c\"", .kinds = {"cold", "warm", "failed"}, .samples = {}, .requests = 101};
  for (int i = 0; i < 100; ++i)
    plot.samples.push_back({.kind = static_cast<uint16_t>(i == 0 ? 0 : 1), .begin = i * 10ms, .time = 2ms + i * 10us});
  plot.samples.front().time = 900ms;
  plot.samples.push_back({.kind = 2, .begin = 500ms, .time = 1ms});
  return plot;
}

TEST(PlotTest, IsWellFormedAndNamesUnitsAndKinds) {
  const std::string svg = PlotSvg(Example());
  EXPECT_EQ(WellFormed(svg), "");
  EXPECT_THAT(svg, HasSubstr("<title>a &lt;b&gt; &amp; \"c\"</title>"));
  EXPECT_THAT(svg, HasSubstr(">time of the request (ms)</text>"));
  EXPECT_THAT(svg, HasSubstr(">latency (ms, logarithmic)</text>"));
  EXPECT_THAT(svg, HasSubstr(">share of requests (%)</text>"));
  for (const char* kind : {">cold (1)<", ">warm (99)<", ">failed (1)<"}) EXPECT_THAT(svg, HasSubstr(kind));
  EXPECT_THAT(svg, HasSubstr("class=\"crosses\""));
  EXPECT_THAT(svg, HasSubstr("prefers-color-scheme:dark"));
  EXPECT_THAT(svg, HasSubstr(">p99 "));
}

TEST(PlotTest, WithoutRequestsItSaysSo) {
  const std::string svg = PlotSvg({.title = "t", .kinds = {}, .samples = {}, .requests = 0});
  EXPECT_EQ(WellFormed(svg), "");
  EXPECT_THAT(svg, HasSubstr("No request was answered."));
}

TEST(PlotTest, OnlyFailuresHaveNoDistribution) {
  const std::string svg = PlotSvg({.title = "t", .kinds = {"failed"}, .samples = {{.time = 1ms}}, .requests = 1});
  EXPECT_EQ(WellFormed(svg), "");
  EXPECT_THAT(svg, HasSubstr("class=\"crosses\""));
  EXPECT_THAT(svg, Not(HasSubstr("share of requests")));
}

TEST(PlotTest, AChoiceOfRequestsIsCalledOne) {
  Plot plot = Example();
  plot.requests = 5000;
  EXPECT_THAT(PlotSvg(plot), HasSubstr("an even choice of 101 out of 5000 requests"));
}

TEST(PlotTest, ManyRequestsMakeNoLargeFile) {
  Plot plot{.title = "t", .kinds = {"warm"}, .samples = {}, .requests = 300000};
  for (int i = 0; i < 300000; ++i) plot.samples.push_back({.begin = i * 1us, .time = 1ms + (i % 7) * 1us});
  EXPECT_LT(PlotSvg(plot).size(), 300000u);
}

TEST(AxisTest, LinearTicksAreRoundAndBeginAtZero) {
  const Axis axis(3, 47, 0, 100, true);
  EXPECT_FALSE(axis.logarithmic());
  EXPECT_THAT(axis.Ticks(), ElementsAre(0, 10, 20, 30, 40, 50));
  EXPECT_DOUBLE_EQ(axis.Pixel(25), 50);
}

TEST(AxisTest, LogarithmicTicksCoverTheDecades) {
  const Axis axis(0.2, 30, 0, 300, true);
  EXPECT_TRUE(axis.logarithmic());
  ASSERT_EQ(axis.Ticks().size(), 8u);  // 0.2 0.5 1 2 5 10 20 50
  EXPECT_DOUBLE_EQ(axis.Ticks().front(), 0.2);
  EXPECT_DOUBLE_EQ(axis.Ticks().back(), 50);
  EXPECT_NEAR(axis.Pixel(std::sqrt(0.2 * 50)), 150, 1e-9);
  EXPECT_DOUBLE_EQ(axis.Pixel(0.01), 0);
}

TEST(AxisTest, ManyDecadesHaveATickEach) {
  const Axis axis(0.003, 90000, 0, 300, true);
  EXPECT_EQ(axis.Ticks().size(), 8u);  // 0.01 to 100000; the axis begins at 0.002
}

TEST(AxisTest, NothingToShowIsStillAnAxis) {
  const Axis axis(0, 0, 0, 100, true);
  EXPECT_GE(axis.Ticks().size(), 2u);
  EXPECT_DOUBLE_EQ(axis.Pixel(0), 0);
}

}  // namespace
}  // namespace mignificient::cli
