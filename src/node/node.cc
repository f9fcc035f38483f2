#include "node/node.h"

#include <fcntl.h>
#include <signal.h>

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "base/log.h"
#include "node/function_log.h"
#include "os/child.h"

namespace mignificient::node {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

double MillisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

std::vector<sched::PartitionSpec> Specs(const std::vector<device::Partition>& partitions, const Config& config) {
  std::vector<sched::PartitionSpec> specs;
  for (const device::Partition& partition : partitions) {
    const std::string& context = config.gpu_server.context_memory_mib;
    const uint64_t automatic = partition.driver == device::Driver::kCuda ? 512 : 0;
    specs.push_back({partition.uuid, partition.mig_size, partition.instance_size, partition.memory_mib,
                     context == "auto" ? automatic : std::stoull(context)});
  }
  return specs;
}

// Nobody shares a container with another user or function, and no name can imitate another pair. `modules` say how a
// container is started, not what it is.
std::string Owner(const Request& request) {
  std::string owner = request.language == Language::kPython ? "python:" : "cpp:";
  for (const std::string* part :
       {&request.user, &request.function, &request.path, &request.handler, &request.ld_preload})
    owner += fmt::format("{}:{}", part->size(), *part);
  return owner;
}

Answer Failure(Outcome outcome, std::string error) {
  Answer answer;
  answer.outcome = outcome;
  answer.error = std::move(error);
  return answer;
}

// Keeps what the answer knows of its turn.
Answer Failed(Answer answer, Outcome outcome, std::string error) {
  answer.outcome = outcome;
  answer.error = std::move(error);
  return answer;
}

Answer Failed(Answer answer, const Answer& failure) {
  return Failed(std::move(answer), failure.outcome, failure.error);
}

double Seconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

// Once a function has answered, only the end of the GPU work that it left takes its answer back: not what its process
// does next.
bool ConcernsGpuWork(const EndReason& reason) {
  return reason.kind == EndReason::Kind::kOutOfMemory || reason.kind == EndReason::Kind::kGpuServerDied;
}

void LogStarted(const Container& container) {
  log::Info("container_started", {{"id", container.spec().id},
                                  {"user", container.spec().user},
                                  {"function", container.spec().function},
                                  {"partition", container.spec().partition.uuid},
                                  {"executor_pid", container.executor_pid()},
                                  {"gpu_server_pid", container.gpu_server_pid()}});
}

void LogEnding(const Container& container, const EndReason& reason) {
  log::Info("container_ending", {{"id", container.spec().id}, {"reason", reason.sentence}});
}

void LogGone(const Container& container) {
  log::Info("container_gone", {{"id", container.spec().id}});
}

void LogStranger(pid_t pid) {
  log::Warning("stranger_killed", {{"pid", pid}});
}

}  // namespace

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
           std::shared_ptr<const ContainerSetup> setup)
    : executor_(executor),
      config_(config),
      inventory_(std::move(inventory)),
      partitions_(device::Partitions(inventory_)),
      setup_(std::move(setup)),
      gpu_servers_(executor, setup_->gpu_server),
      scheduler_(Specs(partitions_, config)),
      quiet_(executor) {}

Node::~Node() = default;

asio::awaitable<Answer> Node::Invoke(Request request, Caller& caller) {
  if (stopping_) co_return Failure(Outcome::kNoCapacity, "The node is stopping.");
  uint32_t& of_user = calls_of_user_[request.user];
  if (of_user >= config_.limits.queue)
    co_return Failure(Outcome::kQueueFull,
                      fmt::format("User [{}] has {} invocations that wait or run (limits.queue is {}).", request.user,
                                  of_user, config_.limits.queue));
  ++of_user;
  const auto call = std::make_shared<Call>(executor_, next_call_++, std::move(request));
  calls_[call->id] = call;
  caller.on_leave_ = [weak = std::weak_ptr(call)] {
    if (const auto alive = weak.lock()) alive->inbox.Post(CallerLeft{});
  };
  Answer answer = co_await Wait(call);
  caller.on_leave_ = nullptr;
  answer.timing.total = MillisecondsSince(call->request.accepted);
  calls_.erase(call->id);
  if (const auto found = calls_of_user_.find(call->request.user); --found->second == 0) calls_of_user_.erase(found);
  if (stopping_) quiet_.Post(0);
  co_return answer;
}

