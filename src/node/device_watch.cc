#include "node/device_watch.h"

#include <fcntl.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.h"

namespace mignificient::node {

namespace asio = boost::asio;

Result<device::Inventory> DeviceWatch::Find() {
  auto inventory = look_();
  if (!inventory) {
    log::Error("devices_unknown", {{"error", inventory.error().message()}});
    return std::unexpected(std::move(inventory).error().While("looking for devices again"));
  }
  for (const std::string& trouble : inventory->troubles) log::Warning("gpu_left_out", {{"text", trouble}});
  if (health_) health_->SetInventory(*inventory);
  return inventory;
}

Result<> DeviceWatch::Look() {
  MIG_ASSIGN(device::Inventory inventory, Find());
  auto makeable = makeable_ ? makeable_(inventory) : std::vector<device::Partition>{};
  node_.SetInventory(std::move(inventory), std::move(makeable));
  return {};
}

Result<> DeviceWatch::LookAtRepartitioned() {
  MIG_ASSIGN(const device::Inventory inventory, Find());
  node_.EndRepartition(inventory);
  return {};
}

void DeviceWatch::Watch(std::unique_ptr<device::HealthWatch> health) {
  health_ = std::move(health);
  asio::co_spawn(executor_, CloseUnhealthy(), asio::detached);
}

asio::awaitable<void> DeviceWatch::CloseUnhealthy() {
  asio::posix::stream_descriptor ready(executor_, ::fcntl(health_->fd(), F_DUPFD_CLOEXEC, 3));
  for (;;) {
    boost::system::error_code error;
    co_await ready.async_wait(asio::posix::stream_descriptor::wait_read,
                              asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return;
    for (const device::Unhealthy& unhealthy : health_->Take())
      if (const auto closed = node_.ClosePartition(unhealthy.partition, "became unhealthy: " + unhealthy.why); !closed)
        log::Warning("unhealthy", {{"partition", unhealthy.partition}, {"why", closed.error().message()}});
  }
}

}  // namespace mignificient::node
