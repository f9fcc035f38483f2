#include "cli/bench_plan.h"

#include <algorithm>
#include <map>

#include "cli/description.h"
#include "cli/read_file.h"

namespace mignificient::cli {
namespace {

namespace json = boost::json;
using std::chrono::nanoseconds;

constexpr int kDefaultConnections = 1000;
constexpr double kDefaultIntervalMs = 5000;  // perf_analyzer's

struct Given {
  std::string_view name;
  bool given;
};

Result<> CheckTogether(const BenchOptions& o) {
  const Given paces[] = {{"--concurrency", o.concurrency.has_value()},
                         {"--request-rate", o.request_rate.has_value()},
                         {"--request-intervals", !o.intervals_file.empty()},
                         {"--trace", !o.trace_file.empty()}};
  const Given* pace = nullptr;
  for (const Given& option : paces) {
    if (!option.given) continue;
    if (pace != nullptr)
      return Fail(Code::kInvalidArgument, "Options {} and {} exclude each other: each says when requests are sent.",
                  pace->name, option.name);
    pace = &option;
  }
  const bool replay = !o.intervals_file.empty() || !o.trace_file.empty();
  struct Need {
    Given option;
    bool there;
    std::string_view what;
  };
  const Need needs[] = {
      {{"--request-distribution", o.distribution.has_value()}, o.request_rate.has_value(), "--request-rate"},
      {{"--random-seed", o.seed.has_value()}, o.distribution == "poisson", "--request-distribution poisson"},
      {{"--replay-speed", o.replay_speed.has_value()}, replay, "--request-intervals or --trace"},
      {{"--max-connections", o.max_connections.has_value()},
       o.request_rate || replay,
       "--request-rate, --request-intervals or --trace"},
      {{"--user", o.user.has_value()}, !o.description.empty(), "a description"}};
  for (const auto& [option, there, what] : needs)
    if (option.given && !there) return Fail(Code::kInvalidArgument, "Option {} needs {}.", option.name, what);
  if (o.description.empty() && o.functions.empty() && o.trace_file.empty())
    return Fail(Code::kInvalidArgument, "Name what to load: a description file, --function or --trace.");
  if (!o.description.empty() && !o.functions.empty())
    return Fail(Code::kInvalidArgument,
                "The description ({}) and --function ({}) exclude each other: each says what is sent.", o.description,
                o.functions.front());
  if (!o.csv.empty() && !o.csv_option.empty())
    return Fail(Code::kInvalidArgument, "The CSV file is named twice ({} and --csv {}).", o.csv, o.csv_option);
  return {};
}

// Which requests an invocation of each of the trace's functions is: those of the same name, or, where no name is known
// (traces are anonymous), those there are, in turn.
Result<std::vector<uint32_t>> MatchTrace(const Trace& trace, const std::vector<LoadRequest>& requests, bool& in_turn) {
  std::map<std::string_view, uint32_t> known;
  for (uint32_t i = 0; i < requests.size(); ++i) known.emplace(requests[i].function(), i);
  std::vector<uint32_t> match;
  const std::string* unknown = nullptr;
  for (const std::string& function : trace.functions) {
    const auto found = known.find(function);
    if (found != known.end())
      match.push_back(found->second);
    else if (unknown == nullptr)
      unknown = &function;
  }
  in_turn = match.empty();
  if (in_turn) {
    for (uint32_t i = 0; i < trace.functions.size(); ++i) match.push_back(i % static_cast<uint32_t>(requests.size()));
  } else if (unknown != nullptr) {
    std::string names;
    for (const auto& [name, index] : known) names += fmt::format("{}{}", names.empty() ? "" : ", ", name);
    return Fail(Code::kInvalidArgument, "Function ({}) of the trace is none of those given (allowed: {}).", *unknown,
                names);
  }
  return match;
}

// Builds one plan.
class Planner {
 public:
  explicit Planner(const BenchOptions& options) : o_(options) {}

