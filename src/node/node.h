// The orchestrator: takes invocations, has the scheduler place them and give them turns, runs them in containers.
// Everything happens on one loop (one thread); no call blocks it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/result.h"
#include "device/inventory.h"
#include "node/caller.h"
#include "node/config.h"
#include "node/container.h"
#include "node/gpu_server.h"
#include "node/logs.h"
#include "node/mailbox.h"
#include "node/metrics.h"
#include "node/request.h"
#include "node/status.h"
#include "sched/scheduler.h"

namespace mignificient::node {

class Trace;

// Nobody shares a container with another user or function, and no name can imitate another pair. `modules` say how a
// container is started, not what it is.
std::string OwnerOf(const Request& request);

class Node {
 public:
  Node(boost::asio::any_io_executor executor, const Config& config, device::Inventory inventory,
       std::shared_ptr<const ContainerSetup> setup, Trace* trace = nullptr);  // the trace outlives the node
  ~Node();

  // The life of an invocation. Always answers, exactly once.
  boost::asio::awaitable<Answer> Invoke(Request request, Caller& caller);

  // Ends a container. kNotFound where the user has none of this name.
  Result<> Kill(const std::string& user, const std::string& container);

  // Requests without payload, of functions whose `scaling` wants containers ahead: all there are, instead of those of
  // the last call.
  void Maintain(const std::vector<Request>& templates);

  // What there is now, and what could be made of it. Partitions that are not there take nothing any more and their
  // containers are ended; new ones are used from now on. A GPU that is partitioned anew stays as it was.
  void SetInventory(device::Inventory inventory, std::vector<device::Partition> makeable = {});
  // As for one that is gone, until the next inventory that has it. kNotFound.
  Result<> ClosePartition(const std::string& uuid, const std::string& why);

  // --- Partitioning a GPU anew (mig_auto.h decides when) ---
  // What asks for one of these waits instead of being refused.
  void SetMakeable(std::vector<device::Partition> makeable);
  // Told when an invocation waits that no partition could hold.
  void OnUnhoused(std::function<void()> told) { on_unhoused_ = std::move(told); }
  std::vector<WantedPartition> WantedPartitions() const;
  GpuUse UseOf(const std::string& gpu) const;
  // From now on nothing is placed on the GPU, and its idle containers are ended. False where it is not idle (any more),
  // or another one has begun: then nothing has happened.
  bool BeginRepartition(const std::string& gpu);
  boost::asio::awaitable<void> AwaitEmpty();  // until no process of that GPU's containers is left
  // Its partitions are as in `found`, or without that as before, and take containers again.
  void EndRepartition(const std::optional<device::Inventory>& found);

  std::vector<ContainerInfo> Containers() const;
  std::vector<PartitionInfo> PartitionInfos() const;
  size_t Waiting() const { return scheduler_.Waiting(); }
  Status GetStatus() const;
  const Metrics& metrics() const { return metrics_; }
  const Logs& logs() const { return logs_; }
  const device::Inventory& inventory() const { return inventory_; }
  bool stopping() const { return stopping_; }

  // Refuses what waits and what comes, lets what runs go on for `grace`, ends all containers. Returns when no
  // process is left.
  boost::asio::awaitable<void> Stop(std::chrono::nanoseconds grace);

 private:
  struct Granted {};
  struct Rejected {
    std::string reason;
  };
  struct Ended {  // its container ended, or will not start
    sched::ContainerId container;
    EndReason reason;
  };
  struct CallerLeft {};
  struct Stopping {};
  using CallEvent = std::variant<Granted, Rejected, Ended, CallerLeft, Stopping, Returned, Threw, WorkDrained>;
  struct Call {
    Call(boost::asio::any_io_executor executor, sched::InvocationId call_id, Request&& call_request)
        : id(call_id),
          request(std::move(call_request)),
          owner(OwnerOf(request)),
          inbox(std::move(executor)),
          deadline(request.accepted + request.patience.value_or(request.timeout)) {}
    sched::InvocationId id;
    Request request;
    Answer answer;            // as far as it is known
    const std::string owner;  // OwnerOf
    Mailbox<CallEvent> inbox;
    sched::ContainerId container = 0;  // since it was granted
    sched::ContainerId given_up = 0;   // granted before, but failing by then
    uint64_t release_tag = 0;          // of the drain after which it has released the GPU; 0: none is under way
    bool yielding = false;             // that drain is for its yield
    bool finishing = false;            // its last drain is under way
    std::chrono::steady_clock::time_point deadline;
    std::function<boost::asio::awaitable<bool>(const std::string& container)> before_run;  // Caller's
  };
  struct Slot {  // a container with what the node knows about it
    std::shared_ptr<Container> container;
    size_t partition = 0;
    std::string owner;
    std::shared_ptr<Call> running;
    std::optional<EndReason> ended;
    uint64_t invocations = 0;
    std::optional<std::chrono::nanoseconds> remove_after;
    // When it has been idle for long enough. The timer is set once and looks then, instead of anew after each
    // invocation.
    std::chrono::steady_clock::time_point expires_at;
    bool expiry_armed = false;
    std::unique_ptr<boost::asio::steady_timer> expiry, quantum;
  };

