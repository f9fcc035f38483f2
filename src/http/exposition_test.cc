#include "http/exposition.h"

#include <gtest/gtest.h>

namespace mignificient::http {
namespace {

TEST(ExpositionTest, WritesHelpTypeAndSamples) {
  Exposition page;
  page.Metric("a_total", "counter", "Things.");
  page.Sample(3);
  page.Sample(0.25, {{"outcome", "ok"}, {"start", "cold"}});
  page.Metric("b_seconds", "histogram", "Times.");
  page.Part("_bucket", 12345678901, {{"le", "+Inf"}});
  EXPECT_EQ(page.text(),
            "# HELP a_total Things.\n# TYPE a_total counter\na_total 3\na_total{outcome=\"ok\",start=\"cold\"} 0.25\n"
            "# HELP b_seconds Times.\n# TYPE b_seconds histogram\nb_seconds_bucket{le=\"+Inf\"} 12345678901\n");
}

TEST(ExpositionTest, EscapesLabels) {
  Exposition page;
  page.Metric("a", "gauge", "A.");
  page.Sample(1, {{"name", "a\"b\\c\nd"}});
  EXPECT_TRUE(page.text().ends_with("a{name=\"a\\\"b\\\\c\\nd\"} 1\n")) << page.text();
}

}  // namespace
}  // namespace mignificient::http
