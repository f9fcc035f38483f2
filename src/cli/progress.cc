#include "cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

namespace mignificient::cli {

ProgressLine::ProgressLine(std::optional<uint64_t> requests, std::optional<std::chrono::nanoseconds> interval)
    : requests_(requests), interval_(interval), shown_(isatty(STDERR_FILENO) == 1) {}

ProgressLine::~ProgressLine() {
  if (shown_) fmt::print(stderr, "\r\033[K");
}

void ProgressLine::Update(const LoadProgress& progress, uint64_t failed) {
  if (!shown_) return;
  fmt::print(stderr, "\r{}\033[K", Text(progress, failed));
  std::fflush(stderr);
}

std::string ProgressLine::Text(const LoadProgress& progress, uint64_t failed) const {
  const double seconds = std::chrono::duration<double>(progress.elapsed).count();
  double part = -1;
  if (requests_) part = static_cast<double>(progress.done) / static_cast<double>(std::max<uint64_t>(*requests_, 1));
  if (interval_) part = std::max(part, seconds / std::chrono::duration<double>(*interval_).count());
  std::string text;
  if (part >= 0) {
    part = std::min(part, 1.0);
    constexpr int kCells = 24;
    const auto full = static_cast<size_t>(kCells * part);
    text = fmt::format("[{}{}] {:3.0f} %  ", std::string(full, '#'), std::string(kCells - full, '-'), 100 * part);
  }
  text += fmt::format("{} requests, {:.1f}/s", progress.done,
                      seconds > 0 ? static_cast<double>(progress.done) / seconds : 0);
  if (failed > 0) text += fmt::format(", {} failed", failed);
  text += fmt::format(", {} in flight", progress.in_flight);
  if (part > 0 && part < 1) text += fmt::format(", {:.0f} s left", std::ceil(seconds / part * (1 - part)));
  return text;
}

}  // namespace mignificient::cli
