// Who comes in at a session's door, and how: a server with a driver that does nothing, behind its control socket.

#include "remoting/wire/door.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include "os/mapping.h"
#include "os/socket.h"
#include "remoting/server/fake_driver.h"
#include "remoting/server/server.h"

namespace mignificient::server {
namespace {

using wire::AttachRequest;
using wire::ControlKind;

constexpr uint64_t kBudget = 64 << 20;

class DoorTest : public testing::Test {
 protected:
  void SetUp() override {
    device_.driver_text = "580.1";
    auto control = os::SocketPair().value();
    control_ = std::move(control.first);
    server_ = Server::Create(device_, std::move(control.second)).value();
    thread_ = std::thread([this] { EXPECT_TRUE(server_->Run()); });
    wire::ControlMessage open{.kind = ControlKind::kOpenSession, .session = 1, .budget_bytes = kBudget};
    wire::SetText(open, door_.key);
    const int fds[] = {door_.listener.get(), gate_.fd()};
    ASSERT_TRUE(wire::SendControl(control_.get(), open, fds));
    EXPECT_EQ(Hear().kind, ControlKind::kSessionOpened);
    ::setenv(wire::kDoorVariable, door_.address.c_str(), 1);
  }

  void TearDown() override {
    control_.Reset();
    thread_.join();
    ::unsetenv(wire::kDoorVariable);
  }

  // Whether a command waits at the gate depends on who is faster.
  wire::ControlMessage Hear() {
    wire::ControlMessage message;
    do message = wire::ReceiveControl(control_.get()).value().value().message;
    while (message.kind == ControlKind::kWaiting);
    return message;
  }

  os::UniqueFd Connect() { return os::Connect(door_.address.substr(0, door_.address.rfind(':'))).value(); }

  AttachRequest Request() {
    AttachRequest request;
    std::memcpy(request.key, door_.key.data(), sizeof request.key);
    return request;
  }

  // What comes back of `bytes`: the size of the answer, 0 for being hung up on.
  size_t SizeOfAnswer(std::span<const std::byte> bytes) {
    const os::UniqueFd caller = Connect();
    EXPECT_TRUE(os::SendPacket(caller.get(), bytes));
    std::array<std::byte, 8192> answer;
    return os::ReceivePacket(caller.get(), answer).value().size;
  }
  size_t SizeOfAnswer(const AttachRequest& request) { return SizeOfAnswer(std::as_bytes(std::span(&request, 1))); }

  // A client with a channel, as long as the socket is open.
  std::pair<os::UniqueFd, wire::Welcome> Attach() {
    auto socket = wire::GoThroughDoor({}).value();
    wire::Welcome welcome;
    EXPECT_TRUE(os::ReceivePacket(socket.get(), std::as_writable_bytes(std::span(&welcome, 1))));
    if (welcome.status == wire::AttachStatus::kOk) {
      EXPECT_EQ(Hear().kind, ControlKind::kAttached);
    }
    return {std::move(socket), welcome};
  }

  // A client whose one command waits at the locked gate.
  struct Busy {
    os::UniqueFd socket;
    os::Mapping region;
  };
  Busy AttachBusy() {
    Busy busy{wire::GoThroughDoor({}).value(), {}};
    wire::Welcome welcome;
    auto packet = os::ReceivePacket(busy.socket.get(), std::as_writable_bytes(std::span(&welcome, 1))).value();
    EXPECT_EQ(Hear().kind, ControlKind::kAttached);
    busy.region = os::Mapping::Create(packet.fds.at(0).get(), welcome.region_bytes).value();
    ring::Producer producer(reinterpret_cast<wire::RegionHeader*>(busy.region.data())->ring,
                            busy.region.bytes().subspan(wire::kRingOffset, wire::kRingBytes),
                            ring::Barrier::kSymmetric);
    constexpr uint32_t kBytes = sizeof(ring::RecordHeader) + sizeof(wire::CopyBody);
    const ring::RecordHeader record{kBytes, static_cast<uint16_t>(wire::Command::kCopyInline), wire::kNoReply};
    const wire::CopyBody copy{welcome.window_base, 0, 0, 0, 0, 0};
    std::byte* space = producer.Reserve(kBytes);
    std::memcpy(space, &record, sizeof record);
    std::memcpy(space + sizeof record, &copy, sizeof copy);
    producer.Publish();
    return busy;
  }

  void AskDrain(uint32_t session, uint64_t tag) {
    ASSERT_TRUE(wire::SendControl(control_.get(), {.kind = ControlKind::kDrain, .session = session, .drain_tag = tag}));
    // Callers are heard before the control socket: once two have been, it has been, too.
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(wire::LookThroughDoor());
  }

