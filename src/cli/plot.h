// The picture of a load as an SVG file: latency over time, coloured by start type, and the distribution of latencies.
// Needs nothing else to be looked at; follows the viewer's light or dark mode.
#pragma once

#include <string>
#include <vector>

#include "cli/sample_log.h"

namespace mignificient::cli {

struct Plot {
  std::string title;
  std::vector<std::string> kinds;  // names of Sample::kind; SampleLog::kFailed is drawn apart
  std::vector<Sample> samples;
  uint64_t requests = 0;  // that `samples` stands for; more than there are samples where they are a choice
};

std::string PlotSvg(const Plot& plot);

// An axis from `low` to `high` on `pixels` pixels. Exposed for tests.
class Axis {
 public:
  // Logarithmic where `may_be_logarithmic` and the values, all above 0, span a factor of 50 or more. The ends are
  // widened to round values.
  Axis(double low, double high, double from_pixel, double to_pixel, bool may_be_logarithmic);

  double Pixel(double value) const;
  bool logarithmic() const { return logarithmic_; }
  std::vector<double> Ticks() const;  // values, ascending; from 2 to 12 of them
  double low() const { return low_; }
  double high() const { return high_; }

 private:
  double low_, high_, from_pixel_, to_pixel_;
  double step_ = 0;
  bool logarithmic_ = false;
};

}  // namespace mignificient::cli
