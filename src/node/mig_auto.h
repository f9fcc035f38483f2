// `mig.auto`: has idle GPUs partitioned anew for invocations that no partition of the node could hold. It decides when:
// once such an invocation has waited for mig.after-ms and a GPU been idle for as long. What is made is
// device::PlanMix's decision, and whether a GPU is idle the scheduler's (sched/repartition.cc).
//
// Lives on the node's loop; what NVML takes long for happens on a thread of its own, one GPU at a time. Looks at the
// GPUs while somebody waits, and never otherwise.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include "base/result.h"
#include "device/mig_mix.h"
#include "device/nvml.h"
#include "node/config.h"
#include "node/device_watch.h"
#include "node/mailbox.h"
#include "node/node.h"
#include "node/status.h"
#include "node/trace.h"

namespace mignificient::node {

class MigAuto {
 public:
  // From now on the node makes what of its inventory can be made. All of these outlive this object; `trace` may be
  // null.
  MigAuto(boost::asio::any_io_executor executor, const Config::Mig& config, Node& node, DeviceWatch& devices,
          std::shared_ptr<device::Nvml> nvml, Trace* trace);
  // Waits for what NVML is doing: no change is left half done.
  ~MigAuto();

  const MigStatus& status() const { return status_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Known {  // of a GPU
    uint64_t last_use = 0;
    Clock::time_point idle_since;
    Clock::time_point retry_at;
    uint32_t failures = 0;  // since the last success
    std::string futile;     // the wishes that it has nothing better for
  };

  bool IsOurs(const device::Gpu& gpu) const;
  std::vector<device::Partition> MakeableOf(const device::Inventory& inventory);
  boost::asio::awaitable<void> Watch();
  // Whether it is worth looking again at once.
  boost::asio::awaitable<bool> MakeSomething();
  std::vector<device::Gpu> Candidates();
  boost::asio::awaitable<bool> Make(const device::Gpu& gpu);
  boost::asio::awaitable<void> Finish(const std::string& gpu, Clock::time_point began,
                                      const Result<std::vector<std::string>>& made);
  void Failed(const std::string& gpu, const Error& error);
  bool SomebodyWaitedLongEnough() const;
  std::vector<device::Demand> Demands() const;
  Clock::duration Period() const;

  // On the thread; resumes on the loop.
  template <typename Job>
  boost::asio::awaitable<std::invoke_result_t<Job&>> OnThread(Job job) {
    using Outcome = std::invoke_result_t<Job&>;
    const auto answer = std::make_shared<Mailbox<Outcome>>(executor_);
    boost::asio::post(*thread_, [answer, loop = executor_, job = std::move(job)]() mutable {
      auto outcome = std::make_shared<Outcome>(job());
      boost::asio::post(loop, [answer, outcome] { answer->Post(std::move(*outcome)); });
    });
    auto outcome = co_await answer->Next(Clock::time_point::max());
    co_return std::move(*outcome);
  }

  boost::asio::any_io_executor executor_;
  const Config::Mig& config_;
  const Clock::duration after_;
  Node& node_;
  DeviceWatch& devices_;
  const std::shared_ptr<device::Nvml> nvml_;
  Trace* const trace_;
  MigStatus status_{.automatic = true};
  std::map<std::string, std::vector<device::Partition>> makeable_;  // by the GPU's UUID: what it is, not how
  std::map<std::string, Known> known_;                              // by the GPU's UUID
  Mailbox<int> wakes_;
  bool awake_ = false;
  std::unique_ptr<boost::asio::thread_pool> thread_;
};

}  // namespace mignificient::node
