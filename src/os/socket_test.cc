#include "os/socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>

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

}  // namespace
}  // namespace mignificient::os
