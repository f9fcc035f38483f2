// Keeps the node's partitions as the devices are: looks again on request, and closes what NVML says has become
// unhealthy. Lives on the node's loop.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "base/result.h"
#include "device/health.h"
#include "device/inventory.h"
#include "node/node.h"

namespace mignificient::node {

class DeviceWatch {
 public:
  // `look` finds what there is now: a devices.json, or discovery.
  DeviceWatch(boost::asio::any_io_executor executor, Node& node, std::function<Result<device::Inventory>()> look)
      : executor_(std::move(executor)), node_(node), look_(std::move(look)) {}

  // Has the node use what is there now, which takes the loop as long as NVML takes to answer: some milliseconds for
  // each GPU. A partition that was closed for its health and is there is used again. On failure nothing changes.
  Result<> Look();

  // Asked with each look, from now on, what partitions could be made of what is there.
  void SetMakeable(std::function<std::vector<device::Partition>(const device::Inventory&)> makeable) {
    makeable_ = std::move(makeable);
  }
  // Has the node use what became of the GPU that it has had partitioned anew; of other GPUs nothing changes. Takes the
  // loop as Look does. On failure the GPU still takes nothing.
  Result<> LookAtRepartitioned();

  // From now on partitions that become unhealthy are closed. Once.
  void Watch(std::unique_ptr<device::HealthWatch> health);

 private:
  Result<device::Inventory> Find();
  boost::asio::awaitable<void> CloseUnhealthy();

  boost::asio::any_io_executor executor_;
  Node& node_;
  std::function<Result<device::Inventory>()> look_;
  std::function<std::vector<device::Partition>(const device::Inventory&)> makeable_;
  std::unique_ptr<device::HealthWatch> health_;
};

}  // namespace mignificient::node
