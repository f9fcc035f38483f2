#include "node/mig_auto.h"

#include <fmt/ranges.h>

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.h"
#include "base/seconds.h"
#include "device/repartition.h"
#include "os/signals.h"

namespace mignificient::node {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using Steps = Result<std::vector<std::string>>;

constexpr std::chrono::milliseconds kShortestPeriod{10}, kLongestPeriod{250};
constexpr uint32_t kDoublings = 5;

// "2 x 3g, 1 x any with 30000 MiB"
std::string Text(const std::vector<device::Demand>& demands) {
  std::vector<std::string> parts;
  for (const device::Demand& demand : demands)
    parts.push_back(fmt::format("{} x {} with {} MiB", demand.count, demand.mig_instance, demand.memory_mib));
  return fmt::format("{}", fmt::join(parts, ", "));
}

asio::awaitable<void> Sleep(Clock::duration duration) {
  asio::steady_timer timer(co_await asio::this_coro::executor, duration);
  co_await timer.async_wait(asio::use_awaitable);
}

// Signals belong to the loop's thread.
std::unique_ptr<asio::thread_pool> OneThread() {
  const os::SignalsBlocked blocked;
  return std::make_unique<asio::thread_pool>(1);
}

}  // namespace

MigAuto::MigAuto(asio::any_io_executor executor, const Config::Mig& config, Node& node, DeviceWatch& devices,
                 std::shared_ptr<device::Nvml> nvml, Trace* trace)
    : executor_(executor),
      config_(config),
      after_(FromSeconds(config.after_ms / 1e3)),
      node_(node),
      devices_(devices),
      nvml_(std::move(nvml)),
      trace_(trace),
      wakes_(executor),
      thread_(OneThread()) {
  devices_.SetMakeable([this](const device::Inventory& inventory) { return MakeableOf(inventory); });
  node_.OnUnhoused([this] {
    if (!std::exchange(awake_, true)) wakes_.Post(0);
  });
  std::vector<device::Partition> makeable = MakeableOf(node_.inventory());
  if (makeable.empty())
    log::Warning("mig_auto", {{"note", "No GPU is in MIG mode and ours to partition: nothing can be made."}});
  node_.SetMakeable(std::move(makeable));
  asio::co_spawn(executor_, Watch(), asio::detached);
}

MigAuto::~MigAuto() {
  thread_->join();
}

bool MigAuto::IsOurs(const device::Gpu& gpu) const {
  if (!gpu.mig || !gpu.mig->current) return false;
  return config_.gpus.empty() || std::ranges::any_of(config_.gpus, [&](const std::string& name) {
           return name == gpu.uuid || name == std::to_string(gpu.index);
         });
}

// Takes the loop as long as NVML takes to describe a GPU, once for each.
std::vector<device::Partition> MigAuto::MakeableOf(const device::Inventory& inventory) {
  std::vector<device::Partition> all;
  for (const device::Gpu& gpu : inventory.gpus) {
    if (!IsOurs(gpu)) continue;
    if (!makeable_.contains(gpu.uuid)) {
      auto makeable = device::MakeableOf(*nvml_, gpu.index, gpu.uuid);
      if (!makeable) {
        Failed(gpu.uuid, makeable.error());
        continue;
      }
      makeable_[gpu.uuid] = std::move(*makeable);
    }
    const auto& of_gpu = makeable_.at(gpu.uuid);
    all.insert(all.end(), of_gpu.begin(), of_gpu.end());
    known_[gpu.uuid].futile.clear();  // it may have other instances now
  }
  return all;
}

asio::awaitable<void> MigAuto::Watch() {
  for (;;) {
    co_await wakes_.Next(Clock::time_point::max());
    while (!node_.stopping() && !node_.WantedPartitions().empty()) {
      const bool again = co_await MakeSomething();
      if (!again) co_await Sleep(Period());
    }
    awake_ = false;
  }
}

Clock::duration MigAuto::Period() const {
  return std::clamp<Clock::duration>(after_ / 4, kShortestPeriod, kLongestPeriod);
}

bool MigAuto::SomebodyWaitedLongEnough() const {
  const Clock::time_point latest = Clock::now() - after_;
  return std::ranges::any_of(node_.WantedPartitions(),
                             [&](const WantedPartition& wanted) { return wanted.count > 0 && wanted.since <= latest; });
}

std::vector<device::Demand> MigAuto::Demands() const {
  std::vector<device::Demand> demands;
  for (const WantedPartition& wanted : node_.WantedPartitions())
    if (wanted.count > 0)
      demands.push_back({wanted.mig_instance, wanted.memory_mib, static_cast<uint32_t>(wanted.count)});
  return demands;
}

