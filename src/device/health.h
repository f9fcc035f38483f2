// Which partitions have become unusable: critical Xid errors of the driver, and GPUs that are lost.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/result.h"
#include "device/inventory.h"
#include "device/nvml.h"
#include "os/unique_fd.h"

namespace mignificient::device {

// A partition on which nothing may be started any more.
struct Unhealthy {
  std::string partition;  // UUID
  uint64_t xid = 0;       // 0: the GPU is lost or the driver is gone
  std::string why;        // "Xid 79: the GPU has fallen off the bus"

  std::string Sentence() const { return fmt::format("Partition {} became unhealthy: {}.", partition, why); }
};

// Whether an Xid is the doing of a program, which the driver ended, and leaves the GPU healthy: 13, 31, 43, 45, 68 and
// 109, as NVIDIA's Kubernetes device plugin has it.
bool IsApplicationXid(uint64_t xid);

// What NVIDIA's list of Xid errors says of it, in a few words; empty for one that is not known here.
std::string_view XidMeaning(uint64_t xid);

// The partitions that the event makes unhealthy: those of the MIG instance that it names, or all of its GPU.
std::vector<Unhealthy> Affected(const Inventory& inventory, const XidEvent& event);

// Watches with a thread of its own. `fd()` becomes readable when there is something to take, so that an event loop can
// wait for it; everything else may be called from any thread.
class HealthWatch {
 public:
  // kUnsupported where NVML has no events.
  static Result<std::unique_ptr<HealthWatch>> Start(std::shared_ptr<Nvml> nvml, Inventory inventory);
  HealthWatch(const HealthWatch&) = delete;
  HealthWatch& operator=(const HealthWatch&) = delete;
  // Waits for the thread, which looks up every 200 ms.
  ~HealthWatch();

  int fd() const { return ready_.get(); }
  // What became unhealthy since the last call, each partition once.
  std::vector<Unhealthy> Take();
  // After a new look at the devices: all of these are healthy until something else is heard. What was not taken yet and
  // is not among them is forgotten.
  void SetInventory(Inventory inventory);

 private:
  HealthWatch(std::shared_ptr<Nvml> nvml, Inventory inventory, std::unique_ptr<XidEvents> events, os::UniqueFd ready);

  void Run();
  // After an error: whoever does not answer is lost; if all do, nobody can tell, and all count as unhealthy.
  void LookForLost(const Error& error);
  void Report(std::vector<Unhealthy> found);
  bool Stopping();

  std::shared_ptr<Nvml> nvml_;
  std::unique_ptr<XidEvents> events_;  // of the thread; null after an error
  os::UniqueFd ready_;                 // an eventfd
  std::mutex mutex_;
  std::condition_variable stop_changed_;
  bool stop_ = false;
  Inventory inventory_;
  std::set<std::string> reported_;
  std::vector<Unhealthy> untaken_;
  std::thread thread_;  // last: it uses all the others
};

}  // namespace mignificient::device
