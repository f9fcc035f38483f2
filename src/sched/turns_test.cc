#include <gtest/gtest.h>

#include <algorithm>

#include "sched/scheduler.h"

namespace mignificient::sched {
namespace {

template <typename Kind>
std::vector<Kind> Of(const std::vector<Action>& actions) {
  std::vector<Kind> found;
  for (const Action& action : actions)
    if (const Kind* kind = std::get_if<Kind>(&action)) found.push_back(*kind);
  return found;
}

// One GPU with containers of the owners "a", "b", "c" ready; each invocation is named by its owner's letter in the
// order of the alphabet: 1 is a's.
class TurnsTest : public testing::Test {
 protected:
  Scheduler& Make(SharingModel model, Rules rules = {}) {
    PartitionSpec gpu{"GPU-a", "7g", "7g", 10000, 0};
    gpu.model = model;
    scheduler_.emplace(std::vector{gpu}, std::move(rules));
    std::vector<Keep::Wish> wishes;
    for (const char* owner : {"a", "b", "c"}) wishes.push_back({DemandOf(owner), 1});
    for (const Start& start : Of<Start>(scheduler_->On(Keep{wishes}))) {
      containers_[start.demand.owner] = start.container;
      scheduler_->On(Started{start.container});
    }
    return *scheduler_;
  }
  static Demand DemandOf(const char* owner) {
    return {.owner = owner, .user = owner, .mig_instance = "any", .memory_mib = 100};
  }
  std::vector<Action> Arrive(InvocationId id, const char* owner) {
    return scheduler_->On(Arrived{id, DemandOf(owner)});
  }
  Gate GateOfRun(const std::vector<Action>& actions) {
    const auto runs = Of<Grant>(actions);
    EXPECT_EQ(runs.size(), 1u);
    return runs.empty() ? Gate::kLocked : runs[0].gate;
  }
  // The gate that is set for `invocation`, if any.
  static std::optional<Gate> GateSet(const std::vector<Action>& actions, InvocationId invocation) {
    std::optional<Gate> gate;
    for (const SetGate& set : Of<SetGate>(actions))
      if (set.invocation == invocation) gate = set.gate;
    return gate;
  }

  std::optional<Scheduler> scheduler_;
  std::map<std::string, ContainerId> containers_;
};

TEST_F(TurnsTest, SequentialRunsOneAfterTheOther) {
  Scheduler& scheduler = Make(SharingModel::kSequential);
  EXPECT_EQ(GateOfRun(Arrive(1, "a")), Gate::kFull);
  EXPECT_TRUE(Arrive(2, "b").empty());
  EXPECT_EQ(GateOfRun(scheduler.On(Finished{1, 10})), Gate::kFull);
}

TEST_F(TurnsTest, AYieldGivesTheGpuToTheNextAndComesBackInTurn) {
  Scheduler& scheduler = Make(SharingModel::kSequential);
  Arrive(1, "a");
  Arrive(2, "b");
  const auto yielded = scheduler.On(Released{1});
  EXPECT_EQ(GateSet(yielded, 1), Gate::kLocked);
  EXPECT_EQ(GateOfRun(yielded), Gate::kFull);
  EXPECT_TRUE(scheduler.On(Wants{1}).empty());
  EXPECT_TRUE(Arrive(3, "c").empty());
  EXPECT_EQ(GateSet(scheduler.On(Finished{2, 10}), 1), Gate::kFull) << "it waits for longer than the third";
  EXPECT_EQ(GateOfRun(scheduler.On(Finished{1, 10})), Gate::kFull);
}

TEST_F(TurnsTest, AFinishedYielderDoesNotTakeTheGpuFromItsOwner) {
  Scheduler& scheduler = Make(SharingModel::kSequential);
  Arrive(1, "a");
  Arrive(2, "b");
  scheduler.On(Released{1});
  scheduler.On(Finished{1, 10});
  EXPECT_EQ(scheduler.Owner(0), 2u);
}

TEST_F(TurnsTest, OverlapCpuRunsTheNextBehindAClosedGate) {
  Scheduler& scheduler = Make(SharingModel::kOverlapCpu);
  EXPECT_EQ(GateOfRun(Arrive(1, "a")), Gate::kFull);
  EXPECT_EQ(GateOfRun(Arrive(2, "b")), Gate::kCpuOnly);
  EXPECT_EQ(GateOfRun(Arrive(3, "c")), Gate::kCpuOnly);
  scheduler.On(Wants{3});
  const auto actions = scheduler.On(Finished{1, 10});
  EXPECT_EQ(GateSet(actions, 3), Gate::kFull) << "who waits at the gate is next, not who came first";
  EXPECT_EQ(GateSet(actions, 2), std::nullopt);
}

TEST_F(TurnsTest, OverlapCpuMemcpyLetsOthersCopy) {
  Make(SharingModel::kOverlapCpuMemcpy);
  Arrive(1, "a");
  EXPECT_EQ(GateOfRun(Arrive(2, "b")), Gate::kMemcpy);
}

TEST_F(TurnsTest, FullOverlapHasNoOwner) {
  Scheduler& scheduler = Make(SharingModel::kFullOverlap);
  EXPECT_EQ(GateOfRun(Arrive(1, "a")), Gate::kFull);
  EXPECT_EQ(GateOfRun(Arrive(2, "b")), Gate::kFull);
  EXPECT_EQ(scheduler.Owner(0), std::nullopt);
  EXPECT_EQ(GateSet(scheduler.On(Released{1}), 1), Gate::kFull);
}

TEST_F(TurnsTest, WhenNobodyWaitsTheGpuIsGivenAheadOfTheFirstCommand) {
  Scheduler& scheduler = Make(SharingModel::kOverlapCpu);
  Arrive(1, "a");
  Arrive(2, "b");
  EXPECT_EQ(GateSet(scheduler.On(Finished{1, 10}), 2), Gate::kFull);
}

TEST_F(TurnsTest, AnOwnerWithoutGpuWorkIsAskedToGiveWayToWhoWaits) {
  Scheduler& scheduler = Make(SharingModel::kOverlapCpu);
  Arrive(1, "a");
  Arrive(2, "b");
  const auto asked = Of<AskRelease>(scheduler.On(Wants{2}));
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].invocation, 1u);
  EXPECT_EQ(asked[0].when, AskRelease::When::kIdle);
  EXPECT_TRUE(scheduler.On(Wants{2}).empty()) << "once is enough";
  const auto released = scheduler.On(Released{1});
  EXPECT_EQ(GateSet(released, 1), Gate::kCpuOnly);
  EXPECT_EQ(GateSet(released, 2), Gate::kFull);
}

