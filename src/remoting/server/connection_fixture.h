// A client of one connection that writes whatever it likes into its region, and a server behind it whose driver is a
// fake: for the tests of Connection.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "os/socket.h"
#include "remoting/server/connection.h"
#include "remoting/server/fake_driver.h"

namespace mignificient::server {

using wire::Command;

inline constexpr uint64_t kBudget = 64 << 20;

// Where a page can be pinned: in the middle of much that was free a moment ago, and where ThreadSanitizer has nothing
// of its own, as it has in the windows that Welcome names.
inline uint64_t FreeAddress() {
  constexpr uint64_t kMuch = uint64_t{1} << 30;
  void* const room = ::mmap(nullptr, kMuch, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  EXPECT_NE(room, MAP_FAILED);
  ::munmap(room, kMuch);
  return reinterpret_cast<uint64_t>(room) + kMuch / 2;
}

class Client {
 public:
  explicit Client(const Device& device, wire::GateState gate = wire::GateState::kFull)
      : Client(device, std::make_shared<Session>(1, kBudget, wire::Gate::Create(gate).value())) {}
  Client(const Device& device, std::shared_ptr<Session> session, Connection::Options options = {})
      : session_(std::move(session)) {
    auto ends = os::SocketPair().value();
    {
      const std::lock_guard lock(accepting_);  // the dispatcher may notify before this thread has the connection
      connection_ =
          Connection::Accept(device, session_, std::move(ends.first), options, [this] { Notified(); }).value();
    }
    socket_ = std::move(ends.second);
    auto packet = os::ReceivePacket(socket_.get(), std::as_writable_bytes(std::span(&welcome_, 1))).value();
    region_ = os::Mapping::Create(packet.fds.at(0).get(), welcome_.region_bytes).value();
    producer_.emplace(header().ring, region_.bytes().subspan(wire::kRingOffset, wire::kRingBytes),
                      ring::Barrier::kSymmetric);
  }

  // Writes one record. False: the ring stayed full, because nobody reads it any more.
  bool Send(uint16_t opcode, std::span<const std::byte> body, uint16_t slot = wire::kNoReply) {
    const uint32_t bytes = static_cast<uint32_t>(8 + (body.size() + 7) / 8 * 8);
    std::byte* space = producer_->Reserve(bytes);
    while (space == nullptr && !connection_->ended()) {
      producer_->WaitForRoom(1'000'000);
      space = producer_->Reserve(bytes);
    }
    if (space == nullptr) return false;
    const ring::RecordHeader record{bytes, opcode, slot};
    std::memcpy(space, &record, sizeof record);
    if (!body.empty()) std::memcpy(space + 8, body.data(), body.size());
    producer_->Publish();
    return true;
  }
  template <typename Body>
  bool Send(Command command, const Body& body, uint16_t slot = wire::kNoReply) {
    return Send(static_cast<uint16_t>(command), std::as_bytes(std::span(&body, 1)), slot);
  }
  template <typename Body>
  CUresult Ask(Command command, const Body& body, uint16_t slot = 0) {
    header().replies[slot].Arm();
    Send(command, body, slot);
    return Await(slot);
  }
  CUresult Await(uint16_t slot) {
    while (!header().replies[slot].Wait(1'000'000'000)) {
    }
    return static_cast<CUresult>(header().replies[slot].result.load());
  }
  // The object that the answer to `body` in slot 0 names.
  template <typename Body>
  uint64_t Named(Command command, const Body& body) {
    EXPECT_EQ(Ask(command, body), CUDA_SUCCESS);
    uint64_t name;
    std::memcpy(&name, region_.data() + wire::kReplyOffset, sizeof name);
    return name;
  }

  // What came with the answer to the last question.
  template <typename Body>
  Body Reply() {
    Body reply;
    std::memcpy(&reply, region_.data() + wire::kReplyOffset, sizeof reply);
    return reply;
  }

  wire::RegionHeader& header() { return *reinterpret_cast<wire::RegionHeader*>(region_.data()); }
  Connection& connection() { return *connection_; }
  Session& session() { return *session_; }
  std::shared_ptr<Session> shared_session() { return session_; }
  const wire::Welcome& welcome() const { return welcome_; }
  std::byte* ring() { return region_.data() + wire::kRingOffset; }
  int socket() const { return socket_.get(); }
  void WaitForEnd() { ended_.get_future().wait(); }
  std::string EndText() {
    WaitForEnd();
    return connection_->end().text;
  }

 private:
  void Notified() {
    const std::lock_guard lock(accepting_);
    if (connection_->ended()) ended_.set_value();
  }
  std::mutex accepting_;
  std::promise<void> ended_;
  std::shared_ptr<Session> session_;
  std::unique_ptr<Connection> connection_;
  os::UniqueFd socket_;
  wire::Welcome welcome_;
  os::Mapping region_;
  std::optional<ring::Producer> producer_;
};

// A function of a module, with one parameter of 8 bytes as the fake driver has it. 0: it cannot be had.
inline uint64_t LoadFunction(Client& client) {
  os::UniqueFd image(::memfd_create("image", MFD_ALLOW_SEALING));
  constexpr std::string_view kPtx(".version 7.0\n.target sm_50\n", 28);  // with its zero byte
  if (::write(image.get(), kPtx.data(), kPtx.size()) != static_cast<ssize_t>(kPtx.size())) return 0;
  ::fcntl(image.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
  const wire::DescriptorPacket packet{5, kPtx.size()};
  const int raw = image.get();
  if (!os::SendPacket(client.socket(), std::as_bytes(std::span(&packet, 1)), std::span(&raw, 1))) return 0;
  if (client.Ask(Command::kLoadModule, wire::LoadBody{5, kPtx.size(), 0, 0, 0, 0}) != CUDA_SUCCESS) return 0;
  struct {
    wire::NameBody body{0, 1, 0};
    char name[8] = "f";
  } name;
  static std::atomic<uint32_t> slots = 0;
  name.body.handle = client.Reply<wire::LoadReply>().handle;
  name.body.function = wire::PackHandle({wire::HandleKind::kFunction, 1, slots++});
  return client.Ask(Command::kGetFunction, name) == CUDA_SUCCESS ? name.body.function : 0;
}

class ConnectionTest : public testing::Test {
 protected:
  DriverTable driver_ = FakeDriver();
  Device device_ = FakeDevice(driver_);
};

}  // namespace mignificient::server
