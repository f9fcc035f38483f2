#include "node/calls.h"

#include <algorithm>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "base/log.h"
#include "base/seconds.h"
#include "node/outcome.h"

namespace mignificient::node {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

Answer Failure(const Error& error) {
  Answer answer;
  answer.outcome = OutcomeOf(error.code());
  answer.error = error.message();
  return answer;
}

// The moment on this clock at which a call was accepted, perhaps by an earlier process.
Clock::time_point SteadyTime(WallTime accepted) {
  return Clock::now() - std::chrono::microseconds(std::max<WallTime>(0, WallNow() - accepted));
}

constexpr std::string_view kStoppedSentence = "The node was stopped while this call was running.";

}  // namespace

Calls::Calls(asio::any_io_executor executor, const Config& config, StoreThread& store, Hooks hooks,
             std::vector<StoredCall> queued)
    : executor_(executor), config_(config), store_(store), hooks_(std::move(hooks)), quiet_(executor) {
  for (const StoredCall& call : queued) {
    Queue& queue = queues_[call.user];
    ++queue.unfinished;
    queue.bytes += call.payload_bytes;
    Enter(call);
  }
  for (const StoredCall& call : queued) Dispatch(call.user);
  asio::co_spawn(executor_, Sweep(), asio::detached);
}

asio::awaitable<Result<StoredCall>> Calls::Accept(NewCall call) {
  if (stopping_) co_return Fail(Code::kUnavailable, "The node is stopping.");
  const auto request = hooks_.request(call.user, call.function);
  if (!request) co_return std::unexpected(request.error());
  if (const auto room = CheckRoom(call); !room) co_return std::unexpected(room.error());
  StoredCall row;
  row.id = std::move(call.id);
  row.user = std::move(call.user);
  row.function = std::move(call.function);
  row.accepted = WallNow();
  row.timeout_s = call.timeout_s;
  row.traceparent = std::move(call.traceparent);
  row.payload_bytes = call.payload.size();
  Queue& queue = queues_[row.user];
  ++queue.unfinished;
  queue.bytes += row.payload_bytes;
  auto add = [row, payload = std::move(call.payload)](Store& store) { return store.AddCall(row, payload); };
  const Result<> added = co_await store_.Do(std::move(add));
  if (!added) {
    Release(row.user, row.payload_bytes);
    co_return std::unexpected(added.error());
  }
  Enter(row);
  Dispatch(row.user);
  co_return row;
}

Calls::LivePtr Calls::Enter(const StoredCall& call) {
  const auto live = std::make_shared<Live>();
  live->call = call;
  live->accepted = SteadyTime(call.accepted);
  live_[call.id] = live;
  queues_[call.user].waiting.push_back(live);
  return live;
}

Result<> Calls::CheckRoom(const NewCall& call) const {
  const auto found = queues_.find(call.user);
  const uint32_t unfinished = found == queues_.end() ? 0 : found->second.unfinished;
  const uint64_t bytes = found == queues_.end() ? 0 : found->second.bytes;
  if (unfinished >= config_.calls.queue)
    return Fail(Code::kExhausted, "User [{}] has {} calls that are not over (calls.queue is {}).", call.user,
                unfinished, config_.calls.queue);
  if (bytes + call.payload.size() > config_.calls.queue_bytes)
    return Fail(Code::kExhausted,
                "The calls of user [{}] that are not over hold {} bytes, this one has {} (calls.queue-bytes is {}).",
                call.user, bytes, call.payload.size(), config_.calls.queue_bytes);
  return {};
}

void Calls::Release(const std::string& user, uint64_t bytes) {
  const auto found = queues_.find(user);
  found->second.bytes -= bytes;
  if (--found->second.unfinished == 0) queues_.erase(found);
}

void Calls::Dispatch(const std::string& user) {
  const auto found = queues_.find(user);
  if (stopping_ || found == queues_.end()) return;
  Queue& queue = found->second;
  while (!queue.waiting.empty() && queue.dispatched < config_.calls.parallel) {
    const LivePtr live = queue.waiting.front();
    queue.waiting.pop_front();
    ++queue.dispatched;
    ++running_;
    asio::co_spawn(executor_, Run(live), asio::detached);
  }
}

asio::awaitable<void> Calls::Run(LivePtr live) {
  const std::string user = live->call.user;
  std::optional<Answer> answer = co_await Invoke(live);
  --queues_.at(user).dispatched;
  if (answer) co_await End(live, std::move(*answer));
  --running_;
  Dispatch(user);
  if (stopping_) quiet_.Post(0);
}