// Waits for the turn, then runs. Where the container ends under it through no fault of its own, it is placed again.
asio::awaitable<Answer> Node::Wait(std::shared_ptr<Call> call) {
  const sched::Demand demand{Owner(call->request), call->request.mig_instance, call->request.gpu_memory_mib};
  Apply(scheduler_.On(sched::Arrived{call->id, demand}));
  for (;;) {
    std::optional<CallEvent> event = co_await call->inbox.Next(call->deadline());
    if (!event || std::holds_alternative<CallerLeft>(*event) || std::holds_alternative<Stopping>(*event)) {
      if (IsGranted(*call)) continue;  // too late to give up: the turn is next in the inbox
      Apply(scheduler_.On(sched::Withdrawn{call->id}));
      if (!event)
        co_return Failure(Outcome::kTimeout,
                          fmt::format("The invocation {} longer than its timeout of {} s.",
                                      IsStarting(*call) ? "had its container starting" : "waited for its turn",
                                      Seconds(call->request.timeout)));
      const bool left = std::holds_alternative<CallerLeft>(*event);
      co_return Failure(Outcome::kNoCapacity, left ? "The caller has gone." : "The node is stopping.");
    }
    if (auto* rejected = std::get_if<Rejected>(&*event))
      co_return Failure(Outcome::kNoCapacity, std::move(rejected->reason));
    if (auto* ended = std::get_if<Ended>(&*event)) {
      using Kind = EndReason::Kind;
      const bool asked = ended->reason.kind == Kind::kKilled || ended->reason.kind == Kind::kShutdown;
      if (!ended->had_started || asked || stopping_) co_return AnswerTo(ended->reason);
      Apply(scheduler_.On(sched::Arrived{call->id, demand}));
      continue;
    }
    if (auto* granted = std::get_if<Granted>(&*event)) {
      Answer answer;
      answer.granted = true;
      const std::shared_ptr<Container> container = granted->container;
      co_return co_await Run(call, container, std::move(answer));
    }
  }
}

asio::awaitable<Answer> Node::Run(std::shared_ptr<Call> call, std::shared_ptr<Container> container, Answer answer) {
  Slot& slot = slots_.at(IdOf(*container));
  answer.cold = slot.starter == call;
  slot.starter.reset();
  ++slot.invocations;
  answer.container = container->spec().id;
  answer.partition = container->spec().partition.uuid;
  answer.instance_size = container->spec().partition.instance_size;
  double starting = 0;
  if (answer.cold) {
    answer.timing = container->start_timing();
    starting = *answer.timing.spawn + *answer.timing.context + *answer.timing.attach;
  }
  answer.timing.queue = std::max(0.0, MillisecondsSince(call->request.accepted) - starting);

  const auto began = Clock::now();
  container->Run(call->id, call->request.payload);
  const std::optional<CallEvent> returned = co_await AwaitReturn(*call, *container);
  answer.timing.exec = MillisecondsSince(began);
  if (!returned) {
    std::string sentence =
        fmt::format("The function was killed after its timeout of {} s.", Seconds(call->request.timeout));
    container->End({EndReason::Kind::kTimeout, sentence});
    co_return Failed(std::move(answer), Outcome::kTimeout, std::move(sentence));
  }
  if (const auto* ended = std::get_if<Ended>(&*returned)) co_return Failed(std::move(answer), AnswerTo(ended->reason));

  // The result is taken before the container can be given to the next.
  const uint64_t capacity = setup_->layout.result_capacity;
  const auto* value = std::get_if<Returned>(&*returned);
  if (const auto* threw = std::get_if<Threw>(&*returned))
    answer = Failed(std::move(answer), Outcome::kFunctionError, WithLogTail(threw->sentence, container->LogTail()));
  else if (value->value < 0)
    answer = Failed(std::move(answer), Outcome::kFunctionError,
                    WithLogTail(fmt::format("The function returned {}.", value->value), container->LogTail()));
  else if (static_cast<uint64_t>(value->value) > capacity)
    answer = Failed(std::move(answer), Outcome::kFunctionError,
                    fmt::format("The function returned {} bytes (limits.result is {}).", value->value, capacity));
  else
    answer.body = container->ReadResult(static_cast<uint64_t>(value->value));

  const std::optional<CallEvent> drained = co_await AwaitDrained(*call, *container);
  if (!drained) {
    std::string sentence =
        fmt::format("The function's GPU work was not done after its timeout of {} s.", Seconds(call->request.timeout));
    container->End({EndReason::Kind::kTimeout, sentence});
    co_return Failed(std::move(answer), Outcome::kTimeout, std::move(sentence));
  }
  if (const auto* ended = std::get_if<Ended>(&*drained)) {
    if (answer.outcome != Outcome::kOk || !ConcernsGpuWork(ended->reason)) co_return answer;
    co_return Failed(std::move(answer), AnswerTo(ended->reason));
  }
  container->CloseGate();
  slots_.at(IdOf(*container)).running.reset();
  if (container->unusable().empty())
    Apply(scheduler_.On(sched::Finished{call->id}));
  else
    container->End({EndReason::Kind::kUnusable, container->unusable()});
  co_return answer;
}