// GPUs that have been idle for long enough, least recently used first.
std::vector<device::Gpu> MigAuto::Candidates() {
  const Clock::time_point now = Clock::now();
  std::vector<std::pair<uint64_t, const device::Gpu*>> idle;
  for (const device::Gpu& gpu : node_.inventory().gpus) {
    if (!IsOurs(gpu) || !makeable_.contains(gpu.uuid)) continue;
    const GpuUse use = node_.UseOf(gpu.uuid);
    const auto [place, is_new] = known_.try_emplace(gpu.uuid);
    Known& known = place->second;
    if (!use.idle || known.last_use != use.last_use || known.idle_since == Clock::time_point{}) known.idle_since = now;
    known.last_use = use.last_use;
    if (use.idle && now - known.idle_since >= after_ && now >= known.retry_at) idle.emplace_back(use.last_use, &gpu);
  }
  std::ranges::stable_sort(idle, {}, &std::pair<uint64_t, const device::Gpu*>::first);
  std::vector<device::Gpu> candidates;
  for (const auto& [last_use, gpu] : idle) candidates.push_back(*gpu);
  return candidates;
}

asio::awaitable<bool> MigAuto::MakeSomething() {
  const std::vector<device::Gpu> candidates = Candidates();
  if (!SomebodyWaitedLongEnough()) co_return false;
  for (const device::Gpu& gpu : candidates) {
    const bool tried = co_await Make(gpu);
    if (tried) co_return true;
  }
  co_return false;
}

// False where nothing is to be done with this GPU.
asio::awaitable<bool> MigAuto::Make(const device::Gpu& gpu) {
  const std::vector<device::Demand> demands = Demands();
  const std::string wishes = Text(demands);
  if (demands.empty() || known_[gpu.uuid].futile == wishes) co_return false;
  const auto plan = [nvml = nvml_, index = gpu.index, uuid = gpu.uuid, demands] {
    return device::PlanRepartition(*nvml, index, uuid, demands);
  };
  const Steps planned = co_await OnThread(plan);
  if (!planned) {
    Failed(gpu.uuid, planned.error());
    co_return true;
  }
  if (planned->empty()) {
    known_[gpu.uuid].futile = wishes;
    co_return false;
  }
  if (!node_.BeginRepartition(gpu.uuid)) co_return false;  // it is used again
  const Clock::time_point began = Clock::now();
  status_.repartitioning = gpu.uuid;
  log::Info("mig_repartition",
            {{"gpu", gpu.uuid}, {"for", wishes}, {"plan", fmt::format("{}", fmt::join(*planned, "; "))}});
  co_await node_.AwaitEmpty();
  // Who has gone meanwhile needs nothing any more.
  const auto make = [nvml = nvml_, index = gpu.index, uuid = gpu.uuid, demands = Demands()] {
    return device::Repartition(*nvml, index, uuid, demands);
  };
  const Steps made = co_await OnThread(make);
  co_await Finish(gpu.uuid, began, made);
  co_return true;
}

// Whatever happened: the GPU's partitions are what there is.
asio::awaitable<void> MigAuto::Finish(const std::string& gpu, Clock::time_point began, const Steps& made) {
  const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
  if (made) {
    known_[gpu].failures = 0;
    known_[gpu].futile.clear();
    if (!made->empty()) ++status_.repartitions;
    log::Info("mig_repartitioned",
              {{"gpu", gpu}, {"seconds", seconds}, {"done", fmt::format("{}", fmt::join(*made, " "))}});
  } else {
    Failed(gpu, made.error());
  }
  if (trace_)
    trace_->Repartitioned(gpu, began, made ? fmt::format("{}", fmt::join(*made, " ")) : made.error().message());
  while (!devices_.LookAtRepartitioned() && !node_.stopping()) co_await Sleep(std::chrono::seconds(1));
  status_.repartitioning.clear();
  known_[gpu].idle_since = Clock::now();
}

void MigAuto::Failed(const std::string& gpu, const Error& error) {
  Known& known = known_[gpu];
  const double wait_s = config_.retry_after_s * (1u << std::min(known.failures++, kDoublings));
  known.retry_at = Clock::now() + FromSeconds(wait_s);
  ++status_.failures;
  status_.last_failure = fmt::format("GPU {}: {}", gpu, error.message());
  log::Warning("mig_repartition_failed", {{"gpu", gpu}, {"why", error.message()}, {"retry_after_s", wait_s}});
}

}  // namespace mignificient::node
