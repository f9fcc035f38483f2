// `mignificient bench`: sends load as a description says and reports latencies.
#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <optional>

#include <boost/json/serialize.hpp>

#include "cli/command.h"
#include "cli/exit_status.h"
#include "cli/load.h"
#include "cli/report.h"

namespace mignificient::cli {
namespace {

constexpr int kOpenLoopConnections = 64;

struct Options {
  std::string address;
  std::string description, csv;
  std::optional<int> concurrency, request_count;
  std::optional<double> request_rate;
  std::string distribution = "constant";
  int warmup = 0;
  bool as_json = false;
};

Result<LoadPlan> MakePlan(const Options& options) {
  MIG_ASSIGN(LoadDescription description, ReadLoadDescription(options.description));
  LoadPlan plan;
  MIG_ASSIGN(plan.address, Address::Parse(options.address.empty() ? description.address : options.address));
  plan.inputs = std::move(description.inputs);
  plan.different_users = description.different_users;
  plan.iterations = description.iterations;
  plan.workers = options.concurrency.value_or(description.parallel_requests);
  plan.requests = options.request_count.value_or(plan.iterations * plan.workers);
  plan.warmup_requests = options.warmup;
  if (options.request_rate) {
    plan.pace = Pace::kOpen;
    plan.workers = std::min(options.concurrency.value_or(kOpenLoopConnections), plan.requests);
    plan.due = options.distribution == "poisson" ? PoissonSchedule(plan.requests, *options.request_rate)
                                                 : ConstantSchedule(plan.requests, *options.request_rate);
  } else if (options.concurrency || options.request_count) {
    plan.pace = Pace::kCounted;
  } else {
    plan.pace = description.mode == LoadMode::kBatches ? Pace::kBatches : Pace::kIndependent;
  }
  return plan;
}

// A line that is drawn over itself, on terminals only, a hundred times at most.
class ProgressLine {
 public:
  explicit ProgressLine(int total) : total_(total), shown_(isatty(STDERR_FILENO) == 1) {}
  ~ProgressLine() {
    if (shown_) fmt::print(stderr, "\r\033[K");
  }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void Update(int done) {
    const int percent = static_cast<int>(100LL * done / total_);
    if (!shown_ || percent == percent_) return;
    percent_ = percent;
    fmt::print(stderr, "\r{:3} % of {} requests", percent, total_);
    std::fflush(stderr);
  }

 private:
  int total_;
  int percent_ = -1;
  bool shown_;
};

Result<> WriteCsv(const std::string& file, const LoadResult& result) {
  if (file.empty()) return {};
  std::ofstream out(file, std::ios::binary);
  out << SamplesCsv(result);
  out.close();
  if (!out) return Fail(Code::kOs, "File ({}) cannot be written.", file);
  return {};
}

int Bench(const Options& options) {
  const auto plan = MakePlan(options);
  if (!plan) return Complain("bench", plan.error());
  Result<LoadResult> result;
  {
    ProgressLine line(RecordedRequests(*plan));
    result = RunLoad(*plan, [&line](int done) { line.Update(done); });
  }
  if (!result) return Complain("bench", result.error());
  if (auto written = WriteCsv(options.csv, *result); !written) return Complain("bench", written.error());
  const LoadSummary summary = Summarize(*result);
  if (options.as_json)
    fmt::print("{}\n", boost::json::serialize(SummaryJson(summary)));
  else
    fmt::print("{}", SummaryText(summary));
  return summary.failed == 0 ? kExitOk : kExitFunctionError;
}

}  // namespace

Command AddBench(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("bench", "Send load as a description says and report latencies");
  const auto options = std::make_shared<Options>();
  app->add_option("--address", options->address, "Where the node listens (default: the description's address)")
      ->envname("MIGNIFICIENT_ADDRESS");
  app->add_option("description", options->description, "The load description (JSON)")->required();
  app->add_option("csv", options->csv, "Write `iteration,worker,time` (microseconds) to this file");
  app->add_option("--concurrency", options->concurrency,
                  "Connections; without --request-rate each one sends its next request when it is answered")
      ->check(CLI::Range(1, 100000));
  app->add_option("--request-count", options->request_count, "Requests to send in all")->check(CLI::Range(1, 1 << 30));
  app->add_option("--warmup-request-count", options->warmup, "Requests to send before, not recorded")
      ->check(CLI::Range(0, 1 << 30));
  app->add_option("--request-rate", options->request_rate,
                  "Requests per second, sent whether or not earlier ones are answered; measured from when each was due")
      ->check(CLI::Range(1e-3, 1e7));
  app->add_option("--request-distribution", options->distribution, "Gaps at that rate: constant or poisson")
      ->check(CLI::IsMember({"constant", "poisson"}))
      ->capture_default_str();
  app->add_flag("--json", options->as_json, "Print the summary as a JSON object");
  return {app, [options] { return Bench(*options); }};
}

}  // namespace mignificient::cli
