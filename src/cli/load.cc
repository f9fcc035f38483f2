#include "cli/load.h"

#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <deque>
#include <exception>
#include <memory>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>

#include "cli/exit_status.h"
#include "cli/load_connection.h"

namespace mignificient::cli {
namespace {

namespace asio = boost::asio;
using std::chrono::nanoseconds;
using SystemError = boost::system::error_code;

constexpr auto kTick = std::chrono::milliseconds(200);
// A worker whose node has gone does not spin.
constexpr auto kPauseAfterNoConnection = std::chrono::milliseconds(10);

auto Into(SystemError& error) {
  return asio::redirect_error(asio::use_awaitable_t<LoadExecutor>(), error);
}

void Rethrow(const std::exception_ptr& thrown) {
  if (thrown) std::rethrow_exception(thrown);
}

// As many descriptors as the system lets us have.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);  // a lower limit shows in the connections that fail
}

// One request to be made.
struct Ticket {
  uint64_t iteration = 0;
  int worker = 0;
  size_t request = 0;
  std::optional<nanoseconds> due;  // since the start
  bool queued = false;
};

// One load while it runs. Everything is on one loop, in one thread.
class Load {
 public:
  Load(const LoadPlan& plan, LoadObserver& observer) : plan_(plan), observer_(observer) {}

  Result<LoadEnd> Run() {
    MIG_ASSIGN(target_, LoadTarget::Resolve(plan_.address, plan_.trust));
    RaiseDescriptorLimit();
    asio::signal_set signals(context_, SIGINT, SIGTERM);
    signals.async_wait([this](SystemError error, int signal) {
      if (error) return;
      end_.signal = signal;
      context_.stop();
    });
    asio::co_spawn(context_, Main(), [&](const std::exception_ptr& thrown) {
      Rethrow(thrown);
      context_.stop();
    });
    context_.run();
    if (failure_) return std::unexpected(*failure_);
    end_.abandoned = in_flight_;
    if (measuring_) end_.elapsed = end_.signal != 0 ? Elapsed() : last_answer_;
    end_.connections = static_cast<int>(connections_.size());
    return end_;
  }

 private:
  LoadTask<void> Main() {
    const int at_once = plan_.pace == Pace::kOpen ? std::min(plan_.workers, plan_.max_connections) : plan_.workers;
    co_await Connect(plan_.pace == Pace::kOpen && plan_.warmup_requests == 0 ? 1 : at_once);
    if (failure_) co_return;
    co_await WarmUp();
    start_ = LoadClock::now();
    measuring_ = true;
    asio::co_spawn(context_, Tick(), Rethrow);
    switch (plan_.pace) {
      case Pace::kIndependent:
        co_await Independent();
        break;
      case Pace::kBatches:
        co_await Batches();
        break;
      case Pace::kClosed:
        co_await Closed();
        break;
      case Pace::kOpen:
        co_await Open();
        break;
    }
  }

  uint64_t Iterations() const { return static_cast<uint64_t>(plan_.iterations); }
  nanoseconds Elapsed() const { return LoadClock::now() - start_; }

  LoadConnection& AddConnection() {
    return *connections_.emplace_back(std::make_unique<LoadConnection>(context_.get_executor(), target_));
  }

  // Runs `body(worker)` for so many workers at once, and returns when each has returned.
  template <typename Body>
  LoadTask<void> OnWorkers(int workers, Body body) {
    int left = workers;
    LoadTimer done(context_.get_executor(), LoadClock::time_point::max());
    for (int worker = 0; worker < workers; ++worker)
      asio::co_spawn(context_, body(worker), [&](const std::exception_ptr& thrown) {
        Rethrow(thrown);
        if (--left == 0) done.cancel();
      });
    SystemError cancelled;
    if (left > 0) co_await done.async_wait(Into(cancelled));
  }