// Until the function has returned; a yield on the way gives the turn away.
asio::awaitable<std::optional<Node::CallEvent>> Node::AwaitReturn(Call& call, Container& container) {
  uint64_t yield_tag = 0;
  for (;;) {
    std::optional<CallEvent> event = co_await call.inbox.Next(call.deadline());
    if (!event) co_return event;
    if (std::holds_alternative<YieldAsked>(*event)) {
      yield_tag = container.Drain();
    } else if (const auto* drained = std::get_if<WorkDrained>(&*event)) {
      if (drained->tag != yield_tag) continue;
      container.CloseGate();
      Apply(scheduler_.On(sched::Yielded{call.id}));
    } else if (!std::holds_alternative<CallerLeft>(*event) && !std::holds_alternative<Stopping>(*event)) {
      co_return event;
    }
  }
}

asio::awaitable<std::optional<Node::CallEvent>> Node::AwaitDrained(Call& call, Container& container) {
  const uint64_t tag = container.Drain();
  for (;;) {
    std::optional<CallEvent> event = co_await call.inbox.Next(call.deadline());
    if (!event || std::holds_alternative<Ended>(*event)) co_return event;
    if (const auto* drained = std::get_if<WorkDrained>(&*event); drained != nullptr && drained->tag == tag)
      co_return event;
  }
}

void Node::Apply(std::vector<sched::Action> actions) {
  for (const sched::Action& action : actions) std::visit([this](const auto& of_a_kind) { Act(of_a_kind); }, action);
}

void Node::Act(const sched::Start& action) {
  ContainerSpec spec;
  const std::shared_ptr<Call> starter = calls_.at(action.invocation);
  const Request& request = starter->request;
  spec = {fmt::format("c-{}", action.container),
          request.user,
          request.function,
          request.handler,
          request.path,
          request.ld_preload,
          request.language,
          request.modules,
          action.demand.memory_mib,
          partitions_[action.partition]};
  const sched::ContainerId id = action.container;
  Container::Listener listener;
  listener.started = [this, id] {
    LogStarted(*slots_.at(id).container);
    Apply(scheduler_.On(sched::Started{id}));
  };
  listener.event = [this, id](ContainerEvent event) {
    Slot& slot = slots_.at(id);
    if (!slot.running || slot.ended) return;
    std::visit([&](auto& of_a_kind) { slot.running->inbox.Post(std::move(of_a_kind)); }, event);
  };
  listener.ending = [this, id](const EndReason& reason) { OnEnding(id, reason); };
  listener.gone = [this, id] { asio::co_spawn(executor_, OnGone(id), asio::detached); };
  slots_[id] = {.partition = action.partition, .starter = starter};
  slots_[id].container = Container::Start(executor_, gpu_servers_, std::move(spec), setup_, std::move(listener));
}

