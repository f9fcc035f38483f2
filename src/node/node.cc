#include "node/node.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/log.h"
#include "node/function_log.h"
#include "node/trace.h"

namespace mignificient::node {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

double MillisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double Seconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

Answer Failure(Outcome outcome, std::string error) {
  Answer answer;
  answer.outcome = outcome;
  answer.error = std::move(error);
  return answer;
}

// What is known of its turn stays.
void SetFailure(Answer& answer, Outcome outcome, std::string error) {
  answer.outcome = outcome;
  answer.error = std::move(error);
}

void SetFailure(Answer& answer, Answer failure) {
  SetFailure(answer, failure.outcome, std::move(failure.error));
}

// Once a function has answered, only the end of the GPU work that it left takes its answer back: not what its process
// does next.
bool ConcernsGpuWork(const EndReason& reason) {
  return reason.kind == EndReason::Kind::kOutOfMemory || reason.kind == EndReason::Kind::kGpuServerDied;
}

}  // namespace

std::string OwnerOf(const Request& request) {
  std::string owner;
  owner.reserve(48 + request.user.size() + request.function.size() + request.path.size() + request.handler.size() +
                request.ld_preload.size());
  owner = request.language == Language::kPython ? "python:" : "cpp:";
  for (const std::string* part :
       {&request.user, &request.function, &request.path, &request.handler, &request.ld_preload})
    owner.append(std::to_string(part->size())).append(":").append(*part);
  owner.append(std::to_string(request.revision));
  return owner;
}

sched::Demand DemandOf(const Request& request, std::string owner) {
  return {.owner = std::move(owner),
          .user = request.user,
          .mig_instance = request.mig_instance,
          .memory_mib = request.gpu_memory_mib,
          .concurrency = request.scaling.concurrency,
          .max_containers = request.scaling.max_containers};
}

Answer AnswerTo(const EndReason& reason) {
  using Kind = EndReason::Kind;
  switch (reason.kind) {
    case Kind::kHandler:
      return Failure(Outcome::kBadRequest, reason.sentence);
    case Kind::kLibrary:
      return Failure(Outcome::kFunctionError, WithLogTail(reason.sentence, reason.log_tail));
    case Kind::kOutOfMemory:
      return Failure(Outcome::kOutOfMemory, reason.sentence);
    case Kind::kTimeout:
      return Failure(Outcome::kTimeout, reason.sentence);
    case Kind::kShutdown:
      return Failure(Outcome::kNoCapacity, reason.sentence);
    case Kind::kStart:
      return Failure(Outcome::kInternal, reason.sentence);
    default:
      return Failure(Outcome::kFunctionCrashed, WithLogTail(reason.sentence, reason.log_tail));
  }
}

Node::Node(asio::any_io_executor executor, const Config& config, device::Inventory inventory,
           std::shared_ptr<const ContainerSetup> setup, Trace* trace)
    : executor_(executor),
      config_(config),
      inventory_(std::move(inventory)),
      partitions_(device::Partitions(inventory_)),
      setup_(std::move(setup)),
      gpu_servers_(executor, setup_->gpu_server),
      scheduler_(SpecsOf(partitions_), {.weights = config.weights, .idle_release = config.idle_release_us > 0}),
      trace_(trace),
      logs_(executor, config.limits.ended_logs),
      quiet_(executor),
      emptied_(executor) {
  for (size_t i = 0; i < partitions_.size(); ++i) ShowPartition(i);
}

Node::~Node() = default;

asio::awaitable<Answer> Node::Invoke(Request request, Caller& caller) {
  const auto call = std::make_shared<Call>(executor_, next_call_++, std::move(request));
  if (auto refusal = RefuseForLimits(call->request, call->owner)) {
    if (trace_) trace_->Refused(call->request, refusal->error);
    metrics_.Count(*refusal);
    co_return std::move(*refusal);
  }
  Count(*call, 1);
  calls_[call->id] = call;
  if (trace_) trace_->Arrived(call->id, call->request);
  call->before_run = caller.before_run;
  caller.on_leave_ = [weak = std::weak_ptr(call)] {
    if (const auto alive = weak.lock()) alive->inbox.Post(CallerLeft{});
  };
  co_await Wait(call);
  caller.on_leave_ = nullptr;
  Answer answer = std::move(call->answer);
  answer.timing.total = MillisecondsSince(call->request.accepted);
  if (trace_) trace_->Answered(call->id, answer.error);
  calls_.erase(call->id);
  Count(*call, -1);
  if (stopping_) quiet_.Post(0);
  metrics_.Count(answer);
  co_return answer;
}

