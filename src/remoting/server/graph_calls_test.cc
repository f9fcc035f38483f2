#include "remoting/server/graph_calls.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>

namespace mignificient::server {
namespace {

template <typename Handle>
Handle Named(uintptr_t name) {
  return reinterpret_cast<Handle>(name);
}

class GraphCallsTest : public ::testing::Test {
 protected:
  HostCalls::Ref Keep() { return calls_.Keep(++last_, HostCalls::Kind::kProgram); }
  size_t Ended() {
    std::array<uint64_t, 16> ids;
    return calls_.TakeEnded(ids);
  }

  const CUgraph one = Named<CUgraph>(8), two = Named<CUgraph>(16);
  const CUgraphExec exec = Named<CUgraphExec>(24);
  const CUgraphNode node = Named<CUgraphNode>(32);

 private:
  std::unique_ptr<wire::HostCallBox> box_ = std::make_unique<wire::HostCallBox>();
  HostCalls calls_{*box_};
  uint64_t last_ = 0;

 protected:
  GraphCalls graphs;
};

TEST_F(GraphCallsTest, AFunctionEndsWithTheLastGraphThatHasIt) {
  graphs.Add(one, Keep());
  graphs.Include(two, one);
  graphs.Forget(one);
  EXPECT_EQ(Ended(), 0u);
  graphs.Forget(two);
  EXPECT_EQ(Ended(), 1u);
}

TEST_F(GraphCallsTest, AFunctionStaysWhileAnotherNodeOfTheGraphHasIt) {
  auto call = Keep();
  graphs.Add(one, call);
  graphs.Include(one, one);  // as a child graph of its own
  graphs.Remove(one, call);
  const auto* raw = call.get();
  call.reset();
  EXPECT_EQ(Ended(), 0u);
  graphs.Remove(one, const_cast<HostCalls::Call*>(raw)->shared_from_this());
  EXPECT_EQ(Ended(), 1u);
}

TEST_F(GraphCallsTest, WhatAnExecutableHadIsRetiredWhenItEnds) {
  graphs.Add(one, Keep());
  graphs.Instantiated(exec, one);
  graphs.Forget(one);
  EXPECT_FALSE(graphs.any_retired());
  graphs.Forget(exec);
  EXPECT_TRUE(graphs.any_retired());
  EXPECT_EQ(Ended(), 0u);  // a launch may be in flight
  graphs.TakeRetired().clear();
  EXPECT_FALSE(graphs.any_retired());
  EXPECT_EQ(Ended(), 1u);
}

TEST_F(GraphCallsTest, AChangedNodeKeepsItsFunctionAndRetiresTheOneBefore) {
  graphs.Instantiated(exec, one);
  graphs.Change(exec, node, {Keep()});
  graphs.Change(exec, node, {Keep()});
  graphs.TakeRetired().clear();
  EXPECT_EQ(Ended(), 1u);
  ASSERT_NE(graphs.Find(exec, node), nullptr);
  EXPECT_TRUE(graphs.Find(exec, node)->call.has_value());
  graphs.Forget(exec);
  graphs.TakeRetired().clear();
  EXPECT_EQ(Ended(), 1u);
  EXPECT_EQ(graphs.Find(exec, node), nullptr);
}

TEST_F(GraphCallsTest, AnUpdateOfTheWholeReplacesAndAFailedOneAdds) {
  graphs.Add(one, Keep());
  graphs.Add(two, Keep());
  graphs.Instantiated(exec, one);
  graphs.Forget(one);
  graphs.Updated(exec, two, /*whole=*/false);
  EXPECT_FALSE(graphs.any_retired());
  graphs.Updated(exec, two, /*whole=*/true);
  graphs.TakeRetired().clear();
  EXPECT_EQ(Ended(), 1u);
  graphs.Forget(two);
  EXPECT_EQ(Ended(), 0u);
}

TEST_F(GraphCallsTest, ANodeThatIsSwitchedOffStaysSoThroughAnUpdate) {
  graphs.Instantiated(exec, one);
  graphs.Change(exec, node, {Keep(), /*off=*/true});
  graphs.Updated(exec, two, /*whole=*/true);
  EXPECT_EQ(graphs.SwitchedOff(exec), std::vector<CUgraphNode>{node});
  EXPECT_FALSE(graphs.Find(exec, node)->call.has_value());
  graphs.TakeRetired().clear();
  EXPECT_EQ(Ended(), 1u);
}

TEST_F(GraphCallsTest, ALaunchThatIsCapturedBringsWhatTheExecutableHas) {
  graphs.Add(one, Keep());
  graphs.Instantiated(exec, one);
  graphs.Change(exec, node, {Keep()});
  graphs.Include(two, exec);
  graphs.Forget(one);
  graphs.Forget(exec);
  graphs.TakeRetired().clear();
  EXPECT_EQ(Ended(), 0u);
  graphs.ForgetIf([&](CUgraph graph) { return graph == two; });
  EXPECT_EQ(Ended(), 2u);
}

}  // namespace
}  // namespace mignificient::server