  DriverTable driver_ = FakeDriver();
  Device device_ = FakeDevice(driver_);
  wire::Door door_ = wire::MakeDoor().value();
  wire::Gate gate_ = wire::Gate::Create(wire::GateState::kFull).value();
  os::UniqueFd control_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

TEST_F(DoorTest, ALookShowsTheSessionAndOpensNoChannel) {
  const wire::View view = wire::LookThroughDoor().value();
  EXPECT_EQ(view.budget_bytes, kBudget);
  EXPECT_EQ(view.used_bytes, 0u);
  EXPECT_EQ(view.device.total_bytes, kBudget);
  EXPECT_STREQ(view.driver_text, "580.1");
  EXPECT_EQ(view.channels, 0u);
}

TEST_F(DoorTest, ALookNamesTheProcessesThatHaveAChannelWhileTheyHaveIt) {
  auto client = Attach();
  wire::View view = wire::LookThroughDoor().value();
  ASSERT_EQ(view.channels, 1u);
  EXPECT_EQ(view.pids[0], static_cast<uint32_t>(::getpid()));
  client.first.Reset();
  while (view.channels != 0) view = wire::LookThroughDoor().value();
}

TEST_F(DoorTest, WithoutTheKeyNobodyLearnsAnything) {
  for (const size_t place : {size_t{0}, size_t{15}, size_t{31}})
    for (const auto purpose : {wire::AttachPurpose::kChannel, wire::AttachPurpose::kLook}) {
      AttachRequest request = Request();
      request.purpose = purpose;
      request.key[place] ^= 1;
      EXPECT_EQ(SizeOfAnswer(request), 0u);
    }
}

TEST_F(DoorTest, MalformedRequestsAreHungUpOn) {
  AttachRequest request = Request();
  request.magic ^= 1;
  EXPECT_EQ(SizeOfAnswer(request), 0u);
  request = Request();
  request.purpose = static_cast<wire::AttachPurpose>(7);
  EXPECT_EQ(SizeOfAnswer(request), 0u);
  request = Request();
  EXPECT_EQ(SizeOfAnswer(std::as_bytes(std::span(&request, 1)).first(sizeof request - 1)), 0u);
  std::array<std::byte, 4096> large{};
  EXPECT_EQ(SizeOfAnswer(large), 0u);
}

TEST_F(DoorTest, AnotherVersionIsToldSo) {
  AttachRequest request = Request();
  request.version = wire::kProtocolVersion + 1;
  EXPECT_EQ(SizeOfAnswer(request), sizeof(wire::Welcome));
}

TEST_F(DoorTest, SilentCallersGiveWay) {
  std::vector<os::UniqueFd> silent;
  for (int i = 0; i < 100; ++i) silent.push_back(Connect());
  EXPECT_TRUE(wire::LookThroughDoor());
  std::byte byte;
  EXPECT_EQ(os::ReceivePacket(silent.front().get(), std::span(&byte, 1)).value().size, 0u);
}

TEST_F(DoorTest, ACallerThatLeavesWithoutAWordIsForgotten) {
  for (int i = 0; i < 20; ++i) Connect();
  EXPECT_TRUE(wire::LookThroughDoor());
}

TEST_F(DoorTest, EachChannelHasAddressesOfItsOwnUpToTheLimit) {
  std::vector<std::pair<os::UniqueFd, wire::Welcome>> clients;
  std::set<uint64_t> device_windows, host_windows;
  for (uint32_t i = 0; i < wire::kMostChannels; ++i) {
    clients.push_back(Attach());
    ASSERT_EQ(clients.back().second.status, wire::AttachStatus::kOk);
    device_windows.insert(clients.back().second.window_base);
    host_windows.insert(clients.back().second.host_window_base);
  }
  EXPECT_EQ(device_windows.size(), wire::kMostChannels);
  EXPECT_EQ(host_windows.size(), wire::kMostChannels);
  EXPECT_EQ(Attach().second.status, wire::AttachStatus::kExhausted);
  const uint64_t freed = clients[5].second.host_window_base;
  clients.erase(clients.begin() + 5);
  while (wire::LookThroughDoor()->channels == wire::kMostChannels) {
  }
  EXPECT_EQ(Attach().second.host_window_base, freed);
}

TEST_F(DoorTest, AClientLearnsWhetherOthersShareItsBudget) {
  auto socket = wire::GoThroughDoor({}).value();
  wire::Welcome welcome;
  auto packet = os::ReceivePacket(socket.get(), std::as_writable_bytes(std::span(&welcome, 1))).value();
  const os::Mapping region = os::Mapping::Create(packet.fds.at(0).get(), welcome.region_bytes).value();
  const auto& shared = reinterpret_cast<const wire::RegionHeader*>(region.data())->shared;
  EXPECT_EQ(Hear().kind, ControlKind::kAttached);
  EXPECT_EQ(shared.load(), 0u);
  EXPECT_EQ(welcome.budget_bytes, kBudget);
  auto other = Attach();
  EXPECT_EQ(shared.load(), 1u);
  other.first.Reset();
  while (shared.load() != 0) {
  }
}

TEST_F(DoorTest, TheGatePageCountsWhoHasAChannel) {
  EXPECT_EQ(gate_.in_flight().load(), 0u);
  EXPECT_TRUE(wire::LookThroughDoor());
  EXPECT_EQ(gate_.in_flight().load(), 0u) << "Who looks has none.";
  auto first = Attach();
  EXPECT_EQ(gate_.in_flight().load(), wire::kOneConnection);
  auto second = Attach();
  EXPECT_EQ(gate_.in_flight().load(), 2 * wire::kOneConnection);
  second.first.Reset();
  while (gate_.in_flight().load() != wire::kOneConnection) EXPECT_TRUE(wire::LookThroughDoor());
}

TEST_F(DoorTest, ADrainOfASessionWithoutClientsIsAnsweredAndEchoesItsTag) {
  ASSERT_TRUE(wire::SendControl(control_.get(), {.kind = ControlKind::kDrain, .session = 1, .drain_tag = 77}));
  const wire::ControlMessage drained = Hear();
  EXPECT_EQ(drained.kind, ControlKind::kDrained);
  EXPECT_EQ(drained.drain_tag, 77u);
}

TEST_F(DoorTest, ADrainEndsAlthoughAClientComesInMeanwhile) {
  gate_.Set(wire::GateState::kLocked);
  const Busy busy = AttachBusy();
  AskDrain(1, 7);
  const auto late = Attach();
  gate_.Set(wire::GateState::kFull);
  const wire::ControlMessage drained = Hear();
  EXPECT_EQ(drained.kind, ControlKind::kDrained);
  EXPECT_EQ(drained.drain_tag, 7u);
}

TEST_F(DoorTest, SessionsDrainAndCloseEachForItself) {
  gate_.Set(wire::GateState::kLocked);
  const Busy busy = AttachBusy();
  const wire::Door second_door = wire::MakeDoor().value();
  const wire::Gate second_gate = wire::Gate::Create(wire::GateState::kFull).value();
  wire::ControlMessage open{.kind = ControlKind::kOpenSession, .session = 2, .budget_bytes = kBudget};
  wire::SetText(open, second_door.key);
  const int fds[] = {second_door.listener.get(), second_gate.fd()};
  ASSERT_TRUE(wire::SendControl(control_.get(), open, fds));
  EXPECT_EQ(Hear().kind, ControlKind::kSessionOpened);
  ::setenv(wire::kDoorVariable, second_door.address.c_str(), 1);
  const auto other = Attach();

  AskDrain(1, 1);
  AskDrain(2, 2);
  wire::ControlMessage heard = Hear();
  EXPECT_EQ(std::pair(heard.kind, heard.session), std::pair(ControlKind::kDrained, 2u));
  ASSERT_TRUE(wire::SendControl(control_.get(), {.kind = ControlKind::kCloseSession, .session = 2}));
  heard = Hear();
  EXPECT_EQ(std::pair(heard.kind, heard.session), std::pair(ControlKind::kSessionEnded, 2u));
  gate_.Set(wire::GateState::kFull);
  heard = Hear();
  EXPECT_EQ(std::pair(heard.kind, heard.session), std::pair(ControlKind::kDrained, 1u));
}

TEST_F(DoorTest, ABrokenContextIsToldBeforeTheDrainIsAnswered) {
  driver_.cuStreamQuery = [](CUstream) { return CUDA_ERROR_ILLEGAL_ADDRESS; };
  const Busy busy = AttachBusy();
  AskDrain(1, 7);
  const wire::ControlMessage end = Hear();
  EXPECT_EQ(end.kind, ControlKind::kSessionEnded);
  EXPECT_EQ(end.end, wire::SessionEnd::kDeviceError);
  EXPECT_STREQ(end.text, "the CUDA driver answered with error 700");
  EXPECT_EQ(Hear().kind, ControlKind::kDrained);
}

TEST_F(DoorTest, AClosedSessionLetsNobodyIn) {
  door_.listener.Reset();  // the server has the last one
  ASSERT_TRUE(wire::SendControl(control_.get(), {.kind = ControlKind::kCloseSession, .session = 1}));
  EXPECT_EQ(Hear().kind, ControlKind::kSessionEnded);
  EXPECT_EQ(wire::LookThroughDoor().error().code(), Code::kUnavailable);
}

TEST(DoorAddressTest, WhatIsNoAddressIsRefused) {
  EXPECT_EQ(wire::GoThroughDoor({}).error().code(), Code::kNotFound);
  for (const char* address : {"", "name", "name:", "name:short", ":0123456789abcdef0123456789abcdef"}) {
    ::setenv(wire::kDoorVariable, address, 1);
    EXPECT_EQ(wire::GoThroughDoor({}).error().code(), Code::kInvalidArgument) << address;
  }
  ::setenv(wire::kDoorVariable, "mignificient-nobody:0123456789abcdef0123456789abcdef", 1);
  EXPECT_EQ(wire::GoThroughDoor({}).error().code(), Code::kUnavailable);
  ::unsetenv(wire::kDoorVariable);
}

TEST(DoorAddressTest, NoTwoDoorsAreAlike) {
  const auto one = wire::MakeDoor().value(), other = wire::MakeDoor().value();
  EXPECT_NE(one.key, other.key);
  EXPECT_NE(one.address, other.address);
  EXPECT_EQ(one.key.size(), static_cast<size_t>(wire::kDoorKeyBytes));
  EXPECT_EQ(one.address.find(one.key), one.address.size() - one.key.size());
}

}  // namespace
}  // namespace mignificient::server