std::optional<Answer> Node::RefuseForLimits(const Request& request, const std::string& owner) {
  if (stopping_) return Failure(Outcome::kNoCapacity, "The node is stopping.");
  const auto full = [&](const std::map<std::string, uint32_t>& counts, const std::string& name, uint32_t limit) {
    const auto found = counts.find(name);
    return found != counts.end() && found->second >= limit;
  };
  Answer refusal;
  if (full(calls_of_user_, request.user, config_.limits.queue))
    refusal = Failure(Outcome::kQueueFull, fmt::format("User [{}] has {} invocations that wait or run (limits.queue).",
                                                       request.user, config_.limits.queue));
  else if (full(calls_of_function_, owner, config_.limits.function_queue))
    refusal = Failure(Outcome::kQueueFull,
                      fmt::format("Function [{}] has {} invocations that wait or run (limits.function-queue).",
                                  request.function, config_.limits.function_queue));
  else
    return std::nullopt;
  refusal.retry_after_s = RetryAfter();
  return refusal;
}

// When about half of what waits now will have run.
double Node::RetryAfter() const {
  const size_t running = calls_.size() - std::min(calls_.size(), scheduler_.Waiting());
  const double seconds =
      static_cast<double>(scheduler_.Waiting()) / 2 * mean_run_s_ / static_cast<double>(std::max<size_t>(1, running));
  return std::clamp(std::ceil(seconds), 1.0, 60.0);
}

void Node::Count(const Call& call, int change) {
  const auto count = [change](std::map<std::string, uint32_t>& counts, const std::string& name) {
    const auto place = counts.try_emplace(name, 0).first;
    place->second += static_cast<uint32_t>(change);
    if (place->second == 0) counts.erase(place);
  };
  count(calls_of_user_, call.request.user);
  count(calls_of_function_, call.owner);
}

void Node::Arrive(const Call& call) {
  Tell(sched::Arrived{call.id, DemandOf(call.request, call.owner)});
}

// Waits for the turn, then runs.
asio::awaitable<void> Node::Wait(std::shared_ptr<Call> call) {
  const Request& request = call->request;
  Arrive(*call);
  for (;;) {
    std::optional<CallEvent> event = call->inbox.Take();  // nearly always there is nothing to wait for
    if (!event) event = co_await call->inbox.Next(call->deadline);
    if (event && std::holds_alternative<Granted>(*event)) {
      if (PlaceAgain(*call)) continue;
      co_return co_await Run(call);
    }
    if (event && std::holds_alternative<Rejected>(*event))
      co_return SetFailure(call->answer, Outcome::kNoCapacity, std::get<Rejected>(*event).reason);
    if (event && std::holds_alternative<Ended>(*event)) {
      const Ended& ended = std::get<Ended>(*event);
      if (ended.container == call->given_up) continue;
      co_return SetFailure(call->answer, AnswerTo(ended.reason));
    }
    if (call->container != 0) continue;  // too late to give up: the turn is next in the inbox
    const std::string doing = WhatItWaitedFor(*call);
    Tell(sched::Withdrawn{call->id});
    if (!event)
      co_return SetFailure(call->answer, Outcome::kTimeout,
                           fmt::format("The invocation {} longer than its timeout of {} s.", doing,
                                       Seconds(request.patience.value_or(request.timeout))));
    const bool left = std::holds_alternative<CallerLeft>(*event);
    co_return SetFailure(call->answer, Outcome::kNoCapacity, left ? "The caller has gone." : "The node is stopping.");
  }
}

// Where the container that it was granted fails before anything of the invocation has run in it: what happened to an
// idle container is no caller's matter.
bool Node::PlaceAgain(Call& call) {
  Slot& slot = slots_.at(call.container);
  if (slot.container->Prepare()) return false;
  slot.running.reset();
  call.given_up = std::exchange(call.container, 0);
  if (!slot.container->unusable().empty())
    slot.container->End({EndReason::Kind::kUnusable, slot.container->unusable()});
  Tell(sched::Ending{call.given_up});
  Tell(sched::Finished{call.id, 0});
  Arrive(call);
  return true;
}

