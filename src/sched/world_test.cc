// Random event sequences: a world that plays processes, callers and GPUs, and checks after every event what must always
// hold.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "sched/scheduler.h"

namespace mignificient::sched {
namespace {

class World {
 public:
  World(uint32_t seed, SharingModel model, bool shares) : random_(seed), model_(model), shares_(shares) {
    Rules rules;
    rules.weights = {{"u1", 2.5}};
    for (size_t gpu = 0; gpu < kMixes.size(); ++gpu)
      for (const PartitionSpec& spec : MixOf(gpu, 0)) Own(gpu, spec);
    scheduler_.emplace(specs_, rules);
    Send(Makeable{Kinds()});
  }

  void Step() {
    switch (Pick(13)) {
      case 0:
      case 1:
      case 2:
        return ++steps_ / 50 % 2 == 0 ? Arrive() : FinishOne();  // there are lulls
      case 3:
        return Send(ContainerEvent<Started>(starting_));
      case 4:
      case 5:
        return FinishOne();
      case 6:
        return ReleaseOne();
      case 7:
        return WantOne();
      case 8:
        return EndQuantum();
      case 9:
        return Pick(3) == 0 ? WithdrawOne() : Send(ContainerEvent<Gone>(ending_));
      case 10:
        return Pick(8) == 0 ? CrashOne() : FinishOne();
      case 11:
        return Pick(8) == 0 ? KeepSome() : Send(ContainerEvent<Expired>(live_));
      case 12:
        return Repartition(Pick(kMixes.size()), Pick(2));
    }
  }

  // No new arrivals, and nothing is kept: everything that waits must end, where GPUs get what is waited for.
  void Settle() {
    keep_.clear();
    Send(Keep{});
    for (int i = 0; i < 20000 && !(waiting_.empty() && running_.empty()); ++i) {
      if (Pick(4) == 0) MakeWhatIsWanted();
      Send(ContainerEvent<Started>(starting_));
      if (Pick(2) == 0) WantOne();
      if (Pick(2) == 0) ReleaseOne();
      FinishOne();
      Send(ContainerEvent<Gone>(ending_));
    }
    EXPECT_TRUE(waiting_.empty()) << waiting_.size() << " invocations starve";
    EXPECT_EQ(scheduler_->Waiting(), 0u);
  }

  uint32_t remade() const { return remade_; }  // GPUs that were partitioned anew

 private:
  struct Reserved {
    size_t partition;
    Demand demand;
  };

  // What each GPU may be partitioned into. Instances at the same place have the same UUID, whatever they are.
  using Mix = std::vector<std::tuple<const char*, const char*, uint64_t>>;
  inline static const std::vector<std::vector<Mix>> kMixes = {
      {{{"3g", "3g.40gb", 4000}, {"4g", "4g.40gb", 5000}}, {{"7g", "7g.80gb", 9000}}},
      {{{"4g", "4g.40gb", 2000}}, {{"1g", "1g.10gb", 500}, {"2g", "2g.20gb", 1000}}}};