  LoadTask<void> Connect(int count) {
    for (int i = 0; i < count; ++i) AddConnection();
    co_await OnWorkers(count, [this](int worker) -> LoadTask<void> {
      Result<> open = co_await connections_[static_cast<size_t>(worker)]->Open();
      if (!open) failure_ = open.error();
    });
    for (auto& connection : connections_) idle_.push_back(connection.get());
  }

  LoadTask<void> WarmUp() {
    if (plan_.warmup_requests == 0) co_return;
    int next = 0;
    co_await OnWorkers(static_cast<int>(connections_.size()), [&](int worker) -> LoadTask<void> {
      while (next < plan_.warmup_requests) {
        const int number = next++;
        const size_t request = static_cast<size_t>(worker) % plan_.requests.size();
        std::string head;
        plan_.requests[request].WriteHead(head, fmt::format("warmup-{}-{}", number, worker), UserOf(worker));
        const auto answer =
            co_await connections_[static_cast<size_t>(worker)]->Exchange(head, plan_.requests[request].tail());
        if (!answer || ExitOfAnswer(answer->status, answer->error_type) != kExitOk) ++end_.warmup_failed;
      }
    });
  }

  LoadTask<void> Independent() {
    co_await OnWorkers(plan_.workers, [this](int worker) { return Send(0, worker); });
    co_await OnWorkers(plan_.workers, [this](int worker) -> LoadTask<void> {
      for (uint64_t iteration = 1; iteration <= Iterations(); ++iteration) co_await Send(iteration, worker);
    });
  }

  LoadTask<void> Batches() {
    for (uint64_t iteration = 0; iteration < Iterations(); ++iteration)
      co_await OnWorkers(plan_.workers, [&](int worker) { return Send(iteration, worker); });
  }

  bool MoreToSend(nanoseconds at) const {
    if (plan_.request_count && started_ >= *plan_.request_count) return false;
    return !plan_.measurement_interval || at < *plan_.measurement_interval;
  }

  LoadTask<void> Closed() {
    co_await OnWorkers(plan_.workers, [this](int worker) -> LoadTask<void> {
      while (MoreToSend(Elapsed())) co_await Send(started_, worker);
    });
  }

  // A worker's next request, on its own connection.
  LoadTask<void> Send(uint64_t iteration, int worker) {
    Ticket ticket;
    ticket.iteration = iteration;
    ticket.worker = worker;
    ticket.request = static_cast<size_t>(worker) % plan_.requests.size();
    ++started_;
    ++in_flight_;
    const bool answered = co_await Perform(*connections_[static_cast<size_t>(worker)], ticket);
    if (answered) co_return;
    LoadTimer pause(context_.get_executor(), kPauseAfterNoConnection);
    SystemError ignored;
    co_await pause.async_wait(Into(ignored));
  }

  LoadTask<void> Open() {
    LoadTimer timer(context_.get_executor());
    SystemError error;
    std::optional<Arrival> arrival = plan_.schedule();
    while (arrival && MoreToSend(arrival->at)) {
      timer.expires_at(start_ + arrival->at);
      // Even when we are behind, so that answers are read meanwhile.
      if (arrival->at > Elapsed())
        co_await timer.async_wait(Into(error));
      else
        co_await asio::post(context_, asio::use_awaitable_t<LoadExecutor>());
      Dispatch(*arrival);
      arrival = plan_.schedule();
    }
    if (in_flight_ == 0) co_return;
    drained_ = &timer;
    timer.expires_at(LoadClock::time_point::max());
    co_await timer.async_wait(Into(error));
  }

  void Dispatch(const Arrival& arrival) {
    Ticket ticket;
    ticket.iteration = started_++;
    ticket.worker = arrival.function ? static_cast<int>(*arrival.function)
                                     : static_cast<int>(ticket.iteration % static_cast<uint64_t>(plan_.workers));
    ticket.request = arrival.function ? *arrival.function : static_cast<size_t>(ticket.worker) % plan_.requests.size();
    ticket.due = arrival.at;
    ++in_flight_;
    if (idle_.empty() && static_cast<int>(connections_.size()) >= plan_.max_connections) {
      ticket.queued = true;
      waiting_.push_back(ticket);
      return;
    }
    if (idle_.empty()) idle_.push_back(&AddConnection());
    LoadConnection& connection = *idle_.back();  // the one that was used last
    idle_.pop_back();
    asio::co_spawn(context_, Serve(connection, ticket), Rethrow);
  }