  // node.cc: lives
  std::optional<Answer> RefuseForLimits(const Request& request, const std::string& owner);
  double RetryAfter() const;
  std::string WhatItWaitedFor(const Call& call) const;
  bool IsStarting(const std::string& owner) const;  // a container of its function
  void Arrive(const Call& call);
  boost::asio::awaitable<void> Wait(std::shared_ptr<Call> call);
  bool PlaceAgain(Call& call);
  boost::asio::awaitable<void> Run(std::shared_ptr<Call> call);
  void BeginAnswer(Call& call, Slot& slot);
  void TakeResult(const CallEvent& result, Call& call, Container& container);
  void GiveBack(sched::InvocationId call, sched::ContainerId container, double seconds);
  boost::asio::awaitable<bool> MayRun(Call& call, Container& container);
  boost::asio::awaitable<std::optional<CallEvent>> AwaitReturn(Call& call);
  boost::asio::awaitable<std::optional<CallEvent>> AwaitDrained(Call& call, Container& container);
  void Count(const Call& call, int change);

  // acting.cc: what the scheduler wants done, and what it must hear
  void Tell(sched::Event event);
  void Act(const sched::Start& action);
  void Act(const sched::Grant& action);
  void Act(const sched::SetGate& action);
  void Act(const sched::AskRelease& action);
  void Act(const sched::Reject& action);
  void Act(const sched::Abandon& action);
  void Act(const sched::Evict& action);
  void Act(const sched::Unhoused& action);
  Container::Listener ListenTo(sched::ContainerId id);
  void OnEvent(sched::ContainerId id, ContainerEvent event);
  void OnEnding(sched::ContainerId id, const EndReason& reason);
  boost::asio::awaitable<void> OnGone(sched::ContainerId id);
  void SetGate(Slot& slot, sched::Gate gate);
  void LockGate(sched::ContainerId id);
  void ShowPartition(size_t partition);
  void ShowOwners(const std::vector<sched::Action>& actions);
  void StartQuantum(Slot& slot);
  void BecameIdle(sched::ContainerId id);
  void AwaitExpiry(sched::ContainerId id);
  boost::asio::awaitable<void> EndStrangers();

  // partitions.cc
  sched::PartitionSpec SpecOf(const device::Partition& partition) const;
  std::vector<sched::PartitionSpec> SpecsOf(const std::vector<device::Partition>& partitions) const;
  std::optional<size_t> IndexOf(const device::Partition& partition) const;
  std::vector<size_t> PartitionsOf(const std::string& gpu) const;
  void ChangePartitions(device::Inventory inventory, std::vector<device::Partition> makeable,
                        const std::function<bool(const device::Partition&)>& concerned, const std::string& why);
  void Open(const device::Partition& partition);
  void Close(size_t partition, const std::string& why);

  boost::asio::any_io_executor executor_;
  const Config& config_;
  device::Inventory inventory_;
  std::vector<device::Partition> partitions_;  // as the scheduler counts them; those that are gone, too
  std::vector<device::Partition> makeable_;    // without UUIDs
  std::string repartitioned_gpu_;              // its UUID, while it is; else empty
  std::shared_ptr<const ContainerSetup> setup_;
  GpuServers gpu_servers_;
  sched::Scheduler scheduler_;
  Trace* const trace_;                                            // null: none is written
  std::vector<std::optional<sched::InvocationId>> shown_owners_;  // of partitions, in the trace
  sched::InvocationId next_call_ = 1;
  std::map<sched::InvocationId, std::shared_ptr<Call>> calls_;
  std::map<sched::ContainerId, Slot> slots_;
  std::map<std::string, uint32_t> calls_of_user_, calls_of_function_;
  std::map<std::string, Request> kept_;  // by owner
  double mean_run_s_ = 0.1;              // of invocations: a moving average
  Metrics metrics_;
  Logs logs_;
  bool stopping_ = false;
  Mailbox<int> quiet_;    // while stopping: told when a container or a call has gone
  Mailbox<int> emptied_;  // while a GPU is partitioned anew: told when a container has gone
  std::function<void()> on_unhoused_;
  std::vector<pid_t> strangers_;  // being ended
};

sched::Demand DemandOf(const Request& request, std::string owner);  // owner: OwnerOf

// The answer to what waited for or ran in a container that ended.
Answer AnswerTo(const EndReason& reason);

}  // namespace mignificient::node