// Empty where the call stays queued, for the next start of the node.
asio::awaitable<std::optional<Answer>> Calls::Invoke(LivePtr live) {
  auto read = [id = live->call.id](Store& store) { return store.CallPayload(id); };
  const Result<std::string> payload = co_await store_.Do(std::move(read));
  if (!payload) co_return Failure(payload.error());
  for (;;) {
    auto request = RequestFor(*live, *payload);
    if (!request) co_return Failure(request.error());
    Caller caller;
    caller.before_run = [this, live](const std::string& container) { return Claim(live, container); };
    live->caller = &caller;
    Answer answer;
    if (!live->cancelled) answer = co_await hooks_.invoke(std::move(*request), caller);
    live->caller = nullptr;
    live->container.clear();
    if (!answer.container.empty()) hooks_.settle(answer.container);
    if (live->trouble) co_return Failure(*live->trouble);
    if (live->claimed || live->cancelled) co_return answer;
    if (stopping_) co_return std::nullopt;
    if (answer.outcome != Outcome::kQueueFull) co_return answer;
    co_await AwaitRoom(live);
  }
}

// The node's own queue is full: as any caller is told, try again after a second.
asio::awaitable<void> Calls::AwaitRoom(LivePtr live) {
  live->retry = std::make_shared<Mailbox<int>>(executor_);
  (void)co_await live->retry->Next(Clock::now() + std::chrono::seconds(1));
  live->retry.reset();
}

Result<Request> Calls::RequestFor(const Live& live, const std::string& payload) const {
  MIG_ASSIGN(Request request, hooks_.request(live.call.user, live.call.function));
  request.call_id = live.call.id;
  request.payload = payload;
  request.accepted = live.accepted;
  request.patience = FromSeconds(config_.calls.max_wait_s);
  if (live.call.timeout_s) request.timeout = std::min(request.timeout, FromSeconds(*live.call.timeout_s));
  return request;
}

// The call has its turn: it is marked as running, so that no later process runs it again.
asio::awaitable<bool> Calls::Claim(LivePtr live, std::string container) {
  if (live->cancelled || stopping_) co_return false;
  const WallTime started = WallNow();
  auto mark = [id = live->call.id, started](Store& store) { return store.MarkRunning(id, started); };
  const Result<> marked = co_await store_.Do(std::move(mark));
  if (!marked) live->trouble = marked.error();
  if (!marked || live->cancelled) co_return false;
  live->call.started = started;
  live->call.status = CallStatus::kRunning;
  live->claimed = true;
  live->container = std::move(container);
  co_return true;
}

asio::awaitable<void> Calls::End(LivePtr live, Answer answer) {
  StoredCall& call = live->call;
  const bool good = answer.outcome == Outcome::kOk && (live->claimed || !live->cancelled);
  const bool stopped = stopping_ && live->claimed && answer.outcome == Outcome::kNoCapacity;
  call.status = good              ? CallStatus::kDone
                : live->cancelled ? CallStatus::kCancelled
                : stopped         ? CallStatus::kLost
                                  : CallStatus::kFailed;
  call.finished = WallNow();
  call.error = good ? ""
               : live->cancelled
                   ? fmt::format("The call was cancelled {}.", live->claimed ? "while it was running" : "before it ran")
               : stopped ? std::string(kStoppedSentence)
                         : answer.error;
  call.outcome = OutcomeJson(answer);
  if (good) call.content_type = hooks_.content_type(call.user, call.function);
  call.result_bytes = answer.body.size();
  const Keep keep{config_.calls.kept, config_.calls.kept_bytes};
  auto write = [row = call, body = std::move(answer.body), keep](Store& store) {
    return store.FinishCall(row, body, keep);
  };
  Result<> written = co_await store_.Do(std::move(write));
  if (!written) {  // no room for the result, perhaps: at least its end is kept
    log::Error("call_result_lost", {{"call", call.id}, {"error", written.error().message()}});
    call.status = CallStatus::kFailed;
    call.error = "The result could not be kept: " + written.error().message();
    call.result_bytes = 0;
    auto write_end = [row = call, keep](Store& store) { return store.FinishCall(row, "", keep); };
    written = co_await store_.Do(std::move(write_end));
    if (!written) log::Error("call_end_lost", {{"call", call.id}, {"error", written.error().message()}});
  }
  log::Info("async_call", {{"call", call.id},
                           {"user", call.user},
                           {"function", call.function},
                           {"status", CallStatusName(call.status)},
                           {"container", answer.container.empty() ? "-" : answer.container}});
  live_.erase(call.id);
  Release(call.user, call.payload_bytes);
  for (const auto& waiting : live->waiting) waiting->Post(0);
}