  Result<BenchPlan> Make() {
    MIG_TRY(CheckTogether(o_));
    MIG_TRY(ReadFiles());
    MIG_TRY(Target());
    MIG_TRY(Times());
    MIG_TRY(Workers());
    Users();
    Parameters();
    return std::move(plan_);
  }

 private:
  Result<> ReadFiles() {
    if (!o_.description.empty()) {
      MIG_ASSIGN(description_, ReadLoadDescription(o_.description));
    }
    if (!o_.trace_file.empty()) {
      MIG_ASSIGN(trace_, ReadTrace(o_.trace_file));
    }
    if (!o_.intervals_file.empty()) {
      MIG_ASSIGN(intervals_, ReadIntervals(o_.intervals_file));
    }
    if (o_.payload) {
      MIG_ASSIGN(payload_, ReadPayload(*o_.payload));
    }
    return {};
  }

  Result<> Target() {
    const std::string standard = description_ ? description_->address : LoadDescription{}.address;
    MIG_ASSIGN(load_.address, Address::Parse(o_.address.empty() ? standard : o_.address));
    load_.trust = o_.trust;
    if (description_) {
      for (json::object& input : description_->inputs) {
        if (o_.payload) input["input-payload"] = payload_;
        load_.requests.push_back(LoadRequest::Invoke(load_.address, o_.token, std::move(input)));
      }
      return {};
    }
    for (const std::string& function : o_.functions.empty() ? trace_->functions : o_.functions)
      load_.requests.push_back(LoadRequest::Registered(load_.address, o_.token, function, payload_));
    return {};
  }

  Result<> Times() {
    load_.request_count = o_.request_count;
    if (o_.interval_ms) load_.measurement_interval = nanoseconds(static_cast<int64_t>(*o_.interval_ms * 1e6));
    const bool ends = o_.request_count || o_.interval_ms;
    if (trace_) return Replay();
    if (intervals_) {
      if (ends && std::all_of(intervals_->begin(), intervals_->end(), [](nanoseconds i) { return i.count() == 0; }))
        return Fail(Code::kInvalidArgument, "Every interval of the file ({}) is 0: it cannot begin anew.",
                    o_.intervals_file);
      if (!ends) load_.request_count = intervals_->size();
      load_.schedule = IntervalSchedule(*intervals_, ends);
    } else if (o_.request_rate) {
      load_.schedule = o_.distribution == "poisson" ? PoissonSchedule(*o_.request_rate, o_.seed.value_or(1))
                                                    : ConstantSchedule(*o_.request_rate);
    }
    if (load_.schedule) return OpenLoop();
    const bool as_described = description_ && !o_.concurrency && !ends;
    load_.pace = !as_described                              ? Pace::kClosed
                 : description_->mode == LoadMode::kBatches ? Pace::kBatches
                                                            : Pace::kIndependent;
    return {};
  }

  Result<> Replay() {
    bool in_turn = false;
    MIG_ASSIGN(const std::vector<uint32_t> match, MatchTrace(*trace_, load_.requests, in_turn));
    if (in_turn)
      plan_.notices.push_back(fmt::format("The {} functions of the trace are played by the {} given, in turn.",
                                          trace_->functions.size(), load_.requests.size()));
    for (Arrival& arrival : trace_->arrivals) arrival.function = match[*arrival.function];
    load_.request_count = std::min<uint64_t>(load_.request_count.value_or(~uint64_t{0}), trace_->arrivals.size());
    load_.schedule = TraceSchedule(std::move(trace_->arrivals));
    return OpenLoop();
  }

  Result<> OpenLoop() {
    load_.pace = Pace::kOpen;
    load_.max_connections = o_.max_connections.value_or(kDefaultConnections);
    if (o_.replay_speed) load_.schedule = Faster(std::move(load_.schedule), *o_.replay_speed);
    return {};
  }