  std::vector<PartitionSpec> MixOf(size_t gpu, size_t mix) const {
    std::vector<PartitionSpec> specs;
    for (const auto& [size, name, memory] : kMixes[gpu][mix]) {
      const std::string uuid = std::to_string(gpu) + "/" + std::to_string(specs.size());
      specs.push_back({uuid, size, name, memory, 100, model_, 3, shares_});
    }
    return specs;
  }
  std::vector<PartitionSpec> Kinds() const {
    std::vector<PartitionSpec> kinds;
    for (size_t gpu = 0; gpu < kMixes.size(); ++gpu)
      for (size_t mix = 0; mix < kMixes[gpu].size(); ++mix)
        for (const PartitionSpec& spec : MixOf(gpu, mix)) kinds.push_back(spec);
    return kinds;
  }
  // The GPU has this partition from now on: as the scheduler counts them.
  void Own(size_t gpu, const PartitionSpec& spec) {
    const auto known = std::ranges::find(specs_, spec);
    has_[gpu].push_back(static_cast<size_t>(known - specs_.begin()));
    if (known == specs_.end()) specs_.push_back(spec);
  }
  static bool Fits(const PartitionSpec& spec, const Demand& demand) {
    return Matches(spec, demand.mig_instance) && demand.memory_mib + spec.context_mib <= spec.memory_mib;
  }
  bool IsOnGpu(ContainerId id, size_t gpu) const {
    return std::ranges::count(has_.at(gpu), reserved_.at(id).partition) != 0;
  }
  bool MayVacate(size_t gpu) const {
    std::map<std::string, std::pair<uint32_t, uint32_t>> stays_and_goes;
    for (const ContainerId id : live_) {
      auto& [stays, goes] = stays_and_goes[reserved_.at(id).demand.owner];
      ++(IsOnGpu(id, gpu) ? goes : stays);
      if (IsOnGpu(id, gpu) && (starting_.contains(id) || busy_.contains(id))) return false;
    }
    for (const ContainerId id : ending_)
      if (IsOnGpu(id, gpu) && busy_.contains(id)) return false;
    for (const auto& [owner, count] : stays_and_goes)
      if (const auto keep = keep_.find(owner); keep != keep_.end() && count.second > 0 && count.first < keep->second)
        return false;
    return std::ranges::none_of(waiting_, [&](InvocationId id) {
      return std::ranges::any_of(has_.at(gpu), [&](size_t i) { return Fits(specs_[i], demands_.at(id)); });
    });
  }
  // One step of making a GPU into `mix`: it is vacated, what is on it goes, it changes, or stays as it was.
  void Repartition(size_t gpu, size_t mix) {
    if (!vacant_) {
      const bool may = MayVacate(gpu);
      EXPECT_EQ(scheduler_->MayVacate(has_[gpu]), may);
      if (may) vacant_ = gpu;
      Send(Vacate{has_[gpu]});
      for (const size_t i : has_[gpu]) EXPECT_EQ(scheduler_->IsVacant(i), may);
      return;
    }
    for (const ContainerId id : ending_)
      if (IsOnGpu(id, *vacant_)) return Send(Gone{id});
    for (const size_t i : has_[*vacant_]) EXPECT_EQ(scheduler_->ContainersOn(i), 0u);
    const size_t changed = *vacant_;
    vacant_.reset();
    const std::vector<size_t> before = std::exchange(has_[changed], {});
    if (Pick(4) == 0) mix = kMixes[changed].size();  // it fails
    if (mix < kMixes[changed].size()) {
      ++remade_;
      for (const size_t i : before) Send(Closed{i});
      for (const PartitionSpec& spec : MixOf(changed, mix)) {
        Own(changed, spec);
        Send(Opened{spec});
      }
    } else {
      has_[changed] = before;
      for (const size_t i : before) Send(Opened{specs_[i]});
    }
  }
  void MakeWhatIsWanted() {
    const auto wanted = scheduler_->WantedPartitions();
    if (wanted.empty() && !vacant_) return;
    for (size_t gpu = 0; gpu < kMixes.size(); ++gpu)
      for (size_t mix = 0; mix < kMixes[gpu].size(); ++mix)
        for (const PartitionSpec& spec : MixOf(gpu, mix))
          if (wanted.empty() || (Fits(spec, wanted[0].demand) && (!vacant_ || vacant_ == gpu)))
            return Repartition(gpu, mix);
    Repartition(0, 0);  // another one than is wanted is vacant
  }
  uint32_t Pick(size_t choices) { return static_cast<uint32_t>(random_() % choices); }
  template <typename Set>
  auto PickFrom(const Set& set) {
    return *std::next(set.begin(), Pick(set.size()));
  }

