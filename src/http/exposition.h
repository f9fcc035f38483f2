// Text in Prometheus's exposition format, version 0.0.4.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace mignificient::http {

class Exposition {
 public:
  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  // Begins a metric; its samples follow. `type`: counter, gauge, histogram.
  void Metric(std::string_view name, std::string_view type, std::string_view help);
  void Sample(double value, Labels labels = {}) { Line(name_, labels, value); }
  // A sample of a name of its own below the metric: `_bucket`, `_sum`, `_count`.
  void Part(std::string_view suffix, double value, Labels labels = {});

  const std::string& text() const { return text_; }

 private:
  void Line(std::string_view name, Labels labels, double value);

  std::string name_, text_;
};

}  // namespace mignificient::http
