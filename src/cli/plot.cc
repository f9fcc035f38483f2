#include "cli/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <limits>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

namespace mignificient::cli {
namespace {

constexpr double kWidth = 960, kHeight = 760;
constexpr double kLeft = 76, kRight = kWidth - 24;
constexpr double kTimeTop = 84, kTimeBottom = 384, kCdfTop = 450, kCdfBottom = 700;

// Distinct for colour-blind people, and readable on white and on black (after Okabe and Ito).
std::string_view Colour(std::string_view kind, size_t index) {
  if (kind == "cold") return "#3b82d6";
  if (kind == "warm") return "#e08a00";
  if (kind == "swapped") return "#c2669b";
  if (kind == SampleLog::kFailed) return "#dc3b2c";
  constexpr std::array<std::string_view, 3> kOther = {"#16a37a", "#8a8f98", "#a58b00"};
  return kOther[index % kOther.size()];
}

std::string Escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '&') {
      escaped += "&amp;";
    } else if (c == '<') {
      escaped += "&lt;";
    } else if (c == '>') {
      escaped += "&gt;";
    } else {
      escaped += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
    }
  }
  return escaped;
}

struct Unit {
  double per_second;
  std::string_view name;
};

// In which the greatest value has few digits.
Unit UnitFor(double seconds) {
  if (seconds < 1e-3) return {1e6, "µs"};
  if (seconds < 10) return {1e3, "ms"};
  if (seconds < 600) return {1, "s"};
  return {1.0 / 60, "min"};
}

double InSeconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

// The picture while it is drawn.
class Drawing {
 public:
  explicit Drawing(const Plot& plot) : plot_(plot) {
    for (size_t i = 0; i < plot.kinds.size(); ++i)
      if (plot.kinds[i] == SampleLog::kFailed) failed_ = i;
  }

  std::string Finish() && {
    Frame();
    Legend();
    if (plot_.samples.empty()) {
      Text(kLeft, kTimeTop + 20, "start", "No request was answered.");
    } else {
      OverTime();
      Distribution();
    }
    svg_ += "</svg>\n";
    return std::move(svg_);
  }

