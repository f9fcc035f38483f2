#include "os/socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>

namespace mignificient::os {
namespace {

std::span<const std::byte> Bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

TEST(SocketTest, PacketsKeepTheirBoundaries) {
  auto ends = SocketPair().value();
  ASSERT_TRUE(SendPacket(ends.first.get(), Bytes("one")));
  ASSERT_TRUE(SendPacket(ends.first.get(), Bytes("second")));
  std::array<std::byte, 16> buffer;
  EXPECT_EQ(ReceivePacket(ends.second.get(), buffer)->size, 3u);
  EXPECT_EQ(ReceivePacket(ends.second.get(), buffer)->size, 6u);
}

TEST(SocketTest, DescriptorsTravelAndAreCloseOnExec) {
  auto ends = SocketPair().value();
  auto passed = SocketPair().value();
  const int fds[] = {passed.first.get(), passed.second.get()};
  ASSERT_TRUE(SendPacket(ends.first.get(), Bytes("x"), fds));
  std::array<std::byte, 4> buffer;
  auto packet = ReceivePacket(ends.second.get(), buffer);
  ASSERT_TRUE(packet);
  ASSERT_EQ(packet->fds.size(), 2u);
  ASSERT_TRUE(SendPacket(packet->fds[0].get(), Bytes("ping")));
  EXPECT_EQ(ReceivePacket(passed.second.get(), buffer)->size, 4u);
}

TEST(SocketTest, PacketLargerThanTheBufferIsThePeersFault) {
  auto ends = SocketPair().value();
  ASSERT_TRUE(SendPacket(ends.first.get(), Bytes("12345")));
  std::array<std::byte, 4> buffer;
  EXPECT_EQ(ReceivePacket(ends.second.get(), buffer).error().code(), Code::kPeer);
}

TEST(SocketTest, ClosedPeerIsSizeZeroForTheReaderAndUnavailableForTheWriter) {
  auto ends = SocketPair().value();
  ends.first.Reset();
  std::array<std::byte, 4> buffer;
  EXPECT_EQ(ReceivePacket(ends.second.get(), buffer)->size, 0u);
  EXPECT_EQ(SendPacket(ends.second.get(), Bytes("x")).error().code(), Code::kUnavailable);
}

TEST(SocketTest, NonBlockingSocketWithoutPacketIsTimeout) {
  auto ends = SocketPair().value();
  ASSERT_TRUE(SetNonBlocking(ends.first.get(), true));
  std::array<std::byte, 4> buffer;
  EXPECT_EQ(ReceivePacket(ends.first.get(), buffer).error().code(), Code::kTimeout);
}

TEST(SocketTest, CallersFindAListenerByItsNameWhileItIsThere) {
  const std::string name = "mignificient-socket-test-" + std::to_string(::getpid());
  EXPECT_EQ(Connect(name).error().code(), Code::kUnavailable);
  auto listener = Listen(name).value();
  EXPECT_EQ(Listen(name).error().code(), Code::kExists);
  const auto caller = Connect(name).value();
  ASSERT_TRUE(SendPacket(caller.get(), Bytes("hello")));
  const auto accepted = Accept(listener.get()).value();
  std::array<std::byte, 16> buffer;
  EXPECT_EQ(ReceivePacket(accepted.get(), buffer)->size, 5u);
  ASSERT_TRUE(SetNonBlocking(listener.get(), true));
  EXPECT_EQ(Accept(listener.get()).error().code(), Code::kTimeout);
  listener.Reset();
  EXPECT_EQ(Connect(name).error().code(), Code::kUnavailable);
}

TEST(SocketTest, NamesThatDoNotFitAreRefused) {
  EXPECT_EQ(Listen("").error().code(), Code::kInvalidArgument);
  EXPECT_EQ(Connect(std::string(200, 'x')).error().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace mignificient::os
