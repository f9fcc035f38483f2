// `mignificient bench`: sends load to a node and reports latencies.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <ctime>
#include <memory>

#include <boost/json/serialize.hpp>

#include "cli/bench_plan.h"
#include "cli/command.h"
#include "cli/exit_status.h"
#include "cli/plot.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/sample_log.h"
#include "cli/version.h"

namespace mignificient::cli {
namespace {

namespace json = boost::json;

// Everything that wants to know of each request.
class Audience : public LoadObserver {
 public:
  Audience(Report& report, SampleLog& samples, ProgressLine& line) : report_(report), samples_(samples), line_(line) {}

  void OnExchange(const Exchange& exchange) override {
    const bool failed = !report_.Add(exchange).empty();
    const std::string_view start = exchange.start_type.empty() ? "answered" : exchange.start_type;
    samples_.Add(exchange, failed ? SampleLog::kFailed : start);
  }
  void OnTick(const LoadProgress& progress) override { line_.Update(progress, report_.failed()); }

 private:
  Report& report_;
  SampleLog& samples_;
  ProgressLine& line_;
};

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

// Opened before the load: a typing error in its name must not cost an hour's measurement.
Result<File> OpenPlot(const std::string& name) {
  File file(nullptr, std::fclose);
  if (name.empty()) return file;
  file.reset(std::fopen(name.c_str(), "we"));
  if (file == nullptr)
    return std::unexpected(FailErrno("open", errno).error().While(fmt::format("writing the plot ({})", name)));
  return file;
}

Result<> WritePlot(File file, const std::string& title, const SampleLog& samples) {
  if (file == nullptr) return {};
  const std::string svg =
      PlotSvg({.title = title, .kinds = samples.kinds(), .samples = samples.samples(), .requests = samples.count()});
  const bool written = std::fwrite(svg.data(), 1, svg.size(), file.get()) == svg.size();
  if (std::fclose(file.release()) != 0 || !written) return FailErrno("write", errno);
  return {};
}

std::string Title(const BenchPlan& plan) {
  const json::array& functions = plan.parameters.at("functions").as_array();
  std::string title(functions.front().as_string());
  if (functions.size() > 1) title += fmt::format(" and {} more", functions.size() - 1);
  if (const json::value* rate = plan.parameters.if_contains("request_rate"))
    return fmt::format("{}, {} requests/s ({})", title, rate->as_double(),
                       std::string(plan.parameters.at("request_distribution").as_string()));
  if (plan.load.pace == Pace::kOpen) return fmt::format("{}, replay", title);
  return fmt::format("{}, {} workers ({})", title, plan.load.workers,
                     std::string(plan.parameters.at("mode").as_string()));
}

json::object ReportJson(const BenchPlan& plan, const LoadSummary& summary, std::time_t begin) {
  const std::string_view version = Version();
  json::object report{{"version", json::string_view(version.data(), version.size())},
                      {"date", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(begin))},
                      {"parameters", plan.parameters}};
  for (auto& [key, value] : SummaryJson(summary)) report[key] = std::move(value);
  return report;
}

Result<LoadEnd> Measure(const BenchPlan& plan, Report& report, SampleLog& samples) {
  ProgressLine line(PlannedRequests(plan.load), plan.load.measurement_interval);
  Audience audience(report, samples, line);
  return RunLoad(plan.load, audience);
}

Result<int> Bench(const BenchOptions& options) {
  MIG_ASSIGN(const BenchPlan plan, MakeBenchPlan(options));
  for (const std::string& notice : plan.notices) fmt::print(stderr, "mignificient bench: {}\n", notice);
  const auto order =
      plan.load.pace == Pace::kIndependent ? SampleLog::Order::kByWorker : SampleLog::Order::kByIteration;
  MIG_ASSIGN(SampleLog samples, SampleLog::Create(options.csv.empty() ? options.csv_option : options.csv, order));
  MIG_ASSIGN(File plot, OpenPlot(options.plot));
  Report report(plan.load, options.latency_threshold_ms.value_or(0));
  const std::time_t begin = std::time(nullptr);
  MIG_ASSIGN(const LoadEnd end, Measure(plan, report, samples));
  const LoadSummary summary = report.Summarize(end);
  if (options.as_json)
    fmt::print("{}\n", json::serialize(ReportJson(plan, summary, begin)));
  else
    fmt::print("{}", SummaryText(summary));
  MIG_TRY(samples.Finish());
  MIG_TRY(WritePlot(std::move(plot), Title(plan), samples));
  if (std::fflush(stdout) != 0) return FailErrno("write", errno);
  return ExitOfLoad(summary);
}

}  // namespace

Command AddBench(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("bench", "Send load to a node and report latencies");
  const auto options = std::make_shared<BenchOptions>();
  AddBenchOptions(*app, *options);
  return {app, [options] {
            const auto exit = Bench(*options);
            return exit ? *exit : Complain("bench", exit.error());
          }};
}

}  // namespace mignificient::cli
