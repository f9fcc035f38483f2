#include "os/child.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "os/socket.h"

namespace mignificient::os {
namespace {

ChildOptions Shell(std::string script) {
  return {.argv = {"/bin/sh", "-c", std::move(script)}, .environment = {"NAME=value"}};
}

ExitStatus AwaitEnd(Child& child) {
  pollfd event{child.pidfd(), POLLIN, 0};
  EXPECT_EQ(::poll(&event, 1, 20000), 1);
  auto status = child.TryReap();
  EXPECT_TRUE(status && *status);
  return status && *status ? **status : ExitStatus{};
}

TEST(ChildTest, ReportsTheExitStatus) {
  auto child = Child::Spawn(Shell("exit 7"));
  ASSERT_TRUE(child) << child.error().message();
  EXPECT_EQ(AwaitEnd(*child).Sentence(), "exited with status 7");
}

TEST(ChildTest, ReportsTheSignalByName) {
  auto child = Child::Spawn(Shell("kill -SEGV $$"));
  ASSERT_TRUE(child);
  EXPECT_EQ(AwaitEnd(*child).Sentence(), "was killed by signal 11 (SIGSEGV)");
}

TEST(ChildTest, IgnoresNoSignalThatItsParentIgnores) {
  const auto before = ::signal(SIGUSR1, SIG_IGN);
  auto child = Child::Spawn(Shell("grep -Eq '^SigIgn:.0+$' /proc/self/status"));
  EXPECT_EQ(::signal(SIGUSR1, before), SIG_IGN) << "The parent goes on ignoring it.";
  ASSERT_TRUE(child);
  EXPECT_EQ(AwaitEnd(*child).Sentence(), "exited with status 0");
}

TEST(ChildTest, AMissingProgramIsTheSpawnersError) {
  const auto child = Child::Spawn({.argv = {"/does/not/exist"}});
  ASSERT_FALSE(child);
  EXPECT_NE(child.error().message().find("execve"), std::string::npos) << child.error().message();
}

TEST(ChildTest, PassesEnvironmentAndDescriptorsAndNothingElse) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);  // without close-on-exec on purpose
  auto options = Shell("echo $NAME; ls /proc/self/fd | tr '\\n' ' '");
  options.fds = {{ends[1], 1}};
  auto child = Child::Spawn(options);
  ASSERT_TRUE(child);
  ::close(ends[1]);
  std::string text;
  char buffer[256];
  for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<size_t>(n));
  ::close(ends[0]);
  EXPECT_EQ(text, "value\n0 1 2 3 ");  // 3 is the folder that ls reads
  AwaitEnd(*child);
}

TEST(ChildTest, SwapsDescriptorsThatAreEachOthersTargets) {
  auto first = SocketPair(), second = SocketPair();
  ASSERT_TRUE(first && second);
  auto options = Shell("true");
  options.fds = {{first->second.get(), second->second.get()}, {second->second.get(), first->second.get()}};
  auto child = Child::Spawn(options);
  ASSERT_TRUE(child) << child.error().message();
  EXPECT_EQ(AwaitEnd(*child).exit_code, 0);
}

TEST(ChildTest, DestroyingKillsTheWholeGroup) {
  auto pair = SocketPair();
  ASSERT_TRUE(pair);
  auto options = Shell("sleep 1000 & sleep 1000");
  options.fds = {{pair->second.get(), 5}};
  auto child = Child::Spawn(options);
  ASSERT_TRUE(child);
  pair->second.Reset();
  *child = Child();
  std::array<std::byte, 1> byte;
  const auto packet = ReceivePacket(pair->first.get(), byte);  // end of file: nobody of the group holds descriptor 5
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->size, 0u);
}

TEST(ChildTest, IsNotSignalledAfterItWasReaped) {
  auto child = Child::Spawn(Shell("exit 0"));
  ASSERT_TRUE(child);
  AwaitEnd(*child);
  EXPECT_EQ(child->Signal(SIGKILL).error().code(), Code::kNotFound);
  EXPECT_EQ(child->KillGroup().error().code(), Code::kNotFound);
  EXPECT_FALSE(child->TryReap());
}

TEST(ChildTest, ChildrenAreListedOldestFirst) {
  auto pair = SocketPair();
  ASSERT_TRUE(pair);
  auto options = Shell("sleep 1000 & echo $! >&5; sleep 1000 & echo $! >&5; wait");
  options.fds = {{pair->second.get(), 5}};
  auto child = Child::Spawn(options);
  ASSERT_TRUE(child);
  std::vector<pid_t> told;
  for (int i = 0; i < 2; ++i) {
    std::array<std::byte, 16> line{};
    ASSERT_TRUE(ReceivePacket(pair->first.get(), line));
    told.push_back(std::atoi(reinterpret_cast<const char*>(line.data())));
  }
  EXPECT_EQ(ChildrenOf(child->pid()), told);
  const pid_t gone = child->pid();
  *child = Child();
  EXPECT_TRUE(ChildrenOf(gone).empty());
}

TEST(ChildTest, AProcessThatLeftItsGroupIsFoundAndEnded) {
  ASSERT_TRUE(BecomeSubreaper());
  auto pair = SocketPair();
  ASSERT_TRUE(pair);
  auto options = Shell("setsid sleep 1000 & exit 0");
  options.fds = {{pair->second.get(), 5}};
  auto child = Child::Spawn(options);
  ASSERT_TRUE(child);
  pair->second.Reset();
  AwaitEnd(*child);
  EXPECT_EQ(AdoptStrangers({}).size(), 1u);  // and destroyed
  std::array<std::byte, 1> byte;
  const auto packet = ReceivePacket(pair->first.get(), byte);
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->size, 0u);
}

}  // namespace
}  // namespace mignificient::os
