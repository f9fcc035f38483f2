// The node between the scheduler, which decides, and containers, which act.
#include <fcntl.h>
#include <signal.h>

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "base/log.h"
#include "base/seconds.h"
#include "node/node.h"
#include "node/trace.h"
#include "os/child.h"

namespace mignificient::node {
namespace {

namespace asio = boost::asio;

wire::GateState StateOf(sched::Gate gate) {
  switch (gate) {
    case sched::Gate::kLocked:
      return wire::GateState::kLocked;
    case sched::Gate::kCpuOnly:
      return wire::GateState::kCpuOnly;
    case sched::Gate::kMemcpy:
      return wire::GateState::kMemcpy;
    case sched::Gate::kFull:
      return wire::GateState::kFull;
  }
  return wire::GateState::kLocked;
}

std::string NameOf(sched::ContainerId id) {
  return fmt::format("c-{}", id);
}

void LogStarted(Container& container) {
  log::Info("container_started", {{"id", container.spec().id},
                                  {"user", container.spec().user},
                                  {"function", container.spec().function},
                                  {"partition", container.spec().partition.uuid},
                                  {"executor_pid", container.executor_pid()},
                                  {"keeper_pid", container.keeper_pid()},
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

void Node::Tell(sched::Event event) {
  const std::vector<sched::Action> actions = scheduler_.On(std::move(event));
  if (trace_) {
    trace_->StopClock();
    ShowOwners(actions);
  }
  for (const sched::Action& action : actions) std::visit([this](const auto& of_a_kind) { Act(of_a_kind); }, action);
  if (trace_) trace_->StartClock();
}

void Node::ShowPartition(size_t partition) {
  const device::Partition& shown = partitions_[partition];
  if (trace_)
    trace_->Partition(partition, fmt::format("{} {}", shown.instance_size, shown.uuid),
                      sched::Name(SpecOf(shown).model));
}

// Before `actions` are acted upon: nobody's gate opens before it is shown to own the GPU.
void Node::ShowOwners(const std::vector<sched::Action>& actions) {
  shown_owners_.resize(scheduler_.partitions().size());
  for (size_t i = 0; i < shown_owners_.size(); ++i) {
    const std::optional<sched::InvocationId> owner = scheduler_.Owner(i);
    if (std::exchange(shown_owners_[i], owner) == owner) continue;
    trace_->Disowned(i);
    const auto call = owner ? calls_.find(*owner) : calls_.end();
    if (call == calls_.end()) continue;
    sched::ContainerId container = call->second->container;
    for (const sched::Action& action : actions)
      if (const auto* grant = std::get_if<sched::Grant>(&action); grant != nullptr && grant->invocation == *owner)
        container = grant->container;
    trace_->Owns(i, *owner, container);
  }
}

void Node::Act(const sched::Start& action) {
  const Request& request =
      action.invocation != 0 ? calls_.at(action.invocation)->request : kept_.at(action.demand.owner);
  ContainerSpec spec = {NameOf(action.container),
                        request.user,
                        request.function,
                        request.handler,
                        request.path,
                        request.ld_preload,
                        request.language,
                        request.modules,
                        action.demand.memory_mib,
                        partitions_[action.partition]};
  Slot& slot = slots_[action.container];
  slot.partition = action.partition;
  slot.owner = action.demand.owner;
  slot.remove_after = request.scaling.remove_after;
  slot.expiry = std::make_unique<asio::steady_timer>(executor_);
  slot.quantum = std::make_unique<asio::steady_timer>(executor_);
  if (trace_) trace_->Starting(action.container, action.partition, spec);
  slot.container = Container::Start(executor_, gpu_servers_, std::move(spec), setup_, ListenTo(action.container));
  logs_.Add(slot.container->spec().id, slot.container->spec().user, slot.container->log_path());
}

Container::Listener Node::ListenTo(sched::ContainerId id) {
  return {.started =
              [this, id] {
                LogStarted(*slots_.at(id).container);
                if (trace_) trace_->Started(id);
                BecameIdle(id);
                Tell(sched::Started{id});
              },
          .logged = [this, name = NameOf(id)](LogExtent extent) { logs_.Grown(name, extent); },
          .event = [this, id](ContainerEvent event) { OnEvent(id, std::move(event)); },
          .ending = [this, id](const EndReason& reason) { OnEnding(id, reason); },
          .gone = [this, id] { asio::co_spawn(executor_, OnGone(id), asio::detached); },
          .activity =
              [this, id](const wire::ActivityRecord& record) {
                if (trace_) trace_->Did(id, record);
              },
          .activity_lost =
              [this, id](uint64_t records) {
                if (trace_) trace_->Lost(id, records);
              }};
}

// What a GPU server says of a session is acted upon at once and in its order: a command that waits at the gate after a
// release must not open the gate before the release is heard. The rest is for the coroutine of the invocation.
void Node::OnEvent(sched::ContainerId id, ContainerEvent event) {
  const Slot& slot = slots_.at(id);
  if (std::holds_alternative<BecameUnusable>(event)) {  // what runs in it is answered first
    if (!slot.running) slot.container->End({EndReason::Kind::kUnusable, slot.container->unusable()});
    return;
  }
  if (!slot.running || slot.ended) return;
  Call& call = *slot.running;
  if (std::holds_alternative<WaitsAtGate>(event)) return Tell(sched::Wants{call.id});
  if (std::holds_alternative<YieldAsked>(event)) {
    if (!call.finishing && !std::exchange(call.yielding, true))
      call.release_tag = slot.container->Drain(wire::Hold::kIssued);
    return;
  }
  if (const auto* drained = std::get_if<WorkDrained>(&event);
      drained != nullptr && call.release_tag != 0 && drained->tag == call.release_tag) {
    call.release_tag = 0;
    call.yielding = false;
    if (trace_) trace_->Yields(call.id);
    return Tell(sched::Released{call.id});
  }
  std::visit(
      [&](auto& of_a_kind) {
        using Kind = std::decay_t<decltype(of_a_kind)>;
        if constexpr (!std::is_same_v<Kind, WaitsAtGate> && !std::is_same_v<Kind, YieldAsked> &&
                      !std::is_same_v<Kind, BecameUnusable>)
          call.inbox.Post(std::move(of_a_kind));
      },
      event);
}

void Node::Act(const sched::Grant& action) {
  Slot& slot = slots_.at(action.container);
  slot.running = calls_.at(action.invocation);
  slot.running->container = action.container;
  SetGate(slot, action.gate);
  slot.running->inbox.Post(Granted{});
}

void Node::Act(const sched::SetGate& action) {
  if (Slot& slot = slots_.at(action.container); slot.running) SetGate(slot, action.gate);
}

// Under a quantum the GPU is lent for so long at a time.
void Node::SetGate(Slot& slot, sched::Gate gate) {
  slot.container->SetGate(StateOf(gate));
  if (trace_) {
    trace_->Gate(slot.running->container, StateOf(gate));
    if (gate == sched::Gate::kFull) trace_->Resumes(slot.running->id);
  }
  if (gate == sched::Gate::kFull && config_.quantum_ms > 0) StartQuantum(slot);
}

void Node::LockGate(sched::ContainerId id) {
  slots_.at(id).container->SetGate(wire::GateState::kLocked);
  if (trace_) trace_->Gate(id, wire::GateState::kLocked);
}

void Node::StartQuantum(Slot& slot) {
  slot.quantum->expires_after(FromSeconds(config_.quantum_ms / 1e3));
  slot.quantum->async_wait([this, call = slot.running](boost::system::error_code cancelled) {
    if (!cancelled) Tell(sched::QuantumOver{call->id});
  });
}

// One that yields, or whose last drain is under way, gives the GPU up with that.
void Node::Act(const sched::AskRelease& action) {
  const Slot& slot = slots_.at(action.container);
  if (!slot.running || slot.running->finishing || slot.running->yielding) return;
  const bool now = action.when == sched::AskRelease::When::kNow;
  const auto idle = std::chrono::microseconds(static_cast<int64_t>(config_.idle_release_us));
  slot.running->release_tag = slot.container->Drain(now ? wire::Hold::kNow : wire::Hold::kIdle, idle);
}

void Node::Act(const sched::Reject& action) {
  calls_.at(action.invocation)->inbox.Post(Rejected{action.reason});
}

void Node::Act(const sched::Abandon& action) {
  calls_.at(action.invocation)->inbox.Post(Ended{action.container, *slots_.at(action.container).ended});
}

void Node::Act(const sched::Evict& action) {
  slots_.at(action.container)
      .container->End(
          {EndReason::Kind::kEvicted, "It was idle; its memory is needed, or it was kept for long enough."});
}

void Node::Act(const sched::Unhoused&) {
  if (on_unhoused_) on_unhoused_();
}

void Node::OnEnding(sched::ContainerId id, const EndReason& reason) {
  Slot& slot = slots_.at(id);
  slot.ended = reason;
  slot.expiry->cancel();
  slot.quantum->cancel();
  LogEnding(*slot.container, reason);
  if (trace_) trace_->Ending(id, reason.sentence);
  if (slot.running) slot.running->inbox.Post(Ended{id, reason});
  Tell(sched::Ending{id, reason.others_fault});
}

asio::awaitable<void> Node::OnGone(sched::ContainerId id) {
  co_await EndStrangers();
  LogGone(*slots_.at(id).container);
  logs_.End(NameOf(id));
  if (trace_) trace_->Gone(id);
  slots_.erase(id);
  Tell(sched::Gone{id});
  if (stopping_) quiet_.Post(0);
  if (!repartitioned_gpu_.empty()) emptied_.Post(0);
}

void Node::BecameIdle(sched::ContainerId id) {
  Slot& slot = slots_.at(id);
  slot.quantum->cancel();
  const auto remove_after = slot.remove_after.value_or(FromSeconds(config_.containers.remove_after_s));
  if (remove_after.count() == 0) return;
  slot.expires_at = std::chrono::steady_clock::now() + remove_after;
  if (!slot.expiry_armed) AwaitExpiry(id);
}

void Node::AwaitExpiry(sched::ContainerId id) {
  Slot& armed = slots_.at(id);
  armed.expiry_armed = true;
  armed.expiry->expires_at(armed.expires_at);
  armed.expiry->async_wait([this, id](boost::system::error_code cancelled) {
    const auto found = slots_.find(id);
    if (cancelled || found == slots_.end()) return;
    Slot& slot = found->second;
    slot.expiry_armed = false;
    if (slot.running || slot.ended) return;  // BecameIdle follows, or nothing
    if (std::chrono::steady_clock::now() < slot.expires_at) return AwaitExpiry(id);
    Tell(sched::Expired{id});
  });
}

void Node::Maintain(const std::vector<Request>& templates) {
  sched::Keep keep;
  kept_.clear();
  for (const Request& request : templates) {
    if (request.scaling.min_containers == 0) continue;
    const sched::Demand demand = DemandOf(request, OwnerOf(request));
    kept_[demand.owner] = request;
    keep.wishes.push_back({demand, request.scaling.min_containers});
  }
  Tell(keep);
}

// What a tenant detached from its process group and parent became our child.
asio::awaitable<void> Node::EndStrangers() {
  for (;;) {
    std::vector<pid_t> known = strangers_;
    for (const auto& [id, slot] : slots_)
      for (const pid_t pid : {slot.container->keeper_pid(), slot.container->gpu_server_pid()}) known.push_back(pid);
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

}  // namespace mignificient::node
