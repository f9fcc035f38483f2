// Random event sequences: a world that plays processes, callers and GPUs, and checks after every event what must always
// hold.
#include <gtest/gtest.h>

#include <random>

#include "sched/scheduler.h"

namespace mignificient::sched {
namespace {

class World {
 public:
  World(uint32_t seed, SharingModel model, bool shares) : random_(seed), model_(model), shares_(shares) {
    Rules rules;
    rules.weights = {{"u1", 2.5}};
    scheduler_.emplace(Specs(), rules);
  }

  void Step() {
    switch (Pick(12)) {
      case 0:
      case 1:
      case 2:
        return Arrive();
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
    }
  }

  // No new arrivals: everything that waits must end.
  void Settle() {
    for (int i = 0; i < 20000 && !(waiting_.empty() && running_.empty()); ++i) {
      Send(ContainerEvent<Started>(starting_));
      if (Pick(2) == 0) WantOne();
      if (Pick(2) == 0) ReleaseOne();
      FinishOne();
      Send(ContainerEvent<Gone>(ending_));
    }
    EXPECT_TRUE(waiting_.empty()) << waiting_.size() << " invocations starve";
    EXPECT_EQ(scheduler_->Waiting(), 0u);
  }

 private:
  struct Reserved {
    size_t partition;
    Demand demand;
  };

  std::vector<PartitionSpec> Specs() const {
    std::vector<PartitionSpec> specs{
        {"a", "3g", "3g.40gb", 4000, 100}, {"b", "4g", "4g.40gb", 5000, 100}, {"c", "4g", "4g.40gb", 2000, 100}};
    for (PartitionSpec& spec : specs) {
      spec.model = model_;
      spec.running_limit = 3;
      spec.shares_context = shares_;
    }
    return specs;
  }
  uint32_t Pick(size_t choices) { return static_cast<uint32_t>(random_() % choices); }
  template <typename Set>
  auto PickFrom(const Set& set) {
    return *std::next(set.begin(), Pick(set.size()));
  }

  Demand SomeDemand() {
    static const char* kInstances[] = {"any", "any", "3g", "4g", "4g.40gb"};
    const uint32_t letter = Pick(6);
    return {.owner = std::string(1, static_cast<char>('a' + letter)),
            .user = "u" + std::to_string(letter / 2),
            .mig_instance = kInstances[Pick(5)],
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
    EXPECT_TRUE(Matches(Specs()[action.partition], action.demand.mig_instance));
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
    EXPECT_TRUE(Matches(Specs()[has.partition], wanted.mig_instance));
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
  void Check(const Reject& action) { EXPECT_EQ(waiting_.erase(action.invocation), 1u); }
  void Check(const Abandon& action) { EXPECT_EQ(waiting_.erase(action.invocation), 1u); }
  void Check(const Evict& action) {
    EXPECT_TRUE(live_.contains(action.container) && !busy_.contains(action.container));
    End(action.container);
  }

  void CheckMemory() {
    const auto specs = Specs();
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
  for (uint32_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    World world(seed, GetParam(), seed % 2 == 1);
    for (int i = 0; i < 1500; ++i) {
      world.Step();
      if (testing::Test::HasFailure()) FAIL() << "step " << i;
    }
    world.Settle();
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, WorldTest,
                         testing::Values(SharingModel::kSequential, SharingModel::kOverlapCpu,
                                         SharingModel::kOverlapCpuMemcpy, SharingModel::kFullOverlap),
                         [](const auto& model) { return std::string(Name(model.param)); });

}  // namespace
}  // namespace mignificient::sched
