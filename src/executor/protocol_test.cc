#include "executor/protocol.h"

#include <gtest/gtest.h>

#include <array>

#include "os/socket.h"

namespace mignificient::executor {
namespace {

TEST(ExecutorProtocolTest, AMessageArrivesAsSent) {
  auto pair = os::SocketPair();
  ASSERT_TRUE(pair);
  Message sent{.kind = MessageKind::kThrew, .invocation = 9};
  SetText(sent, "out of paper");
  ASSERT_TRUE(SendMessage(pair->first.get(), sent));
  const auto received = ReceiveMessage(pair->second.get());
  ASSERT_TRUE(received && *received);
  EXPECT_EQ((*received)->invocation, 9u);
  EXPECT_EQ(Text(**received), "out of paper");
}

TEST(ExecutorProtocolTest, ATextSizeBeyondTheArrayIsCut) {
  Message message;
  message.text_size = ~0u;
  EXPECT_EQ(Text(message).size(), sizeof message.text);
}

TEST(ExecutorProtocolTest, TruncatedAndForeignPacketsAreThePeersFault) {
  auto pair = os::SocketPair();
  ASSERT_TRUE(pair);
  const Message wrong{.version = 77, .kind = MessageKind::kReady};
  const auto bytes = std::as_bytes(std::span(&wrong, 1));
  for (const size_t size : {size_t{1}, size_t{7}, sizeof(Message) - 1, sizeof(Message)}) {
    ASSERT_TRUE(os::SendPacket(pair->first.get(), bytes.first(size)));
    const auto received = ReceiveMessage(pair->second.get());
    ASSERT_FALSE(received);
    EXPECT_EQ(received.error().code(), Code::kPeer);
  }
}

TEST(ExecutorProtocolTest, APacketThatWasCutIsNoMessage) {
  const Message message{.kind = MessageKind::kReady};
  EXPECT_TRUE(ParseMessage(message, sizeof message));
  EXPECT_EQ(ParseMessage(message, sizeof message, true).error().code(), Code::kPeer);
}

TEST(ExecutorProtocolTest, TheResultFollowsThePayloadAndItsZeroByte) {
  const Layout layout{.payload_capacity = 4096, .result_capacity = 1};
  EXPECT_EQ(layout.result_offset(), 8192u);
  EXPECT_EQ(layout.total(), 12288u);
}

}  // namespace
}  // namespace mignificient::executor
