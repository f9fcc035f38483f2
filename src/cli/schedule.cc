#include "cli/schedule.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <memory>
#include <random>

#include "cli/read_file.h"

namespace mignificient::cli {
namespace {

using std::chrono::nanoseconds;

constexpr double kLongestSeconds = 1e8;  // three years; also keeps nanoseconds in their type

nanoseconds Seconds(double seconds) {
  return nanoseconds(std::llround(std::min(seconds, kLongestSeconds) * 1e9));
}

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

// Calls `line(number, text)` for each line that is not empty; stops at its first error.
template <typename Line>
Result<> EachLine(std::string_view text, Line line) {
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view trimmed = Trimmed(text.substr(0, end));
    if (!trimmed.empty()) MIG_TRY(line(number, trimmed));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return {};
}

std::vector<std::string_view> Cells(std::string_view line) {
  std::vector<std::string_view> cells;
  while (true) {
    const size_t comma = line.find(',');
    cells.push_back(Trimmed(line.substr(0, comma)));
    if (comma == line.npos) return cells;
    line.remove_prefix(comma + 1);
  }
}

struct Columns {
  size_t function = 0;
  size_t time = 0;  // of the start, or of the end where there is a duration
  std::optional<size_t> duration;
  size_t count = 0;
};

Result<Columns> ReadColumns(std::string_view line) {
  const std::vector<std::string_view> names = Cells(line);
  const auto find = [&names](std::string_view name) -> std::optional<size_t> {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) return std::nullopt;
    return static_cast<size_t>(found - names.begin());
  };
  const auto function = find("function") ? find("function") : find("func");
  const auto start = find("time"), end = find("end_timestamp"), duration = find("duration");
  if (!function || (!start && (!end || !duration)))
    return Fail(Code::kInvalidArgument,
                "The first line ({}) does not name the columns (allowed: `function` or `func` with `time`, or with "
                "`end_timestamp` and `duration`).",
                line);
  return Columns{.function = *function,
                 .time = start ? *start : *end,
                 .duration = start ? std::nullopt : duration,
                 .count = names.size()};
}

Result<double> Number(size_t line, std::string_view name, std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !(std::abs(number) <= kLongestSeconds))
    return Fail(Code::kInvalidArgument, "Line {}: `{}` is ({}) (allowed: seconds, such as 12.5).", line, name, text);
  return number;
}

// Collects the lines of a trace.
class TraceReader {
 public:
  Result<> Line(size_t number, std::string_view line) {
    if (!columns_) {
      MIG_ASSIGN(columns_, ReadColumns(line));
      return {};
    }
    const std::vector<std::string_view> cells = Cells(line);
    if (cells.size() != columns_->count)
      return Fail(Code::kInvalidArgument, "Line {} has {} values; the first line names {}.", number, cells.size(),
                  columns_->count);
    MIG_ASSIGN(double time, Number(number, columns_->duration ? "end_timestamp" : "time", cells[columns_->time]));
    if (columns_->duration) {
      MIG_ASSIGN(const double duration, Number(number, "duration", cells[*columns_->duration]));
      time -= duration;
    }
    const std::string name(cells[columns_->function]);
    if (name.empty()) return Fail(Code::kInvalidArgument, "Line {} names no function.", number);
    const auto [known, added] = ids_.try_emplace(name, static_cast<uint32_t>(ids_.size()));
    if (added) trace_.functions.push_back(name);
    seconds_.push_back({time, known->second});
    return {};
  }

  Result<Trace> Finish() {
    if (seconds_.empty()) return Fail(Code::kInvalidArgument, "It holds no invocation.");
    std::stable_sort(seconds_.begin(), seconds_.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [time, function] : seconds_)
      trace_.arrivals.push_back({.at = Seconds(time - seconds_.front().first), .function = function});
    return std::move(trace_);
  }

 private:
  std::optional<Columns> columns_;
  std::map<std::string, uint32_t> ids_;
  std::vector<std::pair<double, uint32_t>> seconds_;
  Trace trace_;
};

}  // namespace

Schedule ConstantSchedule(double rate) {
  return [rate, n = uint64_t{0}]() mutable { return Arrival{.at = Seconds(static_cast<double>(n++) / rate)}; };
}

Schedule PoissonSchedule(double rate, uint64_t seed) {
  return [random = std::mt19937_64(seed), gap = std::exponential_distribution<double>(rate), at = 0.0]() mutable {
    const Arrival arrival{.at = Seconds(at)};
    at += gap(random);
    return arrival;
  };
}

Schedule IntervalSchedule(std::vector<nanoseconds> intervals, bool repeat) {
  return [intervals = std::move(intervals), repeat, n = size_t{0},
          at = nanoseconds(0)]() mutable -> std::optional<Arrival> {
    if (n == intervals.size() && repeat) n = 0;
    if (n == intervals.size()) return std::nullopt;
    at += intervals[n++];
    return Arrival{.at = at};
  };
}

Schedule TraceSchedule(std::vector<Arrival> arrivals) {
  return [arrivals = std::move(arrivals), n = size_t{0}]() mutable -> std::optional<Arrival> {
    if (n == arrivals.size()) return std::nullopt;
    return arrivals[n++];
  };
}

Schedule Faster(Schedule schedule, double speed) {
  return [schedule = std::move(schedule), speed]() -> std::optional<Arrival> {
    auto arrival = schedule();
    if (arrival) arrival->at = Seconds(std::chrono::duration<double>(arrival->at).count() / speed);
    return arrival;
  };
}

Result<std::vector<nanoseconds>> ParseIntervals(std::string_view text) {
  std::vector<nanoseconds> intervals;
  MIG_TRY(EachLine(text, [&](size_t number, std::string_view line) -> Result<> {
    uint64_t us = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), us);
    constexpr auto kLongest = static_cast<uint64_t>(kLongestSeconds * 1e6);
    if (error != std::errc() || end != line.data() + line.size() || us > kLongest)
      return Fail(Code::kInvalidArgument, "Line {} is ({}) (allowed: whole microseconds from 0).", number, line);
    intervals.push_back(std::chrono::microseconds(us));
    return {};
  }));
  if (intervals.empty()) return Fail(Code::kInvalidArgument, "It holds no interval.");
  return intervals;
}

Result<Trace> ParseTrace(std::string_view text) {
  TraceReader reader;
  MIG_TRY(EachLine(text, [&reader](size_t number, std::string_view line) { return reader.Line(number, line); }));
  return reader.Finish();
}

Result<std::vector<nanoseconds>> ReadIntervals(const std::filesystem::path& file) {
  MIG_ASSIGN(const std::string text, ReadFile(file));
  auto intervals = ParseIntervals(text);
  if (!intervals)
    return std::unexpected(
        std::move(intervals).error().While(fmt::format("reading the intervals ({})", file.string())));
  return intervals;
}

Result<Trace> ReadTrace(const std::filesystem::path& file) {
  MIG_ASSIGN(const std::string text, ReadFile(file));
  auto trace = ParseTrace(text);
  if (!trace)
    return std::unexpected(std::move(trace).error().While(fmt::format("reading the trace ({})", file.string())));
  return trace;
}

}  // namespace mignificient::cli
