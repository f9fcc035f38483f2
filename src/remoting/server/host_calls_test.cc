#include "remoting/server/host_calls.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <vector>

namespace mignificient::server {
namespace {

using Kind = HostCalls::Kind;

TEST(HostCallsTest, AKeptFunctionIsKnownByItsNode) {
  const auto box = std::make_unique<wire::HostCallBox>();
  HostCalls calls(*box);
  const auto program = calls.Keep(7, Kind::kProgram), carry = calls.Keep(8, Kind::kCarry);
  const auto node = HostCalls::NodeOf(carry), nothing = HostCalls::NodeOf(nullptr);
  EXPECT_EQ(HostCalls::Of(node.function, node.user_data), carry);
  EXPECT_EQ(carry->id(), 8u);
  EXPECT_EQ(carry->kind(), Kind::kCarry);
  EXPECT_FALSE(HostCalls::IsNothing(node.function));
  EXPECT_TRUE(HostCalls::IsNothing(nothing.function));
  EXPECT_EQ(HostCalls::Of(nothing.function, nothing.user_data), nullptr);
  nothing.function(nothing.user_data);
  EXPECT_EQ(box->asked.load(), 0u);
}

TEST(HostCallsTest, AfterTheClientHasGoneCallsReturn) {
  const auto box = std::make_unique<wire::HostCallBox>();
  HostCalls calls(*box);
  void* const once = calls.Add(7);
  const auto again = calls.Keep(8, Kind::kProgram);
  calls.Close();
  HostCalls::Function(once);
  const auto node = HostCalls::NodeOf(again);
  node.function(node.user_data);
  node.function(node.user_data);
  EXPECT_EQ(box->asked.load(), 0u);
}

TEST(HostCallsTest, WhatHasEndedIsToldOnce) {
  const auto box = std::make_unique<wire::HostCallBox>();
  HostCalls calls(*box);
  auto first = calls.Keep(1, Kind::kProgram), second = calls.Keep(2, Kind::kProgram);
  const auto graph = first;
  std::array<uint64_t, 4> ids{};
  first.reset();
  EXPECT_EQ(calls.TakeEnded(ids), 0u);
  second.reset();
  EXPECT_EQ(calls.TakeEnded(ids), 1u);
  EXPECT_EQ(ids[0], 2u);
  EXPECT_EQ(calls.TakeEnded(ids), 0u);
}

TEST(HostCallsTest, AClientHasOnlySoManyWithThoseThatHaveEndedAndWereNotTold) {
  const auto box = std::make_unique<wire::HostCallBox>();
  HostCalls calls(*box);
  std::vector<HostCalls::Ref> kept;
  for (size_t i = 0; i + 1 < HostCalls::kLimit; ++i) kept.push_back(calls.Keep(i + 1, Kind::kProgram));
  ASSERT_NE(kept.back(), nullptr);
  void* const once = calls.Add(1);
  ASSERT_NE(once, nullptr);
  EXPECT_EQ(calls.Add(1), nullptr);
  EXPECT_EQ(calls.Keep(1, Kind::kProgram), nullptr);
  calls.Remove(once);
  kept.push_back(calls.Keep(1, Kind::kProgram));
  ASSERT_NE(kept.back(), nullptr);
  kept.pop_back();
  EXPECT_EQ(calls.Keep(1, Kind::kProgram), nullptr);
  std::array<uint64_t, 1> ids{};
  EXPECT_EQ(calls.TakeEnded(ids), 1u);
  EXPECT_NE(calls.Keep(1, Kind::kProgram), nullptr);
}

}  // namespace
}  // namespace mignificient::server
