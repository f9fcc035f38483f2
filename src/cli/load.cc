#include "cli/load.h"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <mutex>
#include <random>
#include <thread>
#include <tuple>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "cli/exit_status.h"

namespace mignificient::cli {
namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;

// The node's sentence in an error's body, or the body.
std::string Sentence(const Answer& answer) {
  boost::system::error_code error;
  const json::value body = json::parse(json::string_view(answer.body.data(), answer.body.size()), error);
  if (!error && body.is_object())
    if (const json::value* text = body.as_object().if_contains("error"); text != nullptr && text->is_string())
      return std::string(text->as_string());
  return answer.body;
}

void Judge(const Result<Answer>& answer, Sample& sample) {
  if (!answer) {
    sample.error_type = "connection";
    sample.error = answer.error().message();
    return;
  }
  sample.start_type = std::string(answer->Header("X-Start-Type"));
  const std::string_view type = answer->Header("X-Function-Error");
  if (ExitOfAnswer(answer->status, type) == kExitOk) return;
  sample.error_type = type.empty() ? fmt::format("status_{}", answer->status) : std::string(type);
  sample.error = Sentence(*answer);
}

// One load while it runs: what the workers share.
class Load {
 public:
  Load(const LoadPlan& plan, const std::function<void(int)>& progress) : plan_(plan), progress_(progress) {}

  Result<LoadResult> Run() {
    for (int worker = 0; worker < plan_.workers; ++worker) {
      clients_.emplace_back(plan_.address);
      MIG_TRY(clients_.back().Connect());
    }
    WarmUp();
    start_ = Clock::now();
    switch (plan_.pace) {
      case Pace::kIndependent:
        Independent();
        break;
      case Pace::kBatches:
        Batches();
        break;
      case Pace::kCounted:
        Counted();
        break;
      case Pace::kOpen:
        Open();
        break;
    }
    LoadResult result{.samples = std::move(samples_), .elapsed = Clock::now() - start_};
    const bool by_worker = plan_.pace == Pace::kIndependent;
    std::sort(result.samples.begin(), result.samples.end(), [by_worker](const Sample& a, const Sample& b) {
      return by_worker ? std::tie(a.worker, a.iteration) < std::tie(b.worker, b.iteration)
                       : std::tie(a.iteration, a.worker) < std::tie(b.iteration, b.worker);
    });
    return result;
  }

 private:
  template <typename Body>
  void OnAllWorkers(const Body& body) {
    std::vector<std::jthread> threads;
    for (int worker = 0; worker < plan_.workers; ++worker) threads.emplace_back([&body, worker] { body(worker); });
  }

  void WarmUp() {
    if (plan_.warmup_requests == 0) return;
    std::atomic<int> next{0};
    OnAllWorkers([&](int worker) {
      for (int i = next++; i < plan_.warmup_requests; i = next++)
        (void)clients_[worker].Post("/invoke", Body(fmt::format("warmup-{}-{}", i, worker), worker));
    });
  }

  void Independent() {
    std::barrier first_round(plan_.workers);
    OnAllWorkers([&](int worker) {
      Send(0, worker);
      first_round.arrive_and_wait();
      for (int iteration = 1; iteration <= plan_.iterations; ++iteration) Send(iteration, worker);
    });
  }

  void Batches() {
    std::barrier round(plan_.workers);
    OnAllWorkers([&](int worker) {
      for (int iteration = 0; iteration < plan_.iterations; ++iteration) {
        round.arrive_and_wait();
        Send(iteration, worker);
      }
    });
  }

  void Counted() {
    std::atomic<int> next{0};
    OnAllWorkers([&](int worker) {
      for (int request = next++; request < plan_.requests; request = next++) Send(request, worker);
    });
  }

  void Open() {
    std::atomic<int> next{0};
    OnAllWorkers([&](int worker) {
      for (int request = next++; request < plan_.requests; request = next++)
        Send(request, worker, start_ + plan_.due[static_cast<size_t>(request)]);
    });
  }

  std::string Body(const std::string& uuid, int worker) const {
    json::object body = plan_.inputs[static_cast<size_t>(worker) % plan_.inputs.size()];
    body["uuid"] = uuid;
    body["user"] = plan_.different_users ? fmt::format("user-{}", worker) : "user";
    return json::serialize(body);
  }

  void Send(int iteration, int worker, std::optional<Clock::time_point> due = std::nullopt) {
    std::string body = Body(fmt::format("invoc-{}-{}", iteration, worker), worker);
    Sample sample{.iteration = iteration, .worker = worker};
    if (due) std::this_thread::sleep_until(*due);
    const auto sent = Clock::now();
    const auto answer = clients_[static_cast<size_t>(worker)].Post("/invoke", std::move(body));
    const auto answered = Clock::now();
    sample.time = answered - due.value_or(sent);
    sample.late = sent - due.value_or(sent);
    Judge(answer, sample);
    const std::lock_guard lock(mutex_);
    samples_.push_back(std::move(sample));
    progress_(static_cast<int>(samples_.size()));
  }

  const LoadPlan& plan_;
  const std::function<void(int)>& progress_;
  std::vector<HttpClient> clients_;  // one per worker
  Clock::time_point start_;
  std::mutex mutex_;
  std::vector<Sample> samples_;  // guarded by mutex_
};

std::chrono::nanoseconds Seconds(double seconds) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(seconds));
}

}  // namespace

Result<LoadResult> RunLoad(const LoadPlan& plan, const std::function<void(int done)>& progress) {
  return Load(plan, progress).Run();
}

int RecordedRequests(const LoadPlan& plan) {
  switch (plan.pace) {
    case Pace::kIndependent:
      return plan.workers * (plan.iterations + 1);
    case Pace::kBatches:
      return plan.workers * plan.iterations;
    default:
      return plan.requests;
  }
}

std::vector<std::chrono::nanoseconds> ConstantSchedule(int requests, double rate) {
  std::vector<std::chrono::nanoseconds> due;
  for (int i = 0; i < requests; ++i) due.push_back(Seconds(i / rate));
  return due;
}

std::vector<std::chrono::nanoseconds> PoissonSchedule(int requests, double rate) {
  std::mt19937_64 random(1);  // NOLINT(cert-msc51-cpp): the same gaps each time, so that runs can be compared
  std::exponential_distribution<double> gap(rate);
  std::vector<std::chrono::nanoseconds> due;
  double at = 0;
  for (int i = 0; i < requests; ++i, at += gap(random)) due.push_back(Seconds(at));
  return due;
}

}  // namespace mignificient::cli