TEST_F(TurnsTest, WithoutIdleReleaseAnOwnerKeepsTheGpuToItsEnd) {
  Scheduler& scheduler = Make(SharingModel::kOverlapCpu, {.weights = {}, .idle_release = false});
  Arrive(1, "a");
  Arrive(2, "b");
  EXPECT_TRUE(scheduler.On(Wants{2}).empty());
}

TEST_F(TurnsTest, AfterItsQuantumAnOwnerIsStoppedAtItsNextCommandIfSomebodyNeedsTheGpu) {
  for (const SharingModel model : {SharingModel::kSequential, SharingModel::kOverlapCpu}) {
    Scheduler& scheduler = Make(model);
    Arrive(1, "a");
    EXPECT_TRUE(scheduler.On(QuantumOver{1}).empty());
    Arrive(2, "b");
    const auto asked = Of<AskRelease>(scheduler.On(Wants{2}));
    ASSERT_LE(asked.size(), 1u);
    if (model == SharingModel::kOverlapCpu) {
      ASSERT_EQ(asked.size(), 1u);
      EXPECT_EQ(asked[0].when, AskRelease::When::kNow);
    }
  }
}

TEST_F(TurnsTest, UnderSequentialAQuantumLetsTheNextStartAndTheyAlternate) {
  Scheduler& scheduler = Make(SharingModel::kSequential);
  Arrive(1, "a");
  scheduler.On(QuantumOver{1});
  ASSERT_EQ(Of<AskRelease>(Arrive(2, "b")).size(), 1u);
  EXPECT_EQ(GateOfRun(scheduler.On(Released{1})), Gate::kFull);
  scheduler.On(Wants{1});
  Arrive(3, "c");
  ASSERT_EQ(Of<AskRelease>(scheduler.On(QuantumOver{2})).size(), 1u);
  EXPECT_EQ(GateSet(scheduler.On(Released{2}), 1), Gate::kFull);
  scheduler.On(Wants{2});
  scheduler.On(QuantumOver{1});
  EXPECT_EQ(GateOfRun(scheduler.On(Released{1})), Gate::kFull) << "the third is not left behind";
}

TEST_F(TurnsTest, AContainerThatEndsKeepsTheGpuUntilItIsGone) {
  Scheduler& scheduler = Make(SharingModel::kOverlapCpu);
  Arrive(1, "a");
  Arrive(2, "b");
  scheduler.On(Wants{2});
  EXPECT_EQ(GateSet(scheduler.On(Ending{containers_["a"]}), 2), std::nullopt);
  EXPECT_EQ(GateSet(scheduler.On(Gone{containers_["a"]}), 2), Gate::kFull);
}

TEST_F(TurnsTest, RunningInvocationsAreBounded) {
  PartitionSpec gpu{"GPU-a", "7g", "7g", 10000, 0};
  gpu.model = SharingModel::kFullOverlap;
  gpu.running_limit = 1;
  Scheduler scheduler({gpu});
  std::vector<Start> starts;
  for (const auto& [id, owner] : {std::pair(1u, "a"), std::pair(2u, "b")})
    starts.push_back(Of<Start>(scheduler.On(Arrived{id, DemandOf(owner)})).at(0));
  EXPECT_EQ(Of<Grant>(scheduler.On(Started{starts[0].container})).size(), 1u);
  EXPECT_EQ(Of<Grant>(scheduler.On(Started{starts[1].container})).size(), 0u);
  EXPECT_EQ(Of<Grant>(scheduler.On(Finished{1, 10})).size(), 1u);
}

TEST(SharingModelTest, NamesAreTheConfigurations) {
  for (const char* name : {"sequential", "overlap_cpu", "overlap_cpu_memcpy", "full_overlap"})
    EXPECT_EQ(Name(FindSharingModel(name).value()), name);
  EXPECT_FALSE(FindSharingModel("overlap"));
}

}  // namespace
}  // namespace mignificient::sched
