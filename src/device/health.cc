#include "device/health.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace mignificient::device {
namespace {

constexpr uint32_t kLookUpMs = 200;
// Between attempts to hear again from a driver that has failed.
constexpr std::chrono::seconds kPause{1};

constexpr uint64_t kApplicationXids[] = {13, 31, 43, 45, 68, 109};

// "Xid Errors" (docs.nvidia.com/deploy/xid-errors).
constexpr std::pair<uint64_t, std::string_view> kMeanings[] = {
    {13, "graphics engine exception"},
    {31, "GPU memory page fault"},
    {32, "invalid or corrupted push buffer stream"},
    {38, "driver firmware error"},
    {43, "GPU stopped processing"},
    {45, "preemptive cleanup, due to previous errors"},
    {46, "GPU stopped processing"},
    {48, "double-bit ECC error"},
    {61, "internal micro-controller breakpoint"},
    {62, "internal micro-controller halt"},
    {63, "ECC page retirement or row remapping recorded"},
    {64, "ECC page retirement or row remapping failed"},
    {68, "video processor exception"},
    {69, "graphics engine class error"},
    {74, "NVLink error"},
    {79, "the GPU has fallen off the bus"},
    {92, "high rate of single-bit ECC errors"},
    {94, "contained ECC error"},
    {95, "uncontained ECC error"},
    {109, "context switch timeout"},
    {119, "GSP RPC timeout"},
    {120, "GSP error"},
    {140, "unrecovered ECC error"},
    {143, "GPU initialisation failure"},
    {154, "GPU recovery action required"},
};

bool Hits(const Instance& instance, const XidEvent& event) {
  if (event.gpu_instance == kNoInstance || !instance.gpu_instance) return true;
  if (*instance.gpu_instance != event.gpu_instance) return false;
  return event.compute_instance == kNoInstance || !instance.compute_instance ||
         *instance.compute_instance == event.compute_instance;
}

template <typename Add>
void EachPartition(const Gpu& gpu, Add add) {
  for (const Partition& partition : Partitions(Inventory{.gpus = {gpu}})) add(partition.uuid);
}

}  // namespace

bool IsApplicationXid(uint64_t xid) {
  return std::ranges::find(kApplicationXids, xid) != std::end(kApplicationXids);
}

std::string_view XidMeaning(uint64_t xid) {
  for (const auto& [known, meaning] : kMeanings)
    if (known == xid) return meaning;
  return {};
}

std::vector<Unhealthy> Affected(const Inventory& inventory, const XidEvent& event) {
  std::vector<Unhealthy> affected;
  if (IsApplicationXid(event.xid)) return affected;
  const std::string_view meaning = XidMeaning(event.xid);
  const std::string why = fmt::format("Xid {}{}{}", event.xid, meaning.empty() ? "" : ": ", meaning);
  for (const Gpu& gpu : inventory.gpus) {
    if (gpu.uuid != event.gpu_uuid) continue;
    Gpu hit = gpu;
    std::erase_if(hit.instances, [&](const Instance& instance) { return !Hits(instance, event); });
    if (hit.instances.empty() && !gpu.instances.empty()) continue;
    EachPartition(hit, [&](const std::string& uuid) { affected.push_back({uuid, event.xid, why}); });
  }
  return affected;
}

Result<std::unique_ptr<HealthWatch>> HealthWatch::Start(std::shared_ptr<Nvml> nvml, Inventory inventory) {
  MIG_ASSIGN(auto events, nvml->WatchXids());
  os::UniqueFd ready(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!ready) return FailErrno("eventfd", errno);
  return std::unique_ptr<HealthWatch>(
      new HealthWatch(std::move(nvml), std::move(inventory), std::move(events), std::move(ready)));
}

HealthWatch::HealthWatch(std::shared_ptr<Nvml> nvml, Inventory inventory, std::unique_ptr<XidEvents> events,
                         os::UniqueFd ready)
    : nvml_(std::move(nvml)),
      events_(std::move(events)),
      ready_(std::move(ready)),
      inventory_(std::move(inventory)),
      thread_([this] { Run(); }) {}

HealthWatch::~HealthWatch() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stop_changed_.notify_all();
  thread_.join();
}

bool HealthWatch::Stopping() {
  const std::lock_guard lock(mutex_);
  return stop_;
}

void HealthWatch::Run() {
  while (!Stopping()) {
    if (!events_) {
      auto again = nvml_->WatchXids();
      if (again) events_ = std::move(*again);
    }
    if (events_) {
      const auto event = events_->Wait(kLookUpMs);
      if (event && *event) {
        std::vector<Unhealthy> affected;
        {
          const std::lock_guard lock(mutex_);
          affected = Affected(inventory_, **event);
        }
        Report(std::move(affected));
      }
      if (event) continue;
      LookForLost(event.error());
      events_.reset();
    }
    std::unique_lock lock(mutex_);
    stop_changed_.wait_for(lock, kPause, [this] { return stop_; });
  }
}

void HealthWatch::LookForLost(const Error& error) {
  Inventory inventory;
  {
    const std::lock_guard lock(mutex_);
    inventory = inventory_;
  }
  std::vector<Unhealthy> lost, all;
  for (const Gpu& gpu : inventory.gpus) {
    const auto answer = nvml_->Gpu(gpu.index);
    const bool here = answer && answer->uuid == gpu.uuid;
    const std::string why = answer ? fmt::format("GPU {} is gone", gpu.uuid) : answer.error().message();
    EachPartition(gpu, [&](const std::string& uuid) {
      all.push_back({uuid, 0, error.message()});
      if (!here) lost.push_back({uuid, 0, why});
    });
  }
  Report(lost.empty() ? std::move(all) : std::move(lost));
}

void HealthWatch::Report(std::vector<Unhealthy> found) {
  const std::lock_guard lock(mutex_);
  bool fresh = false;
  for (Unhealthy& one : found) {
    while (one.why.ends_with('.')) one.why.pop_back();
    if (!reported_.insert(one.partition).second) continue;
    untaken_.push_back(std::move(one));
    fresh = true;
  }
  const uint64_t one = 1;
  // Fails only when the counter is full, and then the descriptor is readable anyway.
  if (fresh) std::ignore = ::write(ready_.get(), &one, sizeof one);
}

std::vector<Unhealthy> HealthWatch::Take() {
  const std::lock_guard lock(mutex_);
  uint64_t count = 0;
  std::ignore = ::read(ready_.get(), &count, sizeof count);  // EAGAIN: nothing was there
  return std::exchange(untaken_, {});
}

void HealthWatch::SetInventory(Inventory inventory) {
  const std::lock_guard lock(mutex_);
  inventory_ = std::move(inventory);
  reported_.clear();
  const auto partitions = Partitions(inventory_);
  std::erase_if(untaken_, [&](const Unhealthy& one) {
    return std::ranges::find(partitions, one.partition, &Partition::uuid) == partitions.end();
  });
}

}  // namespace mignificient::device
