// The node's partitions, as devices come, go, and are partitioned anew.
#include <algorithm>
#include <set>
#include <utility>

#include "base/log.h"
#include "node/node.h"
#include "node/trace.h"

namespace mignificient::node {

namespace asio = boost::asio;

// The most exact name counts: a partition's uuid, then its profile, then its size, then the node's own model.
sched::PartitionSpec Node::SpecOf(const device::Partition& partition) const {
  const std::string& context = config_.gpu_server.context_memory_mib;
  const uint64_t automatic = partition.driver == device::Driver::kCuda ? 512 : 0;
  std::string model = config_.sharing_model;
  for (const std::string* name : {&partition.mig_size, &partition.instance_size, &partition.uuid})
    if (const auto found = config_.sharing_models.find(*name); found != config_.sharing_models.end())
      model = found->second;
  return {.uuid = partition.uuid,
          .mig_size = partition.mig_size,
          .instance_size = partition.instance_size,
          .memory_mib = partition.memory_mib,
          .context_mib = context == "auto" ? automatic : std::stoull(context),
          .model = sched::FindSharingModel(model).value_or(sched::SharingModel::kSequential),
          .running_limit = config_.limits.running,
          .shares_context = config_.gpu_server.share == "user"};
}

std::vector<sched::PartitionSpec> Node::SpecsOf(const std::vector<device::Partition>& partitions) const {
  std::vector<sched::PartitionSpec> specs;
  for (const device::Partition& partition : partitions) specs.push_back(SpecOf(partition));
  return specs;
}

void Node::SetInventory(device::Inventory inventory, std::vector<device::Partition> makeable) {
  // What becomes of a GPU that is partitioned anew is known at the end: until then it is as before.
  const auto before = std::ranges::find(inventory_.gpus, repartitioned_gpu_, &device::Gpu::uuid);
  const auto now = std::ranges::find(inventory.gpus, repartitioned_gpu_, &device::Gpu::uuid);
  if (before != inventory_.gpus.end() && now != inventory.gpus.end()) *now = *before;
  const auto others = [this](const device::Partition& p) { return p.gpu_uuid != repartitioned_gpu_; };
  ChangePartitions(std::move(inventory), std::move(makeable), others, "is gone");
}

void Node::ChangePartitions(device::Inventory inventory, std::vector<device::Partition> makeable,
                            const std::function<bool(const device::Partition&)>& concerned, const std::string& why) {
  const std::vector<device::Partition> now = device::Partitions(inventory);
  // Nobody is refused for want of what is about to be there.
  std::vector<device::Partition> soon = makeable_;
  soon.insert(soon.end(), makeable.begin(), makeable.end());
  soon.insert(soon.end(), now.begin(), now.end());
  Tell(sched::Makeable{SpecsOf(soon)});
  const std::vector<sched::PartitionSpec> there = SpecsOf(now);
  for (size_t i = 0; i < partitions_.size(); ++i)
    if (concerned(partitions_[i]) && std::ranges::find(there, scheduler_.partitions()[i]) == there.end()) Close(i, why);
  inventory_ = std::move(inventory);
  for (const device::Partition& partition : now)
    if (concerned(partition)) Open(partition);
  makeable_ = std::move(makeable);
  Tell(sched::Makeable{SpecsOf(makeable_)});
}

// The same UUID with another size or memory is another partition.
std::optional<size_t> Node::IndexOf(const device::Partition& partition) const {
  const auto& specs = scheduler_.partitions();
  const auto found = std::ranges::find(specs, SpecOf(partition));
  return found == specs.end() ? std::nullopt : std::optional(static_cast<size_t>(found - specs.begin()));
}

void Node::Open(const device::Partition& partition) {
  const std::optional<size_t> known = IndexOf(partition);
  if (known && scheduler_.IsOpen(*known)) return;
  if (known)
    partitions_[*known] = partition;
  else
    partitions_.push_back(partition);
  log::Info("partition_opened", {{"uuid", partition.uuid}, {"instance", partition.instance_size}});
  if (!known) ShowPartition(partitions_.size() - 1);
  Tell(sched::Opened{SpecOf(partition)});
}

Result<> Node::ClosePartition(const std::string& uuid, const std::string& why) {
  bool known = false;
  for (size_t i = 0; i < partitions_.size(); ++i) {
    if (partitions_[i].uuid != uuid) continue;
    known = true;
    Close(i, why);
  }
  if (!known) return Fail(Code::kNotFound, "This node has no partition [{}].", uuid);
  return {};
}

void Node::Close(size_t partition, const std::string& why) {
  if (!scheduler_.IsOpen(partition) && !scheduler_.IsVacant(partition)) return;
  log::Warning(
      "partition_closed",
      {{"uuid", partitions_[partition].uuid}, {"instance", partitions_[partition].instance_size}, {"why", why}});
  Tell(sched::Closed{partition});
  for (const auto& [id, slot] : slots_)
    if (slot.partition == partition)
      slot.container->End(
          {EndReason::Kind::kPartitionLost, fmt::format("GPU partition [{}] {}.", partitions_[partition].uuid, why)});
}

// Those that are there, and those that are gone while a container of theirs is not.
std::vector<PartitionInfo> Node::PartitionInfos() const {
  std::vector<PartitionInfo> infos;
  std::set<size_t> there;
  for (const device::Partition& partition : device::Partitions(inventory_))
    if (const auto index = IndexOf(partition)) there.insert(*index);
  for (size_t i = 0; i < partitions_.size(); ++i) {
    const device::Partition& partition = partitions_[i];
    if (!there.contains(i) && scheduler_.ContainersOn(i) == 0) continue;
    PartitionInfo info{.uuid = partition.uuid,
                       .gpu_uuid = partition.gpu_uuid,
                       .mig_size = partition.mig_size,
                       .instance_size = partition.instance_size,
                       .sharing_model = std::string(sched::Name(scheduler_.partitions()[i].model)),
                       .open = scheduler_.IsOpen(i),
                       .memory_mib = partition.memory_mib,
                       .free_mib = scheduler_.FreeMemoryMib(i),
                       .running = scheduler_.RunningOn(i),
                       .waiting_for_gpu = scheduler_.WaitingForGpu(i),
                       .owner = {}};
    if (const auto owner = scheduler_.Owner(i))
      if (const auto call = calls_.find(*owner); call != calls_.end() && call->second->container != 0)
        info.owner = slots_.at(call->second->container).container->spec().id;
    infos.push_back(std::move(info));
  }
  return infos;
}

// --- A GPU that is partitioned anew

void Node::SetMakeable(std::vector<device::Partition> makeable) {
  makeable_ = std::move(makeable);
  Tell(sched::Makeable{SpecsOf(makeable_)});
}

std::vector<WantedPartition> Node::WantedPartitions() const {
  const uint64_t context_mib = makeable_.empty() ? 0 : SpecOf(makeable_.front()).context_mib;
  std::vector<WantedPartition> all;
  for (const sched::Scheduler::Wanted& wanted : scheduler_.WantedPartitions())
    all.push_back({wanted.demand.mig_instance, wanted.demand.memory_mib + context_mib, wanted.count,
                   calls_.at(wanted.first)->request.accepted});
  return all;
}

std::vector<size_t> Node::PartitionsOf(const std::string& gpu) const {
  std::vector<size_t> indices;
  for (const device::Partition& partition : device::Partitions(inventory_))
    if (const auto index = IndexOf(partition); index && partition.gpu_uuid == gpu) indices.push_back(*index);
  return indices;
}

GpuUse Node::UseOf(const std::string& gpu) const {
  const std::vector<size_t> indices = PartitionsOf(gpu);
  GpuUse use{.idle = scheduler_.MayVacate(indices)};
  for (const size_t i : indices) use.last_use = std::max(use.last_use, scheduler_.LastUse(i));
  return use;
}

bool Node::BeginRepartition(const std::string& gpu) {
  const std::vector<size_t> indices = PartitionsOf(gpu);
  if (stopping_ || !repartitioned_gpu_.empty() || !scheduler_.MayVacate(indices)) return false;
  repartitioned_gpu_ = gpu;
  Tell(sched::Vacate{indices});
  return true;
}

asio::awaitable<void> Node::AwaitEmpty() {
  const std::vector<size_t> indices = PartitionsOf(repartitioned_gpu_);
  while (std::ranges::any_of(indices, [this](size_t i) { return scheduler_.ContainersOn(i) != 0; }))
    co_await emptied_.Next(std::chrono::steady_clock::time_point::max());
}

void Node::EndRepartition(const std::optional<device::Inventory>& found) {
  const std::string gpu = std::exchange(repartitioned_gpu_, {});
  device::Inventory inventory = inventory_;
  if (found) {
    std::erase_if(inventory.gpus, [&](const device::Gpu& known) { return known.uuid == gpu; });
    for (const device::Gpu& now : found->gpus)
      if (now.uuid == gpu) inventory.gpus.push_back(now);
    std::ranges::sort(inventory.gpus, {}, &device::Gpu::index);
  }
  const auto of_gpu = [&](const device::Partition& p) { return p.gpu_uuid == gpu; };
  ChangePartitions(std::move(inventory), makeable_, of_gpu, "was partitioned anew");
}

}  // namespace mignificient::node
