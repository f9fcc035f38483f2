// The options of `bench`, and what each may be.
#include <fmt/format.h>

#include <charconv>

#include "cli/bench_plan.h"
#include "cli/command.h"

namespace mignificient::cli {
namespace {

// CLI11's own range checks accept `1e2` for an int and name no range for what is no number.
template <typename T>
CLI::Validator From(T low, T high, std::string_view what) {
  return CLI::Validator(
      [low, high, what = std::string(what)](std::string& text) {
        T number{};
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        const bool good = error == std::errc() && end == text.data() + text.size() && number >= low && number <= high;
        return good ? std::string()
                    : fmt::format("({}) is not allowed (allowed: {} from {} to {})", text, what, low, high);
      },
      "");
}

constexpr int kMostConnections = 100000;
constexpr uint64_t kMostRequests = uint64_t{1} << 40;
constexpr std::string_view kWhole = "a whole number";
constexpr std::string_view kNumber = "a number";

void AddTargets(CLI::App& app, BenchOptions& options) {
  app.add_option("--address", options.address, "Where the node listens (default: the description's address)")
      ->envname("MIGNIFICIENT_ADDRESS");
  AddToken(app, options.token);
  AddTrust(app, options.trust);
  app.add_option("description", options.description,
                 "The load description (JSON), unless --function or --trace is given");
  app.add_option("csv", options.csv, "The same as --csv");
  app.add_option("--function", options.functions,
                 "A registered function; may be repeated, each worker sends one of them")
      ->allow_extra_args(false);
  app.add_option("-d,--payload", options.payload,
                 "What each function is given: text, @FILE, or @- for standard input (default: the description's, else "
                 "nothing)");
  app.add_option("--user", options.user, "Who asks, in requests of a description (default: `user`, or `user-WORKER`)");
}

void AddPace(CLI::App& app, BenchOptions& options) {
  app.add_option("--concurrency", options.concurrency,
                 "Closed loop: so many workers, each sends its next request when the last one is answered")
      ->check(From(1, kMostConnections, kWhole));
  app.add_option(
         "--request-rate", options.request_rate,
         "Open loop: requests per second, sent whether or not earlier ones are answered, and measured from when "
         "each was due")
      ->check(From(1e-3, 1e6, kNumber));
  app.add_option("--request-distribution", options.distribution, "Gaps at that rate: constant (default) or poisson")
      ->check(CLI::IsMember({"constant", "poisson"}));
  app.add_option("--random-seed", options.seed, "Other gaps for poisson (default: 1)")
      ->check(From(uint64_t{0}, ~uint64_t{0}, kWhole));
  app.add_option(
      "--request-intervals", options.intervals_file,
      "Open loop: a file with one interval in microseconds per line; it begins anew until --request-count or "
      "--measurement-interval ends it, if one is given");
  app.add_option("--trace", options.trace_file,
                 "Open loop: a CSV file of invocations with the columns function and time (seconds), or func, "
                 "end_timestamp and duration as the Azure Functions trace has them");
  app.add_option("--replay-speed", options.replay_speed, "So many times as fast as --request-intervals or --trace says")
      ->check(From(1e-6, 1e6, kNumber));
  app.add_option("--max-connections", options.max_connections,
                 "Open loop: the most connections that are opened (default: 1000)")
      ->check(From(1, kMostConnections, kWhole));
}

void AddEnds(CLI::App& app, BenchOptions& options) {
  app.add_option("--warmup-request-count", options.warmup, "Requests to send before, not measured")
      ->check(From(0, 1 << 30, kWhole));
  app.add_option("--request-count", options.request_count, "Requests to send in all")
      ->check(From(uint64_t{1}, kMostRequests, kWhole));
  app.add_option("--measurement-interval", options.interval_ms,
                 "Milliseconds after which nothing more is sent; what was sent is waited for (default with --function: "
                 "5000, unless --request-count is given)")
      ->check(From(1.0, 1e10, kNumber));
}

void AddReports(CLI::App& app, BenchOptions& options) {
  app.add_option("--latency-threshold", options.latency_threshold_ms,
                 "Milliseconds within which an answer counts to the goodput (default: however long it takes)")
      ->check(From(1e-6, 1e10, kNumber));
  app.add_option("--csv", options.csv_option, "Write `iteration,worker,time` (microseconds) to this file");
  app.add_option("--plot", options.plot, "Draw latency over time and its distribution into this SVG file");
  app.add_flag("--json", options.as_json, "Print the report as a JSON object");
}

}  // namespace

void AddBenchOptions(CLI::App& app, BenchOptions& options) {
  AddTargets(app, options);
  AddPace(app, options);
  AddEnds(app, options);
  AddReports(app, options);
}

}  // namespace mignificient::cli