  Demand SomeDemand() {
    static const char* kInstances[] = {"any", "any", "3g", "4g", "4g.40gb", "7g", "1g", "9g"};
    const uint32_t letter = Pick(6);
    return {.owner = std::string(1, static_cast<char>('a' + letter)),
            .user = "u" + std::to_string(letter / 2),
            .mig_instance = kInstances[Pick(8)],
            .memory_mib = 1 + Pick(3000),
            .concurrency = letter == 3 ? 1u : 0u,
            .max_containers = letter % 3 == 0 ? 2u : 0u};
  }
  void Arrive() {
    const Demand demand = SomeDemand();
    waiting_.insert(next_);
    demands_[next_] = demand;
    Send(Arrived{next_++, demand});
  }
  void KeepSome() {
    Keep keep;
    std::set<std::string> owners;
    for (uint32_t i = Pick(3); i > 0; --i)
      if (Demand demand = SomeDemand(); owners.insert(demand.owner).second)
        keep.wishes.push_back({demand, 1 + Pick(2)});
    keep_.clear();
    for (const Keep::Wish& wish : keep.wishes) keep_[wish.demand.owner] = wish.containers;
    Send(keep);
  }
  template <typename Kind>
  std::optional<Event> ContainerEvent(const std::set<ContainerId>& from) {
    if (from.empty()) return std::nullopt;
    return Kind{PickFrom(from)};
  }
  void FinishOne() {
    if (running_.empty()) return;
    const InvocationId id = PickFrom(running_);
    if (ending_.contains(container_of_.at(id))) return;
    Leave(id);
    Send(Finished{id, static_cast<double>(Pick(100000))});
  }
  // As its server would: a yield comes at any time, a release only after it was asked for.
  void ReleaseOne() {
    if (running_.empty()) return;
    const InvocationId id = PickFrom(running_);
    if (ending_.contains(container_of_.at(id))) return;
    released_.insert(id);
    gates_[id] = Gate::kLocked;  // it holds
    wants_.erase(id);
    Send(Released{id});
  }
  void WantOne() {
    if (running_.empty()) return;
    const InvocationId id = PickFrom(running_);
    if (gates_.at(id) == Gate::kFull || ending_.contains(container_of_.at(id))) return;
    wants_.insert(id);
    Send(Wants{id});
  }
  void EndQuantum() {
    if (!running_.empty()) Send(QuantumOver{PickFrom(running_)});
  }
  void WithdrawOne() {
    if (waiting_.empty()) return;
    const InvocationId id = PickFrom(waiting_);
    waiting_.erase(id);
    Send(Withdrawn{id});
  }
  void CrashOne() {
    if (live_.empty()) return;
    const ContainerId id = PickFrom(live_);
    End(id);
    Send(Ending{id, Pick(2) == 0});
  }
  void End(ContainerId id) {
    live_.erase(id);
    starting_.erase(id);
    ending_.insert(id);
    for (const InvocationId running : running_)
      if (container_of_.at(running) == id) wants_.erase(running);
  }
  void Leave(InvocationId id) {
    running_.erase(id);
    released_.erase(id);
    wants_.erase(id);
    busy_.erase(container_of_.at(id));
  }

  void Send(std::optional<Event> event) {
    if (!event) return;
    if (const auto* started = std::get_if<Started>(&*event)) starting_.erase(started->container);
    if (const auto* gone = std::get_if<Gone>(&*event)) Forget(gone->container);
    for (const Action& action : scheduler_->On(*event)) std::visit([this](const auto& kind) { Check(kind); }, action);
    CheckMemory();
    CheckTurns();
  }
  void Forget(ContainerId id) {
    ending_.erase(id);
    busy_.erase(id);
    reserved_.erase(id);
    for (const InvocationId running : std::set<InvocationId>(running_))
      if (container_of_.at(running) == id) Leave(running);
  }

  void Check(const Start& action) {
    EXPECT_TRUE(Fits(specs_[action.partition], action.demand));
    EXPECT_TRUE(IsThere(action.partition)) << "nothing starts on a GPU that is vacant, or on what is gone";
    EXPECT_TRUE(action.invocation == 0 || waiting_.contains(action.invocation));
    live_.insert(action.container);
    starting_.insert(action.container);
    reserved_[action.container] = {action.partition, action.demand};
  }
  void Check(const Grant& action) {
    EXPECT_EQ(waiting_.erase(action.invocation), 1u) << "runs once, and only what waits";
    EXPECT_TRUE(live_.contains(action.container) && !starting_.contains(action.container));
    EXPECT_TRUE(busy_.insert(action.container).second) << "one invocation at a time in a container";
    const Demand& wanted = demands_.at(action.invocation);
    const Reserved& has = reserved_.at(action.container);
    EXPECT_EQ(has.demand.owner, wanted.owner);
    EXPECT_GE(has.demand.memory_mib, wanted.memory_mib);
    EXPECT_TRUE(Matches(specs_[has.partition], wanted.mig_instance));
    EXPECT_TRUE(IsThere(has.partition));
    auto& last = last_of_container_[action.container];
    EXPECT_LT(last, action.invocation) << "first in, first out per container";
    last = action.invocation;
    running_.insert(action.invocation);
    container_of_[action.invocation] = action.container;
    gates_[action.invocation] = action.gate;
  }
  void Check(const SetGate& action) {
    EXPECT_TRUE(running_.contains(action.invocation));
    EXPECT_EQ(container_of_.at(action.invocation), action.container);
    gates_[action.invocation] = action.gate;
    if (action.gate == Gate::kFull) wants_.erase(action.invocation);
  }
  void Check(const AskRelease& action) {
    EXPECT_TRUE(running_.contains(action.invocation) && !ending_.contains(action.container));
    EXPECT_EQ(gates_.at(action.invocation), Gate::kFull);
  }
  void Check(const Reject& action) {
    EXPECT_EQ(waiting_.erase(action.invocation), 1u);
    for (const PartitionSpec& kind : Kinds()) EXPECT_FALSE(Fits(kind, demands_.at(action.invocation)));
  }
  void Check(const Abandon& action) { EXPECT_EQ(waiting_.erase(action.invocation), 1u); }
  void Check(const Evict& action) {
    EXPECT_TRUE(live_.contains(action.container) && !busy_.contains(action.container));
    End(action.container);
  }
  void Check(const Unhoused& action) {
    EXPECT_TRUE(waiting_.contains(action.invocation));
    for (size_t i = 0; i < specs_.size(); ++i)
      EXPECT_FALSE(IsThere(i) && Fits(specs_[i], demands_.at(action.invocation)));
  }
  bool IsThere(size_t partition) const {
    return std::ranges::any_of(has_, [&](const auto& entry) {
      return entry.first != vacant_ && std::ranges::count(entry.second, partition) != 0;
    });
  }