asio::awaitable<void> Node::Run(std::shared_ptr<Call> call) {
  Answer& answer = call->answer;
  Slot& slot = slots_.at(call->container);
  const std::shared_ptr<Container> container = slot.container;
  BeginAnswer(*call, slot);
  if (call->before_run && !co_await MayRun(*call, *container))
    co_return SetFailure(answer, Outcome::kNoCapacity, "The invocation was taken back.");
  const auto began = Clock::now();
  if (call->request.patience) call->deadline = began + call->request.timeout;
  if (trace_) trace_->Runs(call->id, call->container);
  container->Run(call->id, call->request.payload);
  const std::optional<CallEvent> returned = co_await AwaitReturn(*call);
  answer.timing.exec = MillisecondsSince(began);
  if (trace_) trace_->Returned(call->id);
  const auto end_late = [&](std::string_view what) {
    std::string sentence = fmt::format("{} its timeout of {} s.", what, Seconds(call->request.timeout));
    container->End({EndReason::Kind::kTimeout, sentence});
    SetFailure(answer, Outcome::kTimeout, std::move(sentence));
  };
  if (!returned) co_return end_late("The function was killed after");
  if (const auto* ended = std::get_if<Ended>(&*returned)) co_return SetFailure(answer, AnswerTo(ended->reason));

  TakeResult(*returned, *call, *container);  // before the container can be given to the next

  std::optional<CallEvent> drained = WorkDrained{0};
  if (call->release_tag != 0 || !container->LockQuiet()) drained = co_await AwaitDrained(*call, *container);
  if (!drained) co_return end_late("The function's GPU work was not done after");
  if (const auto* ended = std::get_if<Ended>(&*drained)) {
    if (answer.outcome == Outcome::kOk && ConcernsGpuWork(ended->reason)) SetFailure(answer, AnswerTo(ended->reason));
    co_return;
  }
  const double seconds = MillisecondsSince(began) / 1e3;
  mean_run_s_ += 0.05 * (seconds - mean_run_s_);
  if (trace_) trace_->Drained(call->id);
  if (const std::optional<GpuTime> gpu = container->TakeGpuTime()) {
    answer.timing.gpu_copy = gpu->copy_ms;
    answer.timing.gpu_kernel = gpu->kernel_ms;
  }
  if (container->unusable().empty()) {
    GiveBack(call->id, call->container, seconds);
  } else {
    slots_.at(call->container).running.reset();
    container->End({EndReason::Kind::kUnusable, container->unusable()});
  }
}

// What is known when it has been granted its container.
void Node::BeginAnswer(Call& call, Slot& slot) {
  Answer& answer = call.answer;
  const ContainerSpec& spec = slot.container->spec();
  answer.granted = true;
  answer.cold = slot.invocations++ == 0;
  answer.container = spec.id;
  answer.partition = spec.partition.uuid;
  answer.instance_size = spec.partition.instance_size;
  double starting = 0;
  if (answer.cold) {
    answer.timing = slot.container->start_timing();
    starting = *answer.timing.spawn + *answer.timing.context + *answer.timing.attach;
  }
  answer.timing.queue = std::max(0.0, MillisecondsSince(call.request.accepted) - starting);
}

// Of a function that Returned or Threw. The payload, which the function has had, gives its memory to the result.
void Node::TakeResult(const CallEvent& result, Call& call, Container& container) {
  const uint64_t capacity = setup_->layout.result_capacity;
  if (const auto* threw = std::get_if<Threw>(&result))
    return SetFailure(call.answer, Outcome::kFunctionError, WithLogTail(threw->sentence, container.LogTail()));
  const int64_t value = std::get<Returned>(result).value;
  if (value < 0)
    return SetFailure(call.answer, Outcome::kFunctionError,
                      WithLogTail(fmt::format("The function returned {}.", value), container.LogTail()));
  if (static_cast<uint64_t>(value) > capacity)
    return SetFailure(call.answer, Outcome::kFunctionError,
                      fmt::format("The function returned {} bytes (limits.result is {}).", value, capacity));
  call.answer.body = container.ReadResult(static_cast<uint64_t>(value), std::move(call.request.payload));
}

// The container, idle, after an invocation that ran for so long.
void Node::GiveBack(sched::InvocationId call, sched::ContainerId container, double seconds) {
  slots_.at(container).running.reset();
  LockGate(container);
  BecameIdle(container);
  Tell(sched::Finished{call, seconds * 1e6});
}