 private:
  template <typename... Args>
  void Add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(svg_), format, std::forward<Args>(args)...);
  }

  void Text(double x, double y, std::string_view anchor, std::string_view text, std::string_view more = "") {
    Add("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y, anchor, more, Escaped(text));
  }

  void Frame() {
    Add("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" "
        "role=\"img\">\n",
        kWidth, kHeight);
    Add("<title>{}</title>\n", Escaped(plot_.title));
    svg_ +=
        "<style>\n"
        ".paper{fill:#fff} text{fill:#222;font:12px system-ui,sans-serif} .title{font-size:16px;font-weight:600}\n"
        ".grid{stroke:#e2e2e2;stroke-width:1} .axis{stroke:#777;stroke-width:1;fill:none} .mark{stroke:#777}\n"
        ".dots{fill:none;stroke-width:4;stroke-linecap:round;stroke-opacity:.7}\n"
        ".crosses{fill:none;stroke-width:1.4} .line{fill:none;stroke-width:2} .all{stroke:#555}\n"
        "@media (prefers-color-scheme:dark){.paper{fill:#15171a} text{fill:#ddd} .grid{stroke:#33373d}\n"
        ".axis,.mark{stroke:#8b9098} .all{stroke:#bbb}}\n"
        "</style>\n";
    Add("<rect class=\"paper\" width=\"{}\" height=\"{}\"/>\n", kWidth, kHeight);
    Text(kLeft, 30, "start", plot_.title, " class=\"title\"");
  }

  void Legend() {
    std::vector<uint64_t> counts(plot_.kinds.size());
    for (const Sample& sample : plot_.samples) ++counts[sample.kind];
    double x = kLeft;
    for (size_t kind = 0; kind < plot_.kinds.size(); ++kind) {
      Add("<circle cx=\"{:.1f}\" cy=\"52\" r=\"5\" fill=\"{}\"/>\n", x + 5, Colour(plot_.kinds[kind], kind));
      const std::string label = fmt::format("{} ({})", plot_.kinds[kind], counts[kind]);
      Text(x + 16, 56, "start", label);
      x += 40 + 7.0 * static_cast<double>(label.size());
    }
    if (plot_.requests > plot_.samples.size())
      Text(kRight, 56, "end",
           fmt::format("an even choice of {} out of {} requests", plot_.samples.size(), plot_.requests));
  }

  void Axes(const Axis& x, const Axis& y, double top, double bottom, std::string_view x_label,
            std::string_view y_label) {
    for (const double tick : x.Ticks()) {
      const double at = x.Pixel(tick);
      Add("<path class=\"grid\" d=\"M{0:.1f} {1}V{2}\"/>\n", at, top, bottom);
      Text(at, bottom + 17, "middle", fmt::format("{:.6g}", tick));
    }
    for (const double tick : y.Ticks()) {
      const double at = y.Pixel(tick);
      Add("<path class=\"grid\" d=\"M{} {:.1f}H{}\"/>\n", kLeft, at, kRight);
      Text(kLeft - 8, at + 4, "end", fmt::format("{:.6g}", tick));
    }
    Add("<path class=\"axis\" d=\"M{} {}V{}H{}\"/>\n", kLeft, top, bottom, kRight);
    Text((kLeft + kRight) / 2, bottom + 36, "middle", x_label);
    const double middle = (top + bottom) / 2;
    Text(20, middle, "middle", y_label, fmt::format(" transform=\"rotate(-90 20 {})\"", middle));
  }

  // Least and greatest of what `value` says of the samples.
  template <typename Value>
  std::pair<double, double> Range(Value value) const {
    double low = std::numeric_limits<double>::max(), high = 0;
    for (const Sample& sample : plot_.samples) {
      low = std::min(low, value(sample));
      high = std::max(high, value(sample));
    }
    return {low, high};
  }

  void OverTime() {
    const double last = Range([](const Sample& sample) { return InSeconds(sample.begin); }).second;
    const auto [fastest, slowest] = Range([](const Sample& sample) { return InSeconds(sample.time); });
    const Unit time = last < 1 ? UnitFor(last) : UnitFor(std::max(last, 10.0)), latency = UnitFor(slowest);
    const Axis x(0, last * time.per_second, kLeft, kRight, false);
    const Axis y(fastest * latency.per_second, slowest * latency.per_second, kTimeBottom, kTimeTop, true);
    Axes(x, y, kTimeTop, kTimeBottom, fmt::format("time of the request ({})", time.name),
         fmt::format("latency ({}{})", latency.name, y.logarithmic() ? ", logarithmic" : ""));
    for (size_t kind = 0; kind < plot_.kinds.size(); ++kind) {
      const bool failed = kind == failed_;
      // What would lie on the same pixels is drawn once.
      std::set<std::pair<int, int>> drawn;
      for (const Sample& sample : plot_.samples) {
        if (sample.kind != kind) continue;
        drawn.emplace(static_cast<int>(std::lround(x.Pixel(InSeconds(sample.begin) * time.per_second))),
                      static_cast<int>(std::lround(y.Pixel(InSeconds(sample.time) * latency.per_second))));
      }
      if (drawn.empty()) continue;
      Add("<path class=\"{}\" stroke=\"{}\" d=\"", failed ? "crosses" : "dots", Colour(plot_.kinds[kind], kind));
      for (const auto& [px, py] : drawn) {
        if (failed)
          Add("M{} {}l6 6m0-6l-6 6", px - 3, py - 3);
        else
          Add("M{} {}h0", px, py);
      }
      svg_ += "\"/>\n";
    }
  }

  // Of successful requests, sorted.
  std::vector<double> Times(std::optional<size_t> kind) const {
    std::vector<double> times;
    for (const Sample& sample : plot_.samples)
      if (kind ? sample.kind == *kind : sample.kind != failed_) times.push_back(InSeconds(sample.time));
    std::sort(times.begin(), times.end());
    return times;
  }

  void Distribution() {
    const std::vector<double> all = Times(std::nullopt);
    if (all.empty()) return;
    const Unit unit = UnitFor(all.back());
    const Axis x(all.front() * unit.per_second, all.back() * unit.per_second, kLeft, kRight, true);
    const Axis y(0, 100, kCdfBottom, kCdfTop, false);
    std::vector<std::pair<size_t, std::vector<double>>> curves;
    for (size_t kind = 0; kind < plot_.kinds.size(); ++kind)
      if (std::vector<double> times = Times(kind); kind != failed_ && !times.empty())
        curves.emplace_back(kind, std::move(times));
    Axes(x, y, kCdfTop, kCdfBottom,
         fmt::format("latency of successful requests ({}{}){}", unit.name, x.logarithmic() ? ", logarithmic" : "",
                     curves.size() > 1 ? "; dashed: all of them" : ""),
         "share of requests (%)");
    for (const auto& [kind, times] : curves)
      Curve(times, x, y, unit, fmt::format("stroke=\"{}\"", Colour(plot_.kinds[kind], kind)), "line");
    if (curves.size() > 1) Curve(all, x, y, unit, "stroke-dasharray=\"5 4\"", "line all");
    Mark(all, 0.50, x, unit, kCdfTop - 8);
    Mark(all, 0.99, x, unit, kCdfTop - 22);
  }

  void Curve(const std::vector<double>& sorted, const Axis& x, const Axis& y, const Unit& unit, std::string_view stroke,
             std::string_view style) {
    Add("<path class=\"{}\" {} d=\"", style, stroke);
    double px = x.Pixel(sorted.front() * unit.per_second), py = y.Pixel(0);
    Add("M{:.1f} {:.1f}", px, py);
    for (size_t i = 0; i < sorted.size(); ++i) {
      const double to_x = x.Pixel(sorted[i] * unit.per_second);
      const double to_y = y.Pixel(100.0 * static_cast<double>(i + 1) / static_cast<double>(sorted.size()));
      // A step that nobody could see waits for the next one.
      if (i + 1 < sorted.size() && to_x - px < 0.5 && py - to_y < 0.5) continue;
      Add("H{:.1f}V{:.1f}", to_x, to_y);
      px = to_x;
      py = to_y;
    }
    svg_ += "\"/>\n";
  }

  void Mark(const std::vector<double>& sorted, double fraction, const Axis& x, const Unit& unit, double label_y) {
    // As the report's percentiles.
    const double rank = fraction * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<size_t>(rank);
    const double high = sorted[std::min(below + 1, sorted.size() - 1)];
    const double value =
        (sorted[below] + (high - sorted[below]) * (rank - static_cast<double>(below))) * unit.per_second;
    const double at = x.Pixel(value);
    Add("<path class=\"mark\" stroke-dasharray=\"2 3\" d=\"M{:.1f} {}V{}\"/>\n", at, label_y + 3, kCdfBottom);
    const bool left = at > (kLeft + kRight) / 2;
    Text(at + (left ? -4 : 4), label_y, left ? "end" : "start",
         fmt::format("p{:.0f} {:.4g} {}", 100 * fraction, value, unit.name));
  }

  const Plot& plot_;
  std::string svg_;
  size_t failed_ = std::numeric_limits<size_t>::max();  // the kind that is drawn as crosses
};