  void CheckMemory() {
    const std::vector<PartitionSpec>& specs = specs_;
    for (size_t i = 0; i < specs.size(); ++i) {
      uint64_t used = 0;
      std::set<std::string> users;
      for (const auto& [id, reserved] : reserved_) {
        if (reserved.partition != i) continue;
        used += reserved.demand.memory_mib;
        if (users.insert(reserved.demand.user).second || !shares_) used += specs[i].context_mib;
      }
      ASSERT_LE(used, specs[i].memory_mib);
      ASSERT_EQ(scheduler_->FreeMemoryMib(i), specs[i].memory_mib - used);
    }
    ASSERT_EQ(scheduler_->Waiting(), waiting_.size()) << "nothing lost";
  }
  void CheckTurns() {
    std::map<size_t, int> running, open, waits, not_released;
    std::map<std::string, uint32_t> of_owner;
    for (const InvocationId id : running_) {
      const size_t partition = reserved_.at(container_of_.at(id)).partition;
      ++running[partition];
      ++of_owner[demands_.at(id).owner];
      open[partition] += gates_.at(id) == Gate::kFull;
      waits[partition] += wants_.contains(id);
      not_released[partition] += !released_.contains(id);
    }
    for (const auto& [partition, count] : running) {
      EXPECT_LE(count, 3);
      if (model_ == SharingModel::kFullOverlap) {
        EXPECT_EQ(open[partition], count);
        continue;
      }
      EXPECT_LE(open[partition], 1) << "the GPU is never owned by two";
      if (model_ == SharingModel::kSequential) {
        EXPECT_LE(not_released[partition], 1) << "one after the other";
      }
      EXPECT_EQ(open[partition], scheduler_->Owner(partition) ? 1 : 0);
      if (waits[partition] > 0) {
        EXPECT_TRUE(scheduler_->Owner(partition)) << "idle while somebody waits";
      }
    }
    EXPECT_LE(of_owner["d"], 1u) << "its concurrency";
  }

  std::mt19937 random_;
  SharingModel model_;
  bool shares_;
  std::vector<PartitionSpec> specs_;           // all there ever were
  std::map<size_t, std::vector<size_t>> has_;  // of each GPU
  uint32_t remade_ = 0, steps_ = 0;
  std::optional<size_t> vacant_;          // the GPU that is partitioned anew
  std::map<std::string, uint32_t> keep_;  // containers, by owner
  std::optional<Scheduler> scheduler_;
  InvocationId next_ = 1;
  std::set<InvocationId> waiting_, running_, released_, wants_;
  std::set<ContainerId> live_, starting_, ending_, busy_;
  std::map<InvocationId, Demand> demands_;
  std::map<InvocationId, ContainerId> container_of_;
  std::map<InvocationId, Gate> gates_;
  std::map<ContainerId, Reserved> reserved_;
  std::map<ContainerId, InvocationId> last_of_container_;
};

class WorldTest : public testing::TestWithParam<SharingModel> {};

TEST_P(WorldTest, RandomEventsKeepTheInvariantsAndNobodyStarves) {
  uint32_t remade = 0;
  for (uint32_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    World world(seed, GetParam(), seed % 2 == 1);
    for (int i = 0; i < 1500; ++i) {
      world.Step();
      if (testing::Test::HasFailure()) FAIL() << "step " << i;
    }
    remade += world.remade();
    world.Settle();
    if (HasFailure()) return;
  }
  EXPECT_GT(remade, 100u);
}

INSTANTIATE_TEST_SUITE_P(Models, WorldTest,
                         testing::Values(SharingModel::kSequential, SharingModel::kOverlapCpu,
                                         SharingModel::kOverlapCpuMemcpy, SharingModel::kFullOverlap),
                         [](const auto& model) { return std::string(Name(model.param)); });

}  // namespace
}  // namespace mignificient::sched
