// Who may pass the gate, until when, and what the owner sees of that without asking.
#include <gtest/gtest.h>

#include <thread>

#include "os/futex.h"
#include "remoting/server/connection_fixture.h"

namespace mignificient::server {
namespace {

class HoldTest : public ConnectionTest {
 protected:
  static void Drain(Client& client, uint32_t tag, wire::Hold hold) {
    client.connection().RequestDrain({.tag = tag, .hold = static_cast<uint32_t>(hold), .idle_us = 0});
  }
  static void AwaitDrained(Client& client, uint32_t tag) {
    while (client.connection().drained_tag() != tag) std::this_thread::yield();
  }
  static void Copy(Client& client) { client.Send(Command::kCopyInline, wire::CopyBody{4096, 0, 0, 0, 0, 0}); }
  // The gate's word once a command waits at it.
  static uint32_t AwaitWaiting(Client& client, uint32_t before = 0) {
    uint32_t word = before;
    while (word == before) word = client.session().waiting_word.load();
    return word;
  }
  static void AwaitPassed(Client& client) {
    EXPECT_EQ(client.Ask(Command::kStreamSynchronize, wire::HandleBody{0}), CUDA_SUCCESS);
  }
};

TEST_F(HoldTest, AfterADrainNothingPassesAnOpenGateUntilItIsSetAgain) {
  for (const wire::Hold hold : {wire::Hold::kIssued, wire::Hold::kIdle, wire::Hold::kNow}) {
    Client client(device_);
    Copy(client);
    AwaitPassed(client);
    Drain(client, 1, hold);
    AwaitDrained(client, 1);
    Copy(client);
    EXPECT_EQ(AwaitWaiting(client), client.session().gate.word().load());
    client.session().gate.Set(wire::GateState::kFull);
    AwaitPassed(client);
  }
}

TEST_F(HoldTest, ADrainThatHoldsNowDoesNotWaitForWhatIsIssued) {
  Client client(device_, wire::GateState::kLocked);
  Copy(client);
  AwaitWaiting(client);
  Drain(client, 1, wire::Hold::kNow);
  AwaitDrained(client, 1);
  Drain(client, 2, wire::Hold::kIssued);
  client.session().gate.Set(wire::GateState::kFull);
  AwaitDrained(client, 2);
  AwaitPassed(client);
}

TEST_F(HoldTest, WhatAnEarlierDrainHeldCountsAsIssued) {
  Client client(device_);
  Drain(client, 1, wire::Hold::kNow);
  AwaitDrained(client, 1);
  Copy(client);
  AwaitWaiting(client);
  Drain(client, 2, wire::Hold::kIssued);
  AwaitDrained(client, 2);
  AwaitPassed(client);
}

TEST_F(HoldTest, WhoWaitsSaysSoAgainWhenTheGateWasSetAndIsStillClosed) {
  Client client(device_, wire::GateState::kLocked);
  Copy(client);
  const uint32_t first = AwaitWaiting(client);
  client.session().gate.Set(wire::GateState::kCpuOnly);
  const uint32_t second = AwaitWaiting(client, first);
  EXPECT_EQ(wire::GateStateOf(second), wire::GateState::kCpuOnly);
  EXPECT_EQ(wire::GateTurnOf(second), wire::GateTurnOf(first) + 1);
}

TEST_F(HoldTest, AConnectionThatComesAfterADrainHoldsToo) {
  auto session = std::make_shared<Session>(1, kBudget, wire::Gate::Create(wire::GateState::kFull).value());
  session->held_turn = wire::GateTurnOf(session->gate.word().load());
  Client client(device_, session);
  Copy(client);
  AwaitWaiting(client);
  session->gate.Set(wire::GateState::kFull);
  AwaitPassed(client);
}

// --- What the owner sees without asking: wire::GatePage. Connections are counted by Server, so here none is.

class InFlightTest : public HoldTest {
 protected:
  static uint32_t InFlight(Client& client) { return client.session().gate.in_flight().load(); }
  static CUresult AskFinished(Client& client) { return client.Ask(Command::kFence, wire::FenceBody{0, 1}); }
};

TEST_F(InFlightTest, AConnectionIsBusyFromItsFirstCommandAtTheGateUntilItHasBeenAskedAndIsIdle) {
  Client client(device_);
  EXPECT_EQ(AskFinished(client), CUDA_SUCCESS);
  EXPECT_EQ(InFlight(client), 0u);
  for (int i = 0; i < 2; ++i) {
    Copy(client);
    AwaitPassed(client);
    EXPECT_EQ(InFlight(client), wire::kOneBusy);
    EXPECT_EQ(AskFinished(client), CUDA_SUCCESS);
    EXPECT_EQ(InFlight(client), 0u);
  }
}

TEST_F(InFlightTest, ACommandThatWaitsAtTheGateCounts) {
  Client client(device_, wire::GateState::kLocked);
  Copy(client);
  AwaitWaiting(client);
  EXPECT_EQ(InFlight(client), wire::kOneBusy);
  Drain(client, 1, wire::Hold::kNow);
  AwaitDrained(client, 1);
  EXPECT_EQ(InFlight(client), wire::kOneBusy) << "A drain that it does not hold up is not its end.";
  EXPECT_FALSE(client.session().gate.CloseQuiet(0));
}

TEST_F(InFlightTest, ADrainMakesItQuiet) {
  Client client(device_);
  Copy(client);
  AwaitPassed(client);
  EXPECT_EQ(InFlight(client), wire::kOneBusy);
  Drain(client, 1, wire::Hold::kIssued);
  AwaitDrained(client, 1);
  EXPECT_EQ(InFlight(client), 0u);
}

TEST_F(InFlightTest, EachConnectionOfASessionCountsForItself) {
  Client first(device_);
  Client second(device_, first.shared_session(), {.ordinal = 1});
  for (Client* client : {&first, &second}) {
    Copy(*client);
    AwaitPassed(*client);
  }
  EXPECT_EQ(InFlight(first), 2 * wire::kOneBusy);
  EXPECT_EQ(AskFinished(first), CUDA_SUCCESS);
  EXPECT_EQ(InFlight(first), wire::kOneBusy);
  second.connection().Stop();
  second.WaitForEnd();
  EXPECT_EQ(InFlight(first), 0u) << "Who has torn down has nothing left.";
}

TEST_F(InFlightTest, ABrokenContextIsTroubleForGood) {
  driver_.cuStreamQuery = [](CUstream) { return CUDA_ERROR_ILLEGAL_ADDRESS; };
  Client client(device_);
  Copy(client);
  EXPECT_EQ(AskFinished(client), CUDA_SUCCESS) << "The stream is not busy, and the error is not for who asks.";
  EXPECT_EQ(InFlight(client), wire::kTroubled);
  EXPECT_FALSE(client.session().gate.CloseQuiet(0));
}

TEST_F(InFlightTest, MisuseIsTroubleBeforeTheConnectionHasEnded) {
  Client client(device_);
  client.Send(200, {});
  client.WaitForEnd();
  EXPECT_EQ(InFlight(client), wire::kTroubled);
}

TEST_F(InFlightTest, AskingLeavesADeferredErrorToTheCallThatItBelongsTo) {
  Client client(device_);
  client.Send(Command::kStreamDestroy, wire::HandleBody{77});
  EXPECT_EQ(AskFinished(client), CUDA_SUCCESS);
  EXPECT_EQ(client.header().deferred_error.load(), CUDA_ERROR_INVALID_HANDLE);
}

TEST_F(InFlightTest, AGateThatIsNotQuietIsLeftAsItWas) {
  wire::Gate gate = wire::Gate::Create(wire::GateState::kMemcpy).value();
  for (const uint32_t some : {wire::kOneBusy, wire::kOneConnection, wire::kTroubled}) {
    gate.in_flight() = some;
    EXPECT_FALSE(gate.CloseQuiet(0));
    EXPECT_EQ(gate.Get(), wire::GateState::kMemcpy);
  }
  gate.in_flight() = wire::kOneConnection;
  EXPECT_TRUE(gate.CloseQuiet(1));
  EXPECT_EQ(gate.Get(), wire::GateState::kLocked);
}

std::atomic<bool> owner_says_quiet;
std::atomic<int> copies_made;

// An owner that closes the gate again and again, against a client that copies and asks without end.
TEST_F(InFlightTest, NothingReachesTheDriverOnceTheOwnerHasFoundTheSessionQuiet) {
  owner_says_quiet = false;
  copies_made = 0;
  driver_.cuMemcpyHtoDAsync_v2 = [](CUdeviceptr, const void*, size_t, CUstream) {
    EXPECT_FALSE(owner_says_quiet.load());
    ++copies_made;
    return CUDA_SUCCESS;
  };
  Client client(device_);
  std::atomic<bool> enough{false};
  std::thread program([&] {
    while (!enough) {
      Copy(client);
      AskFinished(client);
    }
  });
  for (int closed = 0; closed < 2000 || copies_made < 2000;) {
    if (!client.session().gate.CloseQuiet(0)) continue;
    ++closed;
    owner_says_quiet = true;
    const int before = copies_made;
    for (int i = 0; i < closed % 64; ++i) os::SpinPause();
    EXPECT_EQ(copies_made, before);
    owner_says_quiet = false;
    client.session().gate.Set(wire::GateState::kFull);
  }
  enough = true;
  program.join();
}

}  // namespace
}  // namespace mignificient::server