// 1, 2 or 5 times a power of ten: about a sixth of `span`.
double RoundStep(double span) {
  const double raw = span / 6, power = std::pow(10, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (raw <= factor * power * 1.0001) return factor * power;
  return 10 * power;
}

// The greatest of 1, 2 and 5 times a power of ten that is not above `value`.
double RoundBelow(double value) {
  const double power = std::pow(10, std::floor(std::log10(value) + 1e-9));
  for (const double factor : {5.0, 2.0})
    if (factor * power <= value * (1 + 1e-9)) return factor * power;
  return power;
}

// The value `step` steps above `low` in the row 1, 2, 5, 10, 20, ...; `low` is in it.
double LogarithmicTick(double low, int step) {
  constexpr std::array kRow = {1.0, 2.0, 5.0};
  const double power = std::pow(10, std::floor(std::log10(low) + 1e-9));
  const double first = low / power;
  const int place = (first < 1.5 ? 0 : first < 3.5 ? 1 : 2) + step;
  return kRow[static_cast<size_t>(place % 3)] * power * std::pow(10, place / 3);
}

}  // namespace

Axis::Axis(double low, double high, double from_pixel, double to_pixel, bool may_be_logarithmic)
    : low_(low), high_(high), from_pixel_(from_pixel), to_pixel_(to_pixel) {
  logarithmic_ = may_be_logarithmic && low > 0 && high / low >= 50;
  if (logarithmic_) {
    low_ = RoundBelow(low);
    high_ = low_;
    for (int step = 0; high_ < high * (1 - 1e-9); ++step) high_ = LogarithmicTick(low_, step);
    return;
  }
  low_ = 0;  // a linear axis that does not begin at 0 exaggerates
  if (!(high > 0)) high_ = 1;
  step_ = RoundStep(high_);
  high_ = step_ * std::ceil(high_ / step_ - 1e-9);
}

double Axis::Pixel(double value) const {
  const double part =
      logarithmic_ ? std::log(std::max(value, low_) / low_) / std::log(high_ / low_) : (value - low_) / (high_ - low_);
  return from_pixel_ + std::clamp(part, 0.0, 1.0) * (to_pixel_ - from_pixel_);
}

std::vector<double> Axis::Ticks() const {
  std::vector<double> ticks;
  if (!logarithmic_) {
    for (int i = 0; step_ * i <= high_ * (1 + 1e-9); ++i) ticks.push_back(step_ * i);
    return ticks;
  }
  const bool decades_only = high_ / low_ > 1e4;
  for (int step = 0;; ++step) {
    const double tick = LogarithmicTick(low_, step);
    if (tick > high_ * (1 + 1e-9)) return ticks;
    const double exponent = std::log10(tick);
    if (!decades_only || std::abs(exponent - std::round(exponent)) < 1e-9) ticks.push_back(tick);
  }
}

std::string PlotSvg(const Plot& plot) {
  return Drawing(plot).Finish();
}

}  // namespace mignificient::cli