  Result<> Workers() {
    const auto targets = static_cast<int>(load_.requests.size());
    const int described = description_ ? description_->parallel_requests : targets;
    load_.workers = load_.pace == Pace::kOpen ? std::max(described, targets) : o_.concurrency.value_or(described);
    load_.iterations = description_ ? description_->iterations : 1;
    load_.warmup_requests = o_.warmup.value_or(0);
    if (load_.workers < targets && !o_.functions.empty())
      return Fail(Code::kInvalidArgument,
                  "Concurrency ({}) is less than the number of functions ({}): each worker sends one of them.",
                  load_.workers, targets);
    if (load_.workers < targets)
      plan_.notices.push_back(
          fmt::format("Only {} of the {} inputs are sent: there is one for each worker.", load_.workers, targets));
    const bool by_iterations = load_.pace == Pace::kIndependent || load_.pace == Pace::kBatches;
    if (by_iterations || load_.request_count || load_.measurement_interval) return {};
    if (description_)
      load_.request_count = static_cast<uint64_t>(load_.iterations) * static_cast<uint64_t>(load_.workers);
    else
      load_.measurement_interval = nanoseconds(static_cast<int64_t>(kDefaultIntervalMs * 1e6));
    return {};
  }

  void Users() {
    if (!description_) {
      load_.users = {""};  // the token says who asks
    } else if (description_->different_users) {
      for (int worker = 0; worker < load_.workers; ++worker)
        load_.users.push_back(fmt::format("{}-{}", o_.user.value_or("user"), worker));
    } else {
      load_.users = {o_.user.value_or("user")};
    }
  }

  void Parameters() {
    json::object& p = plan_.parameters;
    constexpr std::string_view kModes[] = {"independent", "batches", "closed", "open"};
    p["mode"] = json::string_view(kModes[static_cast<size_t>(load_.pace)].data());
    p["address"] = load_.address.Text();
    if (!o_.description.empty()) p["description"] = o_.description;
    json::array functions;
    for (const LoadRequest& request : load_.requests) functions.emplace_back(request.function());
    p["functions"] = std::move(functions);
    if (o_.payload) p["payload_bytes"] = payload_.size();
    p["workers"] = load_.workers;
    if (load_.pace == Pace::kIndependent || load_.pace == Pace::kBatches) p["iterations"] = load_.iterations;
    if (description_) p["different_users"] = description_->different_users;
    if (o_.user) p["user"] = *o_.user;
    p["warmup_request_count"] = load_.warmup_requests;
    if (load_.request_count) p["request_count"] = *load_.request_count;
    if (load_.measurement_interval)
      p["measurement_interval_ms"] = std::chrono::duration<double, std::milli>(*load_.measurement_interval).count();
    if (load_.pace == Pace::kOpen) p["max_connections"] = load_.max_connections;
    if (o_.request_rate) {
      p["request_rate"] = *o_.request_rate;
      p["request_distribution"] = o_.distribution.value_or("constant");
      if (o_.distribution == "poisson") p["random_seed"] = o_.seed.value_or(1);
    }
    if (intervals_) p["request_intervals"] = o_.intervals_file;
    if (trace_) p["trace"] = o_.trace_file;
    if (o_.replay_speed) p["replay_speed"] = *o_.replay_speed;
    if (o_.latency_threshold_ms) p["latency_threshold_ms"] = *o_.latency_threshold_ms;
  }

  const BenchOptions& o_;
  BenchPlan plan_;
  LoadPlan& load_ = plan_.load;
  std::optional<LoadDescription> description_;
  std::optional<Trace> trace_;
  std::optional<std::vector<nanoseconds>> intervals_;
  std::string payload_;
};

}  // namespace

Result<BenchPlan> MakeBenchPlan(const BenchOptions& options) {
  return Planner(options).Make();
}

}  // namespace mignificient::cli
