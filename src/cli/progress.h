// How far a load is, on the terminal: one line that is drawn over itself. Nothing where standard error is none.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "cli/load.h"

namespace mignificient::cli {

class ProgressLine {
 public:
  // Of so many requests, or for so long; with neither it has no bar.
  ProgressLine(std::optional<uint64_t> requests, std::optional<std::chrono::nanoseconds> interval);
  ~ProgressLine();  // wipes the line
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void Update(const LoadProgress& progress, uint64_t failed);

  // `[#####-----]  50 %  500 requests, 100.0/s, 3 failed, 8 in flight, 5 s left`. Exposed for tests.
  std::string Text(const LoadProgress& progress, uint64_t failed) const;

 private:
  std::optional<uint64_t> requests_;
  std::optional<std::chrono::nanoseconds> interval_;
  bool shown_;
};

}  // namespace mignificient::cli
