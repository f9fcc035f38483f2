#include "executor/protocol.h"

#include <gtest/gtest.h>

#include <array>
#include <span>
#include <string>

#include "os/socket.h"

namespace mignificient::executor {
namespace {

TEST(ExecutorProtocolTest, AMessageArrivesAsSent) {
  auto pair = os::SocketPair();
  ASSERT_TRUE(pair);
  for (const std::string& text : {std::string("out of paper"), std::string(), std::string(kTextBytes, 'x')}) {
    ASSERT_TRUE(SendMessage(pair->first.get(), {.kind = MessageKind::kThrew, .invocation = 9}, text));
    Incoming into;
    const auto received = ReceiveMessage(pair->second.get(), into);
    ASSERT_TRUE(received && *received);
    EXPECT_EQ((*received)->message.invocation, 9u);
    EXPECT_EQ((*received)->text, text);
  }
}

TEST(ExecutorProtocolTest, ALongTextIsCut) {
  auto pair = os::SocketPair();
  ASSERT_TRUE(pair);
  ASSERT_TRUE(SendMessage(pair->first.get(), {.kind = MessageKind::kThrew}, std::string(kTextBytes + 1, 'x')));
  Incoming into;
  const auto received = ReceiveMessage(pair->second.get(), into);
  ASSERT_TRUE(received && *received);
  EXPECT_EQ((*received)->text, std::string(kTextBytes, 'x'));
}

TEST(ExecutorProtocolTest, ATextThatIsNotAsLongAsItSaysIsThePeersFault) {
  Incoming bytes{{.kind = MessageKind::kThrew}, {}};
  for (const uint32_t said : {0u, 4u, 6u, static_cast<uint32_t>(kTextBytes) + 1, ~0u}) {
    bytes.message.text_size = said;
    const auto parsed = ParseMessage(bytes, sizeof(Message) + 5);
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().code(), Code::kPeer);
  }
}

TEST(ExecutorProtocolTest, TruncatedAndForeignPacketsAreThePeersFault) {
  auto pair = os::SocketPair();
  ASSERT_TRUE(pair);
  const Message wrong{.version = 77, .kind = MessageKind::kReady};
  const auto bytes = std::as_bytes(std::span(&wrong, 1));
  for (const size_t size : {size_t{1}, size_t{7}, sizeof(Message) - 1, sizeof(Message)}) {
    ASSERT_TRUE(os::SendPacket(pair->first.get(), bytes.first(size)));
    Incoming into;
    const auto received = ReceiveMessage(pair->second.get(), into);
    ASSERT_FALSE(received);
    EXPECT_EQ(received.error().code(), Code::kPeer);
  }
}

TEST(ExecutorProtocolTest, APacketThatWasCutIsNoMessage) {
  const Incoming bytes{{.kind = MessageKind::kReady}, {}};
  EXPECT_TRUE(ParseMessage(bytes, sizeof bytes.message));
  EXPECT_EQ(ParseMessage(bytes, sizeof bytes.message, true).error().code(), Code::kPeer);
}

TEST(ExecutorProtocolTest, TheResultFollowsThePayloadAndItsZeroByte) {
  const Layout layout{.payload_capacity = 4096, .result_capacity = 1};
  EXPECT_EQ(layout.result_offset(), 8192u);
  EXPECT_EQ(layout.total(), 12288u);
}

}  // namespace
}  // namespace mignificient::executor