asio::awaitable<void> Calls::AwaitEnd(LivePtr live, Clock::time_point deadline) {
  const auto inbox = std::make_shared<Mailbox<int>>(executor_);
  live->waiting.push_back(inbox);
  (void)co_await inbox->Next(deadline);
  std::erase(live->waiting, inbox);
}

asio::awaitable<Result<StoredCall>> Calls::Find(std::string id, std::chrono::nanoseconds wait) {
  if (const auto found = live_.find(id); found != live_.end()) {
    const LivePtr live = found->second;
    if (wait.count() > 0 && !stopping_) co_await AwaitEnd(live, Clock::now() + wait);
    co_return live->call;
  }
  auto read = [id](Store& store) { return store.Call(id); };
  Result<StoredCall> call = co_await store_.Do(std::move(read));
  if (call && IsForgotten(*call)) co_return Fail(Code::kNotFound, "Call [{}] is no longer kept.", id);
  if (call && !IsOver(call->status) && !live_.contains(id)) {  // its end could not be written
    call->status = CallStatus::kLost;
    call->error = "The call is over, but the database did not take its end.";
  }
  co_return call;
}

asio::awaitable<Result<std::string>> Calls::ResultOf(std::string id) {
  auto read = [id](Store& store) { return store.CallResult(id); };
  co_return co_await store_.Do(std::move(read));
}

asio::awaitable<Result<std::vector<StoredCall>>> Calls::List(CallFilter filter) {
  auto read = [filter](Store& store) { return store.Calls(filter); };
  Result<std::vector<StoredCall>> calls = co_await store_.Do(std::move(read));
  if (calls) std::erase_if(*calls, [this](const StoredCall& call) { return IsForgotten(call); });
  co_return calls;
}

asio::awaitable<Result<StoredCall>> Calls::Cancel(std::string id) {
  const auto found = live_.find(id);
  if (found == live_.end()) co_return co_await Find(id);
  const LivePtr live = found->second;
  const bool was_cancelled = std::exchange(live->cancelled, true);
  std::deque<LivePtr>& waiting = queues_.at(live->call.user).waiting;
  if (const auto place = std::ranges::find(waiting, live); place != waiting.end()) {
    waiting.erase(place);
    Answer answer;
    answer.outcome = Outcome::kNoCapacity;
    co_await End(live, std::move(answer));
    co_return live->call;
  }
  if (!was_cancelled && !live->container.empty())
    hooks_.kill(live->call.user, live->container);
  else if (live->retry)
    live->retry->Post(0);
  else if (live->caller != nullptr)
    live->caller->Leave();
  if (live_.contains(id)) co_await AwaitEnd(live, Clock::time_point::max());
  co_return live->call;
}

// A call that is over for longer than calls.keep.
bool Calls::IsForgotten(const StoredCall& call) const {
  return call.finished && static_cast<double>(WallNow() - *call.finished) > config_.calls.keep_s * 1e6;
}

asio::awaitable<void> Calls::Sweep() {
  asio::steady_timer timer(executor_);
  for (;;) {
    const auto before = WallNow() - static_cast<WallTime>(config_.calls.keep_s * 1e6);
    auto forget = [before](Store& store) { return store.ForgetCalls(before); };
    const Result<> forgotten = co_await store_.Do(std::move(forget));
    if (!forgotten) log::Error("calls_not_forgotten", {{"error", forgotten.error().message()}});
    timer.expires_after(std::clamp<std::chrono::nanoseconds>(FromSeconds(config_.calls.keep_s / 10),
                                                             std::chrono::seconds(1), std::chrono::seconds(60)));
    boost::system::error_code stopped;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, stopped));
    if (stopped) co_return;
  }
}

void Calls::Stop() {
  stopping_ = true;
  for (const auto& [id, live] : live_) {
    if (live->retry) live->retry->Post(0);
    for (const auto& waiting : live->waiting) waiting->Post(0);
  }
}

asio::awaitable<void> Calls::Finished() {
  while (running_ > 0) (void)co_await quiet_.Next(Clock::time_point::max());
}

}  // namespace mignificient::node