void Node::Act(const sched::Grant& action) {
  Slot& slot = slots_.at(action.container);
  slot.running = calls_.at(action.invocation);
  slot.running->inbox.Post(Granted{slot.container});
}

void Node::Act(const sched::Reject& action) {
  calls_.at(action.invocation)->inbox.Post(Rejected{action.reason});
}

void Node::Act(const sched::Abandon& action) {
  const Slot& slot = slots_.at(action.container);
  calls_.at(action.invocation)->inbox.Post(Ended{*slot.ended, slot.container->started()});
}

void Node::Act(const sched::Evict& action) {
  slots_.at(action.container).container->End({EndReason::Kind::kEvicted, "Its memory is needed by another function."});
}

void Node::OnEnding(sched::ContainerId id, const EndReason& reason) {
  Slot& slot = slots_.at(id);
  slot.ended = reason;
  LogEnding(*slot.container, reason);
  if (slot.running) slot.running->inbox.Post(Ended{reason, true});
  Apply(scheduler_.On(sched::Ending{id}));
}

asio::awaitable<void> Node::OnGone(sched::ContainerId id) {
  co_await EndStrangers();
  LogGone(*slots_.at(id).container);
  slots_.erase(id);
  Apply(scheduler_.On(sched::Gone{id}));
  if (stopping_) quiet_.Post(0);
}

// What a tenant detached from its process group and parent became our child.
asio::awaitable<void> Node::EndStrangers() {
  for (;;) {
    std::vector<pid_t> known = strangers_;
    for (const auto& [id, slot] : slots_)
      for (const pid_t pid : {slot.container->executor_pid(), slot.container->gpu_server_pid()}) known.push_back(pid);
    std::vector<os::Child> strangers = os::AdoptStrangers(known);
    if (strangers.empty()) co_return;
    for (os::Child& stranger : strangers) {
      const pid_t pid = stranger.pid();
      strangers_.push_back(pid);
      LogStranger(pid);
      (void)stranger.Signal(SIGKILL);
      asio::posix::stream_descriptor pidfd(executor_, ::fcntl(stranger.pidfd(), F_DUPFD_CLOEXEC, 3));
      boost::system::error_code ignored;
      co_await pidfd.async_wait(asio::posix::stream_descriptor::wait_read,
                                asio::redirect_error(asio::use_awaitable, ignored));
      (void)stranger.TryReap();
      std::erase(strangers_, pid);
    }
  }
}

bool Node::IsGranted(const Call& call) const {
  return std::ranges::any_of(slots_, [&](const auto& entry) { return entry.second.running.get() == &call; });
}

bool Node::IsStarting(const Call& call) const {
  return std::ranges::any_of(slots_, [&](const auto& entry) {
    return entry.second.starter.get() == &call && !entry.second.container->started();
  });
}

sched::ContainerId Node::IdOf(const Container& container) const {
  for (const auto& [id, slot] : slots_)
    if (slot.container.get() == &container) return id;
  return 0;
}

Result<> Node::Kill(const std::string& user, const std::string& container) {
  for (const auto& [id, slot] : slots_) {
    if (slot.container->spec().id != container || slot.container->spec().user != user || slot.ended) continue;
    slot.container->End({EndReason::Kind::kKilled, fmt::format("Container [{}] was killed on request.", container)});
    return {};
  }
  return Fail(Code::kNotFound, "User [{}] has no container [{}].", user, container);
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

asio::awaitable<void> Node::Stop(std::chrono::nanoseconds grace) {
  stopping_ = true;
  for (const auto& [id, call] : calls_) call->inbox.Post(Stopping{});
  const auto deadline = Clock::now() + grace;
  while (!calls_.empty())
    if (!co_await quiet_.Next(deadline)) break;
  for (const auto& [id, slot] : slots_) slot.container->End({EndReason::Kind::kShutdown, "The node is stopping."});
  while (!slots_.empty() || !calls_.empty()) co_await quiet_.Next(Clock::time_point::max());
  co_await EndStrangers();
}

}  // namespace mignificient::node
