// When the requests of an open loop are due.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mignificient::cli {

struct Arrival {
  std::chrono::nanoseconds at{};     // since the start of the load
  std::optional<uint32_t> function;  // which of Trace::functions; nullopt: whichever is next
};

// Called for one request after the other, times ascending; nullopt once there are no more.
using Schedule = std::function<std::optional<Arrival>()>;

// Endless: `rate` requests per second with equal gaps, or with exponential ones (the same ones for the same seed).
Schedule ConstantSchedule(double rate);
Schedule PoissonSchedule(double rate, uint64_t seed);

// Request n is due at the sum of the first n + 1 intervals. With `repeat` the intervals begin anew, else the schedule
// ends with them.
Schedule IntervalSchedule(std::vector<std::chrono::nanoseconds> intervals, bool repeat);

// Invocations of several functions as they were recorded.
struct Trace {
  std::vector<std::string> functions;  // in order of appearance
  std::vector<Arrival> arrivals;       // by time; the first one at 0
};
Schedule TraceSchedule(std::vector<Arrival> arrivals);

// The same `speed` times as fast.
Schedule Faster(Schedule schedule, double speed);

// perf_analyzer's --request-intervals: one interval in whole microseconds per line. kInvalidArgument names the line.
Result<std::vector<std::chrono::nanoseconds>> ParseIntervals(std::string_view text);

// Lines of comma-separated values below a line of names: `function` (or `func`) and `time` in seconds; or, as the Azure
// Functions trace of 2021 has it, `func`, `end_timestamp` and `duration`. Other columns do not count, nor does the
// order of lines. kInvalidArgument names the line.
Result<Trace> ParseTrace(std::string_view text);

// The same from files.
Result<std::vector<std::chrono::nanoseconds>> ReadIntervals(const std::filesystem::path& file);
Result<Trace> ReadTrace(const std::filesystem::path& file);

}  // namespace mignificient::cli