  // This request, then those that wait for a connection.
  LoadTask<void> Serve(LoadConnection& connection, Ticket ticket) {
    while (true) {
      co_await Perform(connection, ticket);
      if (waiting_.empty()) break;
      ticket = waiting_.front();
      waiting_.pop_front();
    }
    idle_.push_back(&connection);
    if (in_flight_ == 0 && drained_ != nullptr) drained_->cancel();
  }

  const std::string& UserOf(int worker) const { return plan_.users[static_cast<size_t>(worker) % plan_.users.size()]; }

  // False when there was no answer.
  LoadTask<bool> Perform(LoadConnection& connection, const Ticket& ticket) {
    const LoadRequest& request = plan_.requests[ticket.request];
    std::string head;
    request.WriteHead(head, fmt::format("invoc-{}-{}", ticket.iteration, ticket.worker), UserOf(ticket.worker));
    const nanoseconds asked = Elapsed();
    const auto answer = co_await connection.Exchange(head, request.tail());
    const nanoseconds end = Elapsed();
    Exchange exchange;
    exchange.iteration = ticket.iteration;
    exchange.worker = ticket.worker;
    exchange.request = ticket.request;
    exchange.queued = ticket.queued;
    const nanoseconds sent = answer ? answer->sent - start_ : asked;
    exchange.begin = ticket.due.value_or(sent);
    exchange.time = end - exchange.begin;
    exchange.late = sent - exchange.begin;
    if (answer) {
      exchange.status = answer->status;
      exchange.start_type = answer->start_type;
      exchange.error_type = answer->error_type;
      exchange.server_timing = answer->server_timing;
      exchange.body = answer->body;
      exchange.bytes_sent = answer->bytes_sent;
      exchange.bytes_received = answer->bytes_received;
    } else {
      exchange.body = answer.error().message();
    }
    --in_flight_;
    ++done_;
    last_answer_ = end;
    observer_.OnExchange(exchange);
    co_return answer.has_value();
  }

  LoadTask<void> Tick() {
    LoadTimer timer(context_.get_executor());
    SystemError ignored;
    while (true) {
      observer_.OnTick({.done = done_, .in_flight = in_flight_, .elapsed = Elapsed()});
      timer.expires_after(kTick);
      co_await timer.async_wait(Into(ignored));
    }
  }

  const LoadPlan& plan_;
  LoadObserver& observer_;
  asio::io_context context_{1};
  LoadTarget target_;
  std::vector<std::unique_ptr<LoadConnection>> connections_;  // closed loops: one per worker
  std::vector<LoadConnection*> idle_;                         // kOpen
  std::deque<Ticket> waiting_;                                // kOpen: due, all connections being busy
  LoadTimer* drained_ = nullptr;                              // kOpen: told when the last request is over
  LoadClock::time_point start_;
  bool measuring_ = false;
  nanoseconds last_answer_{};
  uint64_t started_ = 0, done_ = 0, in_flight_ = 0;
  LoadEnd end_;
  std::optional<Error> failure_;
};

}  // namespace

Result<LoadEnd> RunLoad(const LoadPlan& plan, LoadObserver& observer) {
  return Load(plan, observer).Run();
}

std::optional<uint64_t> PlannedRequests(const LoadPlan& plan) {
  const auto workers = static_cast<uint64_t>(plan.workers), iterations = static_cast<uint64_t>(plan.iterations);
  if (plan.pace == Pace::kIndependent) return workers * (iterations + 1);
  if (plan.pace == Pace::kBatches) return workers * iterations;
  return plan.request_count;
}

}  // namespace mignificient::cli