// Asks the caller, who wants to be asked. Where it says no, the turn is given back.
asio::awaitable<bool> Node::MayRun(Call& call, Container& container) {
  const bool may = co_await call.before_run(container.spec().id);
  if (may) co_return true;
  const auto slot = slots_.find(call.container);
  if (slot == slots_.end() || slot->second.ended) co_return false;  // the scheduler knows
  GiveBack(call.id, call.container, 0);
  co_return false;
}

// Until the function has returned. What it says of the GPU on the way is heard in OnEvent.
asio::awaitable<std::optional<Node::CallEvent>> Node::AwaitReturn(Call& call) {
  for (;;) {
    std::optional<CallEvent> event = co_await call.inbox.Next(call.deadline);
    if (!event) co_return event;
    if (!std::holds_alternative<CallerLeft>(*event) && !std::holds_alternative<Stopping>(*event) &&
        !std::holds_alternative<WorkDrained>(*event))
      co_return event;
  }
}

// Nothing of what the function issued is left on the GPU then, and nothing that it issues later passes its gate. Nearly
// always that can be seen (wire::GatePage, Container::LockQuiet); where it cannot, the GPU server is asked.
asio::awaitable<std::optional<Node::CallEvent>> Node::AwaitDrained(Call& call, Container& container) {
  call.finishing = true;
  call.release_tag = 0;  // this drain is instead of one that is under way
  const uint64_t tag = container.Drain(wire::Hold::kIssued);
  for (;;) {
    std::optional<CallEvent> event = co_await call.inbox.Next(call.deadline);
    if (!event || std::holds_alternative<Ended>(*event)) co_return event;
    if (const auto* drained = std::get_if<WorkDrained>(&*event); drained != nullptr && drained->tag == tag)
      co_return event;
  }
}

Result<> Node::Kill(const std::string& user, const std::string& container) {
  for (const auto& [id, slot] : slots_) {
    if (slot.container->spec().id != container || slot.container->spec().user != user || slot.ended) continue;
    slot.container->End({EndReason::Kind::kKilled, fmt::format("Container [{}] was killed on request.", container)});
    return {};
  }
  return Fail(Code::kNotFound, "User [{}] has no container [{}].", user, container);
}

std::string Node::WhatItWaitedFor(const Call& call) const {
  const Request& request = call.request;
  if (scheduler_.IsUnhoused(call.id))
    return fmt::format(
        "waited for a partition that is a mig-instance [{}] with gpu-memory [{}] MiB, which this node does not have "
        "now and could only make of a GPU that is idle (mig.auto),",
        request.mig_instance, request.gpu_memory_mib);
  return IsStarting(call.owner) ? "had its container starting" : "waited for its turn";
}

bool Node::IsStarting(const std::string& owner) const {
  return std::ranges::any_of(slots_, [&owner](const auto& entry) {
    return entry.second.owner == owner && !entry.second.ended && !entry.second.container->started();
  });
}

std::vector<ContainerInfo> Node::Containers() const {
  std::vector<ContainerInfo> infos;
  for (const auto& [id, slot] : slots_) {
    const ContainerSpec& spec = slot.container->spec();
    const char* status = slot.ended                  ? "ending"
                         : slot.running              ? "running"
                         : slot.container->started() ? "idle"
                                                     : "starting";
    infos.push_back({spec.id, spec.user, spec.function, status, spec.partition.uuid, spec.partition.instance_size,
                     spec.gpu_memory_mib, slot.invocations, slot.container->executor_pid(),
                     slot.container->gpu_server_pid(), slot.container->log_path()});
  }
  return infos;
}

Status Node::GetStatus() const {
  Status status{
      .partitions = PartitionInfos(), .containers = Containers(), .waiting = Waiting(), .stopping = stopping_};
  for (const PartitionInfo& partition : status.partitions) status.running += partition.running;
  return status;
}

asio::awaitable<void> Node::Stop(std::chrono::nanoseconds grace) {
  stopping_ = true;
  Maintain({});
  for (const auto& [id, call] : calls_) call->inbox.Post(Stopping{});
  const auto deadline = Clock::now() + grace;
  while (!calls_.empty())
    if (!co_await quiet_.Next(deadline)) break;
  for (const auto& [id, slot] : slots_) slot.container->End({EndReason::Kind::kShutdown, "The node is stopping."});
  while (!slots_.empty() || !calls_.empty()) co_await quiet_.Next(Clock::time_point::max());
  co_await EndStrangers();
}

}  // namespace mignificient::node
