#include "remoting/server/host_calls.h"

#include <gtest/gtest.h>

#include <memory>

namespace mignificient::server {
namespace {

TEST(HostCallsTest, ACallIsKnownUntilItIsRemoved) {
  const auto box = std::make_unique<wire::HostCallBox>();
  HostCalls calls(*box);
  void* const first = calls.Add(7, false);
  void* const second = calls.Add(8, true);
  EXPECT_EQ(calls.IdOf(first), 7u);
  EXPECT_EQ(calls.IdOf(second), 8u);
  EXPECT_EQ(calls.IdOf(box.get()), 0u);
  calls.Remove(first);
  EXPECT_EQ(calls.IdOf(second), 8u);
}

TEST(HostCallsTest, AfterTheClientHasGoneCallsReturnAndOnlyThoseThatRepeatAreKept) {
  const auto box = std::make_unique<wire::HostCallBox>();
  HostCalls calls(*box);
  void* const once = calls.Add(7, false);
  void* const again = calls.Add(8, true);
  calls.Close();
  HostCalls::Function(once);
  HostCalls::Function(again);
  EXPECT_EQ(calls.IdOf(again), 8u);
  EXPECT_EQ(box->asked.load(), 0u);
}

TEST(HostCallsTest, AClientHasOnlySoMany) {
  const auto box = std::make_unique<wire::HostCallBox>();
  HostCalls calls(*box);
  void* last = nullptr;
  for (size_t i = 0; i < HostCalls::kLimit; ++i) ASSERT_NE(last = calls.Add(i + 1, true), nullptr);
  EXPECT_EQ(calls.Add(1, true), nullptr);
  calls.Remove(last);
  EXPECT_NE(calls.Add(1, true), nullptr);
}

}  // namespace
}  // namespace mignificient::server
