// The orchestrator: takes invocations, has the scheduler place them and give them turns, runs them in containers.
// Everything happens on one loop (one thread); no call blocks it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/result.h"
#include "device/inventory.h"
#include "node/config.h"
#include "node/container.h"
#include "node/mailbox.h"
#include "node/request.h"
#include "sched/scheduler.h"

namespace mignificient::node {

class Node {
 public:
  Node(boost::asio::any_io_executor executor, const Config& config, device::Inventory inventory,
       std::shared_ptr<const ContainerSetup> setup);
  ~Node();

  // Somebody who may lose interest. `Leave` while the invocation waits takes it out of the queue; one that runs goes
  // on, and its answer is dropped.
  class Caller {
   public:
    void Leave() {
      if (on_leave_) on_leave_();
    }

   private:
    friend class Node;
    std::function<void()> on_leave_;
  };

  // The life of an invocation. Always answers, exactly once.
  boost::asio::awaitable<Answer> Invoke(Request request, Caller& caller);

  // Ends a container. kNotFound where the user has none of this name.
  Result<> Kill(const std::string& user, const std::string& container);

  std::vector<ContainerInfo> Containers() const;
  const device::Inventory& inventory() const { return inventory_; }
  bool stopping() const { return stopping_; }

  // Refuses what waits and what comes, lets what runs go on for `grace`, ends all containers. Returns when no
  // process is left.
  boost::asio::awaitable<void> Stop(std::chrono::nanoseconds grace);

 private:
  struct Granted {
    std::shared_ptr<Container> container;
  };
  struct Rejected {
    std::string reason;
  };
  struct Ended {  // its container ended, or will not start
    EndReason reason;
    bool had_started;
  };
  struct CallerLeft {};
  struct Stopping {};
  using CallEvent =
      std::variant<Granted, Rejected, Ended, CallerLeft, Stopping, Returned, Threw, YieldAsked, WorkDrained>;
  struct Call {
    Call(boost::asio::any_io_executor executor, sched::InvocationId call_id, Request call_request)
        : id(call_id), request(std::move(call_request)), inbox(std::move(executor)) {}
    sched::InvocationId id;
    Request request;
    Mailbox<CallEvent> inbox;
    std::chrono::steady_clock::time_point deadline() const { return request.accepted + request.timeout; }
  };
  struct Slot {  // a container with what the node knows about it
    std::shared_ptr<Container> container;
    size_t partition = 0;
    std::shared_ptr<Call> running;
    std::shared_ptr<Call> starter;  // the call it was started for
    std::optional<EndReason> ended;
    uint64_t invocations = 0;
  };

  boost::asio::awaitable<Answer> Wait(std::shared_ptr<Call> call);
  boost::asio::awaitable<Answer> Run(std::shared_ptr<Call> call, std::shared_ptr<Container> container, Answer answer);
  boost::asio::awaitable<std::optional<CallEvent>> AwaitReturn(Call& call, Container& container);
  boost::asio::awaitable<std::optional<CallEvent>> AwaitDrained(Call& call, Container& container);

  void Apply(std::vector<sched::Action> actions);
  void Act(const sched::Start& action);
  void Act(const sched::Grant& action);
  void Act(const sched::Reject& action);
  void Act(const sched::Abandon& action);
  void Act(const sched::Evict& action);
  void OnEnding(sched::ContainerId id, const EndReason& reason);
  boost::asio::awaitable<void> OnGone(sched::ContainerId id);
  boost::asio::awaitable<void> EndStrangers();
  bool IsGranted(const Call& call) const;
  bool IsStarting(const Call& call) const;  // the container that is started for it is not ready
  sched::ContainerId IdOf(const Container& container) const;

  boost::asio::any_io_executor executor_;
  const Config& config_;
  device::Inventory inventory_;
  std::vector<device::Partition> partitions_;
  std::shared_ptr<const ContainerSetup> setup_;
  GpuServers gpu_servers_;
  sched::Scheduler scheduler_;
  sched::InvocationId next_call_ = 1;
  std::map<sched::InvocationId, std::shared_ptr<Call>> calls_;
  std::map<sched::ContainerId, Slot> slots_;
  std::map<std::string, uint32_t> calls_of_user_;
  bool stopping_ = false;
  Mailbox<int> quiet_;            // while stopping: told when a container or a call has gone
  std::vector<pid_t> strangers_;  // being ended
};

// The answer to what waited for or ran in a container that ended.
Answer AnswerTo(const EndReason& reason);

}  // namespace mignificient::node
