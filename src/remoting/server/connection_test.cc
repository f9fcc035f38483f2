#include "remoting/server/connection.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <future>
#include <random>

#include "os/futex.h"
#include "os/socket.h"
#include "remoting/server/fake_driver.h"

#include "gen/commands.h"

namespace mignificient::server {
namespace {

using testing::HasSubstr;
using wire::Command;

constexpr uint64_t kBudget = 64 << 20;
constexpr auto kLastCommand = static_cast<uint16_t>(Command::kTensorMap);

// A client that writes whatever it likes into its region.
class Client {
 public:
  explicit Client(const Device& device, wire::GateState gate = wire::GateState::kFull)
      : Client(device, std::make_shared<Session>(1, kBudget, wire::Gate::Create(gate).value())) {}
  Client(const Device& device, std::shared_ptr<Session> session, Connection::Options options = {})
      : session_(std::move(session)) {
    auto ends = os::SocketPair().value();
    connection_ = Connection::Accept(device, session_, std::move(ends.first), options, [this] { Notified(); }).value();
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
    if (connection_ == nullptr || connection_->ended()) ended_.set_value();
  }
  std::promise<void> ended_;
  std::shared_ptr<Session> session_;
  std::unique_ptr<Connection> connection_;
  os::UniqueFd socket_;
  wire::Welcome welcome_;
  os::Mapping region_;
  std::optional<ring::Producer> producer_;
};

// A function of a module, with one parameter of 8 bytes as the fake driver has it. 0: it cannot be had.
uint64_t LoadFunction(Client& client) {
  os::UniqueFd image(::memfd_create("image", MFD_ALLOW_SEALING));
  constexpr std::string_view kPtx(".version 7.0\n.target sm_50\n", 28);  // with its zero byte
  if (::write(image.get(), kPtx.data(), kPtx.size()) != static_cast<ssize_t>(kPtx.size())) return 0;
  ::fcntl(image.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
  const wire::DescriptorPacket packet{5, kPtx.size()};
  const int raw = image.get();
  if (!os::SendPacket(client.socket(), std::as_bytes(std::span(&packet, 1)), std::span(&raw, 1))) return 0;
  if (client.Ask(Command::kLoadModule, wire::LoadBody{5, kPtx.size(), 0, 0, 0, 0}) != CUDA_SUCCESS) return 0;
  struct {
    wire::NameBody body{0, 1};
    char name[8] = "f";
  } name;
  name.body.handle = client.Reply<wire::LoadReply>().handle;
  if (client.Ask(Command::kGetFunction, name) != CUDA_SUCCESS) return 0;
  return client.Reply<wire::FunctionReply>().handle;
}

class ConnectionTest : public testing::Test {
 protected:
  DriverTable driver_ = FakeDriver();
  Device device_ = FakeDevice(driver_);
};

TEST_F(ConnectionTest, MapsWithinTheBudgetAndCountsIt) {
  Client client(device_);
  const wire::ExtentBody extent{client.welcome().window_base, 1 << 20};
  EXPECT_EQ(client.Ask(Command::kMapExtent, extent), CUDA_SUCCESS);
  EXPECT_EQ(client.session().mapped_bytes.load(), 1u << 20);
  EXPECT_EQ(client.Ask(Command::kUnmapExtent, extent), CUDA_SUCCESS);
  EXPECT_EQ(client.session().mapped_bytes.load(), 0u);
}

TEST_F(ConnectionTest, ExtentBeyondTheBudgetIsRefusedWhenAskedAndFatalWhenAssumed) {
  Client client(device_);
  const wire::ExtentBody extent{client.welcome().window_base, 2 * kBudget};
  EXPECT_EQ(client.Ask(Command::kMapExtent, extent), CUDA_ERROR_OUT_OF_MEMORY);
  client.Send(Command::kMapExtent, extent);
  client.WaitForEnd();
  EXPECT_EQ(client.connection().end().reason, wire::SessionEnd::kOutOfMemory);
}

// A process that is alone maps without asking. What it has sent when another one comes is carried out first.
TEST_F(ConnectionTest, MapInFlightWhenAnotherProcessComesIsNotOvertaken) {
  Client first(device_, wire::GateState::kLocked);
  first.Send(Command::kCopyInline, wire::CopyBody{4096, 0, 0, 0, 0, 0});  // waits at the gate
  const wire::ExtentBody half{first.welcome().window_base, kBudget / 2};
  first.Send(Command::kMapExtent, half);
  first.connection().SetShared(true);
  Client second(device_, first.shared_session(), {.ordinal = 1, .shared = true});
  const wire::ExtentBody whole{second.welcome().window_base, kBudget};
  second.header().replies[0].Arm();
  second.Send(Command::kMapExtent, whole, 0);
  first.session().gate.Set(wire::GateState::kFull);
  EXPECT_EQ(second.Await(0), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(first.Ask(Command::kMapExtent, half), CUDA_SUCCESS) << "It has what it sent, and may ask.";
  EXPECT_EQ(first.session().mapped_bytes.load(), kBudget / 2);
  EXPECT_FALSE(first.connection().ended());
}

TEST_F(ConnectionTest, MapThatIsSentWithoutAskingOnceAnotherHasComeIsAskedAboutAndNotFatal) {
  Client first(device_);
  first.connection().SetShared(true);
  Client second(device_, first.shared_session(), {.ordinal = 1, .shared = true});
  EXPECT_EQ(second.Ask(Command::kMapExtent, wire::ExtentBody{second.welcome().window_base, kBudget}), CUDA_SUCCESS);
  const wire::ExtentBody late{first.welcome().window_base, 1 << 20};
  first.Send(Command::kMapExtent, late);
  EXPECT_EQ(first.Ask(Command::kMapExtent, late), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_FALSE(first.connection().ended());
}

TEST_F(ConnectionTest, ConnectionThatEndsWhileItSettlesHoldsNobodyUp) {
  Client first(device_, wire::GateState::kLocked);
  first.Send(Command::kCopyInline, wire::CopyBody{4096, 0, 0, 0, 0, 0});
  first.connection().SetShared(true);
  Client second(device_, first.shared_session(), {.ordinal = 1, .shared = true});
  first.connection().Stop();
  EXPECT_EQ(second.Ask(Command::kMapExtent, wire::ExtentBody{second.welcome().window_base, kBudget}), CUDA_SUCCESS);
}

TEST_F(ConnectionTest, OverlappingAndForeignExtentsAreMisuse) {
  {
    Client client(device_);
    const wire::ExtentBody extent{client.welcome().window_base, 8192};
    client.Send(Command::kMapExtent, extent);
    client.Send(Command::kMapExtent, extent);
    EXPECT_THAT(client.EndText(), HasSubstr("not free whole granules"));
  }
  {
    Client client(device_);
    client.Send(Command::kMapExtent, wire::ExtentBody{client.welcome().window_base - 4096, 4096});
    EXPECT_THAT(client.EndText(), HasSubstr("not free whole granules"));
  }
}

TEST_F(ConnectionTest, UnknownOpcodeEndsTheConnectionAndNamesIt) {
  Client client(device_);
  client.Send(200, {});
  EXPECT_EQ(client.EndText(), "Opcode (200) is unknown.");
  EXPECT_EQ(client.connection().end().reason, wire::SessionEnd::kMisuse);
}

TEST_F(ConnectionTest, MadeUpHandlesAreInvalidNotFatal) {
  Client client(device_);
  for (const uint64_t name : {uint64_t{3}, uint64_t{0x0100000100000000}, uint64_t{0x01ffffffffffffff}, ~uint64_t{0}}) {
    EXPECT_EQ(client.Ask(Command::kStreamQuery, wire::HandleBody{name}), CUDA_ERROR_INVALID_HANDLE);
    EXPECT_EQ(client.Ask(Command::kEventQuery, wire::HandleBody{name}), CUDA_ERROR_INVALID_HANDLE);
    EXPECT_EQ(client.Ask(Command::kLibraryModule, wire::HandleBody{name}), CUDA_ERROR_INVALID_HANDLE);
  }
}

TEST_F(ConnectionTest, StaleHandleOfAReusedSlotIsInvalid) {
  Client client(device_);
  const uint64_t first = wire::PackHandle({wire::HandleKind::kStream, 1, 0});
  const uint64_t second = wire::PackHandle({wire::HandleKind::kStream, 2, 0});
  client.Send(Command::kStreamCreate, wire::StreamCreateBody{first, 0, 0});
  client.Send(Command::kStreamDestroy, wire::HandleBody{first});
  client.Send(Command::kStreamCreate, wire::StreamCreateBody{second, 0, 0});
  EXPECT_EQ(client.Ask(Command::kStreamQuery, wire::HandleBody{second}), CUDA_SUCCESS);
  EXPECT_EQ(client.Ask(Command::kStreamQuery, wire::HandleBody{first}), CUDA_ERROR_INVALID_HANDLE);
}

TEST_F(ConnectionTest, AsynchronousErrorIsDeferredOnce) {
  Client client(device_);
  client.Send(Command::kEventRecord, wire::EventRecordBody{12345, 0, 0});
  EXPECT_EQ(client.Ask(Command::kStreamSynchronize, wire::HandleBody{0}), CUDA_SUCCESS);
  EXPECT_EQ(client.header().deferred_error.load(), static_cast<uint32_t>(CUDA_ERROR_INVALID_HANDLE));
}

TEST_F(ConnectionTest, StickyErrorStaysInTheRegion) {
  driver_.cuStreamQuery = [](CUstream) { return CUDA_ERROR_ILLEGAL_ADDRESS; };
  Client client(device_);
  EXPECT_EQ(client.Ask(Command::kStreamSynchronize, wire::HandleBody{0}), CUDA_ERROR_ILLEGAL_ADDRESS);
  EXPECT_EQ(client.header().deferred_error.load(), wire::kDeferredSticky | CUDA_ERROR_ILLEGAL_ADDRESS);
}

TEST_F(ConnectionTest, ClosedGateHoldsCopiesUntilItOpens) {
  Client client(device_, wire::GateState::kCpuOnly);
  client.header().replies[0].Arm();
  client.Send(Command::kCopyToReply, wire::CopyBody{4096, 8, 0, 0, 0, 0}, 0);
  EXPECT_FALSE(client.header().replies[0].Wait(1'000'000));
  client.session().gate.Set(wire::GateState::kMemcpy);
  while (!client.header().replies[0].Wait(1'000'000'000)) {
  }
  EXPECT_EQ(client.session().copies.load(), 1u);
}

TEST_F(ConnectionTest, StopEndsAConnectionThatWaitsAtTheGate) {
  Client client(device_, wire::GateState::kLocked);
  client.Send(Command::kCopyInline, wire::CopyBody{4096, 0, 0, 0, 0, 0});
  client.connection().Stop();
  client.WaitForEnd();
  EXPECT_EQ(client.connection().end().reason, wire::SessionEnd::kClientGone);
}

TEST_F(ConnectionTest, CopiesThatLeaveTheirChunkOrReplyAreMisuse) {
  const wire::CopyBody bad[] = {
      {4096, wire::kChunkBytes + 1, 0, 0, 0, 0},
      {4096, 1, 0, 0, wire::kStagingChunks, 0},
      {4096, 1, 0, 0, 0, wire::kChunkBytes},
      {4096, ~uint64_t{0}, 0, 0, 3, 8},
      {4096, 8, 0, 0, 0, 0xffffffff},
  };
  for (const wire::CopyBody& copy : bad) {
    Client client(device_);
    client.Send(Command::kCopyFromChunk, copy);
    EXPECT_THAT(client.EndText(), HasSubstr("leaves chunk"));
  }
  Client client(device_);
  client.Send(Command::kCopyToReply, wire::CopyBody{4096, wire::kReplyBytes + 1, 0, 0, 0, 0}, 0);
  EXPECT_THAT(client.EndText(), HasSubstr("does not fit a reply"));
}

TEST_F(ConnectionTest, PinnedCopiesMustStayInsidePinnedMemory) {
  Client client(device_);
  const wire::CopyBody copy{4096, 64, 0, client.welcome().host_window_base, 0, 0};
  EXPECT_EQ(client.Ask(Command::kCopyToHost, copy), CUDA_ERROR_INVALID_VALUE);
  const auto fd = os::CreateSealedMemory("test", 4096).value();
  const wire::DescriptorPacket packet{7, 4096};
  const int raw = fd.get();
  ASSERT_TRUE(os::SendPacket(client.socket(), std::as_bytes(std::span(&packet, 1)), std::span(&raw, 1)));
  EXPECT_EQ(client.Ask(Command::kPinHost, wire::PinHostBody{7, copy.host, 4096, 0}), CUDA_SUCCESS);
  EXPECT_EQ(client.Ask(Command::kCopyToHost, copy), CUDA_SUCCESS);
  wire::CopyBody beyond = copy;
  beyond.host += 4096 - 63;
  EXPECT_EQ(client.Ask(Command::kCopyToHost, beyond), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(client.Ask(Command::kUnpinHost, wire::UnpinHostBody{copy.host}), CUDA_SUCCESS);
  EXPECT_EQ(client.session().pinned_bytes.load(), 0u);
}

TEST_F(ConnectionTest, MemoryIsNotPinnedWhereTheServerHasSomethingElse) {
  Client client(device_);
  std::vector<std::byte> ours(1 << 20);
  const uint64_t taken = (reinterpret_cast<uint64_t>(ours.data()) + 4095) / 4096 * 4096;
  const auto fd = os::CreateSealedMemory("test", 8192).value();
  const int raw = fd.get();
  for (const uint64_t address : {taken, ~uint64_t{4095}}) {
    const wire::DescriptorPacket packet{address, 8192};
    ASSERT_TRUE(os::SendPacket(client.socket(), std::as_bytes(std::span(&packet, 1)), std::span(&raw, 1)));
    EXPECT_EQ(client.Ask(Command::kPinHost, wire::PinHostBody{address, address, 8192, 0}), CUDA_ERROR_MAP_FAILED);
    EXPECT_EQ(client.session().pinned_bytes.load(), 0u);
  }
}

TEST_F(ConnectionTest, AttributesThatAreNoPlainValuesAreNotPassedOn) {
  Client client(device_);
  const uint64_t event = wire::PackHandle({wire::HandleKind::kEvent, 1, 0});
  client.Send(Command::kEventCreate, wire::EventCreateBody{event, 0});
  using Set = wire::api::cuStreamSetAttribute;
  for (const int id : {7, 12, 13, 15, 17, -1, 1 << 30}) {
    client.header().replies[0].Arm();
    const Set::Body body{.stream = 0, .attribute = id};
    client.Send(Set::kOpcode, std::as_bytes(std::span(&body, 1)), 0);
    while (!client.header().replies[0].Wait(1'000'000'000)) {
    }
    EXPECT_EQ(client.header().replies[0].result.load(), static_cast<uint32_t>(CUDA_ERROR_INVALID_VALUE)) << id;
  }
}

struct MemoryOps {
  wire::MemoryOpsBody body{0, 1, 0};
  CUstreamBatchMemOpParams operations[2] = {};
};

TEST_F(ConnectionTest, MemoryOperationsReachTheDriverWithoutTheClientsAliases) {
  static CUstreamBatchMemOpParams seen[2];
  driver_.cuStreamBatchMemOp_v2 = [](CUstream, unsigned count, CUstreamBatchMemOpParams* operations, unsigned) {
    if (count == 2) std::memcpy(seen, operations, sizeof seen);
    return CUDA_SUCCESS;
  };
  Client client(device_);
  MemoryOps ops{.body = {0, 2, 0}};
  for (auto& each : ops.operations) each.value = {CU_STREAM_MEM_OP_WRITE_VALUE_32, 4096, {7}, 0, 0x1234};
  EXPECT_EQ(client.Ask(Command::kStreamMemoryOps, ops), CUDA_SUCCESS);
  EXPECT_EQ(seen[1].value.address, 4096u);
  EXPECT_EQ(seen[1].value.value, 7u);
  EXPECT_EQ(seen[1].value.alias, 0u);
  ops.body.stream = 0x0100000000000007;
  EXPECT_EQ(client.Ask(Command::kStreamMemoryOps, ops), CUDA_ERROR_INVALID_HANDLE);
}

TEST_F(ConnectionTest, MalformedMemoryOperationsAreMisuse) {
  MemoryOps good;
  good.operations[0].operation = good.operations[1].operation = CU_STREAM_MEM_OP_BARRIER;
  for (const auto& [count, operation] : {std::pair<uint32_t, int>{0, 6}, {3, 6}, {257, 6}, {~0u, 6}, {1, 7}, {2, -1}}) {
    Client client(device_);
    MemoryOps ops = good;
    ops.body.count = count;
    ops.operations[0].operation = operation;
    client.Send(Command::kStreamMemoryOps, ops);
    EXPECT_THAT(client.EndText(), HasSubstr("Memory operations"));
  }
}

TEST_F(ConnectionTest, EventsOfALaunchAreNamedAndUnknownAttributesRefused) {
  static CUlaunchAttribute seen;
  driver_.cuLaunchKernelEx = [](const CUlaunchConfig* config, CUfunction, void**, void**) {
    seen = config->attributes[0];
    return CUDA_SUCCESS;
  };
  static CUevent made;
  driver_.cuEventCreate = [](CUevent* event, unsigned) {
    *event = made = fake::Next<CUevent>();
    return CUDA_SUCCESS;
  };
  Client client(device_);
  const uint64_t event = wire::PackHandle({wire::HandleKind::kEvent, 1, 0});
  client.Send(Command::kEventCreate, wire::EventCreateBody{event, 0});
  struct {
    wire::LaunchBody body{.grid = {1, 1, 1}, .block = {1, 1, 1}, .attribute_count = 1, .param_bytes = 8};
    CUlaunchAttribute attribute{};
    uint64_t parameter = 0;
  } launch;
  launch.body.function = LoadFunction(client);
  for (const int id : {7, 12}) {
    launch.attribute.id = id;
    std::memcpy(launch.attribute.value, &event, sizeof event);
    EXPECT_EQ(client.Ask(Command::kLaunch, launch), CUDA_SUCCESS);
    EXPECT_EQ(std::memcmp(seen.value, &made, sizeof made), 0) << id;
    launch.attribute.value[0] = 77;
    EXPECT_EQ(client.Ask(Command::kLaunch, launch), CUDA_ERROR_INVALID_HANDLE) << id;
  }
  for (const int id : {13, 15, 17, -5}) {
    launch.attribute.id = id;
    EXPECT_EQ(client.Ask(Command::kLaunch, launch), CUDA_ERROR_NOT_SUPPORTED) << id;
  }
}

// The driver writes out what kernels printed when it synchronises, and that costs; CUDA refuses to change the size of
// the buffer for it once a kernel that prints has been launched.
TEST_F(ConnectionTest, AWaitSynchronisesTheDriverOnlyWhereAKernelMayHavePrinted) {
  static std::atomic<int> synchronised, asked;
  static std::atomic<bool> printing;
  synchronised = asked = 0;
  printing = false;
  driver_.cuStreamSynchronize = [](CUstream) {
    ++synchronised;
    return CUDA_SUCCESS;
  };
  driver_.cuCtxSetLimit = [](int limit, size_t) {
    EXPECT_EQ(limit, CU_LIMIT_PRINTF_FIFO_SIZE);
    ++asked;
    return printing ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
  };
  Client client(device_);
  const auto wait = [&] {
    EXPECT_EQ(client.Ask(Command::kContextSynchronize, wire::HandleBody{0}), CUDA_SUCCESS);
    EXPECT_EQ(client.Ask(Command::kStreamSynchronize, wire::HandleBody{0}), CUDA_SUCCESS);
  };
  struct {
    wire::LaunchBody body{.grid = {1, 1, 1}, .block = {1, 1, 1}, .param_bytes = 8};
    uint64_t parameter = 0;
  } silent, printer;
  silent.body.function = LoadFunction(client);
  printer.body.function = LoadFunction(client);
  wait();
  client.Send(Command::kLaunch, silent);
  wait();
  client.Send(Command::kLaunch, silent);
  wait();
  EXPECT_EQ(asked, 2) << "once, and once more after a kernel's first launch";
  EXPECT_EQ(synchronised, 0);
  printing = true;
  client.Send(Command::kLaunch, printer);
  wait();
  EXPECT_EQ(asked, 3);
  EXPECT_EQ(synchronised, 2);
  client.Send(Command::kLaunch, silent);
  wait();
  EXPECT_EQ(asked, 3) << "It stays so.";
  EXPECT_EQ(synchronised, 4);
}

TEST_F(ConnectionTest, MemoryOperationsOfAGraphAreCheckedAlike) {
  static unsigned count;
  driver_.cuGraphCreate = [](CUgraph* graph, unsigned) {
    *graph = fake::Next<CUgraph>();
    return CUDA_SUCCESS;
  };
  driver_.cuGraphAddNode_v2 = [](CUgraphNode* node, CUgraph, const CUgraphNode*, const CUgraphEdgeData*, size_t,
                                 CUgraphNodeParams* params) {
    *node = fake::Next<CUgraphNode>();
    count = params->memory_operations.count;
    return params->memory_operations.operations[1].value.alias == 0 ? CUDA_SUCCESS : CUDA_ERROR_UNKNOWN;
  };
  Client client(device_);
  ASSERT_EQ(client.Ask(Command::kGraphCreate, wire::HandleBody{0}), CUDA_SUCCESS);
  struct {
    wire::AddNodeBody body{.type = CU_GRAPH_NODE_TYPE_BATCH_MEM_OP, .dependency_count = 0};
    wire::MemoryOpsNode node{2, 0};
    CUstreamBatchMemOpParams operations[2] = {};
  } add;
  add.body.graph = client.Reply<wire::HandleBody>().handle;
  for (auto& each : add.operations) each.value = {CU_STREAM_MEM_OP_WAIT_VALUE_64, 4096, {7}, 0, 0x1234};
  EXPECT_EQ(client.Ask(Command::kGraphAddNode, add), CUDA_SUCCESS);
  EXPECT_EQ(count, 2u);
  for (const uint32_t bad : {0u, 3u, 257u, ~0u}) {
    add.node.count = bad;
    EXPECT_EQ(client.Ask(Command::kGraphAddNode, add), CUDA_ERROR_INVALID_VALUE) << bad;
  }
}

TEST_F(ConnectionTest, EventsOfTheContextReachItsStreamsAndThoseMadeLater) {
  static std::vector<CUstream> waited;
  waited.clear();
  driver_.cuStreamWaitEvent = [](CUstream stream, CUevent, unsigned) {
    waited.push_back(stream);
    return CUDA_SUCCESS;
  };
  driver_.cuEventQuery = [](CUevent) { return CUDA_ERROR_NOT_READY; };
  Client client(device_);
  const auto stream = [](uint32_t slot) { return wire::PackHandle({wire::HandleKind::kStream, 1, slot}); };
  const uint64_t event = wire::PackHandle({wire::HandleKind::kEvent, 1, 0});
  client.Send(Command::kStreamCreate, wire::StreamCreateBody{stream(0), 0, 0});
  client.Send(Command::kEventCreate, wire::EventCreateBody{event, 0});
  EXPECT_EQ(client.Ask(Command::kContextRecordEvent, wire::HandleBody{event}), CUDA_SUCCESS);
  EXPECT_EQ(client.Ask(Command::kContextWaitEvent, wire::HandleBody{event}), CUDA_SUCCESS);
  EXPECT_EQ(waited.size(), 3u);  // one of ours, the legacy default stream, the program's
  client.Send(Command::kStreamCreate, wire::StreamCreateBody{stream(1), 0, 0});
  EXPECT_EQ(client.Ask(Command::kContextWaitEvent, wire::HandleBody{event + 1}), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(waited.size(), 4u);
}

TEST_F(ConnectionTest, ImageThatItsOwnerCanStillWriteToIsRefused) {
  Client client(device_);
  const auto fd = os::CreateSealedMemory("test", 4096).value();
  const wire::DescriptorPacket packet{9, 16};
  const int raw = fd.get();
  ASSERT_TRUE(os::SendPacket(client.socket(), std::as_bytes(std::span(&packet, 1)), std::span(&raw, 1)));
  client.Send(Command::kLoadModule, wire::LoadBody{9, 16, 0, 0, 0, 0}, 0);
  EXPECT_EQ(client.EndText(), "Image is not sealed against writing.");
}

TEST_F(ConnectionTest, DrainIsAnsweredOnceEarlierCommandsAreDone) {
  Client client(device_);
  for (int i = 0; i < 100; ++i) client.Send(Command::kCopyInline, wire::CopyBody{4096, 0, 0, 0, 0, 0});
  client.connection().RequestDrain({.tag = 5});
  while (client.connection().drained_tag() != 5) std::this_thread::yield();
  EXPECT_EQ(client.session().copies.load(), 100u);
}

// --- Who may pass the gate, and until when
// ----------------------------------------------------------------------------------------------------------

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

// --- The legacy default stream
// ------------------------------------------------------------------------------------------

std::vector<CUstream> copied_on;     // streams of copies, in order
std::vector<CUstream> made_to_wait;  // streams that were told to wait for an event

class LegacyStreamTest : public ConnectionTest {
 protected:
  LegacyStreamTest() {
    copied_on.clear();
    made_to_wait.clear();
    driver_.cuMemcpyHtoDAsync_v2 = [](CUdeviceptr, const void*, size_t, CUstream stream) {
      copied_on.push_back(stream);
      return CUDA_SUCCESS;
    };
    driver_.cuStreamWaitEvent = [](CUstream stream, CUevent, unsigned) {
      made_to_wait.push_back(stream);
      return CUDA_SUCCESS;
    };
  }

  static void Copy(Client& client, uint64_t stream) {
    EXPECT_EQ(client.Ask(Command::kCopyInline, wire::CopyBody{4096, 0, stream, 0, 0, 0}), CUDA_SUCCESS);
  }
  static void MakeStream(Client& client, uint32_t slot, uint32_t flags) {
    const uint64_t name = wire::PackHandle({wire::HandleKind::kStream, 1, slot});
    client.Send(Command::kStreamCreate, wire::StreamCreateBody{name, flags, 0});
    EXPECT_EQ(client.Ask(Command::kStreamQuery, wire::HandleBody{name}), CUDA_SUCCESS);
  }
};

TEST_F(LegacyStreamTest, IsTheContextsWhereNobodyElseUsesTheContext) {
  Client client(device_);
  Copy(client, 0);
  Copy(client, 1);
  EXPECT_THAT(copied_on, testing::ElementsAre(nullptr, nullptr));
}

TEST_F(LegacyStreamTest, IsTheConnectionsOwnInASharedContext) {
  device_.shared = true;
  Client first(device_), second(device_);
  Copy(first, 0);
  Copy(first, 1);
  Copy(second, 0);
  ASSERT_EQ(copied_on.size(), 3u);
  EXPECT_NE(copied_on[0], nullptr);
  EXPECT_EQ(copied_on[0], copied_on[1]);
  EXPECT_NE(copied_on[2], nullptr);
  EXPECT_NE(copied_on[0], copied_on[2]);
}

TEST_F(LegacyStreamTest, StaysTheConnectionsOwnBesideStreamsThatDoNotBlock) {
  device_.shared = true;
  Client client(device_);
  Copy(client, 0);
  MakeStream(client, 0, 1);
  Copy(client, 0);
  EXPECT_EQ(copied_on[0], copied_on[1]);
  EXPECT_THAT(made_to_wait, testing::IsEmpty());
}

TEST_F(LegacyStreamTest, IsTheContextsFromTheFirstBlockingStreamOnAndBehindWhatWasBefore) {
  device_.shared = true;
  Client client(device_);
  Copy(client, 0);
  MakeStream(client, 0, 0);
  Copy(client, 0);
  MakeStream(client, 1, 0);
  Copy(client, 1);
  ASSERT_EQ(copied_on.size(), 3u);
  EXPECT_NE(copied_on[0], nullptr);
  EXPECT_EQ(copied_on[1], nullptr);
  EXPECT_EQ(copied_on[2], nullptr);
  EXPECT_THAT(made_to_wait, testing::ElementsAre(nullptr));
}

// --- Waiting
// ----------------------------------------------------------------------------------------------------------

std::atomic<bool> stream_is_busy;
std::atomic<int> streams_destroyed;

// Work in every stream but the legacy one goes on until the test ends it; a driver call that waits for it fails.
class BusyStreamTest : public ConnectionTest {
 protected:
  BusyStreamTest() {
    stream_is_busy = true;
    streams_destroyed = 0;
    driver_.cuStreamQuery = [](CUstream stream) {
      return stream != nullptr && stream_is_busy ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS;
    };
    driver_.cuEventQuery = [](CUevent) { return stream_is_busy ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS; };
    driver_.cuStreamSynchronize = [](CUstream stream) {
      EXPECT_FALSE(stream != nullptr && stream_is_busy) << "The dispatcher waits for a stream.";
      return CUDA_SUCCESS;
    };
    driver_.cuStreamDestroy_v2 = [](CUstream) {
      ++streams_destroyed;
      return CUDA_SUCCESS;
    };
  }
  ~BusyStreamTest() override { stream_is_busy = false; }

  // A stream with work in it.
  static uint64_t BusyStream(Client& client) {
    const uint64_t name = wire::PackHandle({wire::HandleKind::kStream, 1, 0});
    client.Send(Command::kStreamCreate, wire::StreamCreateBody{name, 0, 0});
    client.Send(Command::kCopyInline, wire::CopyBody{4096, 0, name, 0, 0, 0});
    return name;
  }
};

TEST_F(BusyStreamTest, FenceDoesNotHoldUpOtherCommands) {
  Client client(device_);
  BusyStream(client);
  client.header().replies[1].Arm();
  client.Send(Command::kFence, wire::FenceBody{1, 0}, 1);
  client.Send(Command::kFence, wire::FenceBody{2, 0});
  const wire::ExtentBody extent{client.welcome().window_base, 1 << 20};
  EXPECT_EQ(client.Ask(Command::kMapExtent, extent), CUDA_SUCCESS);
  EXPECT_EQ(client.Ask(Command::kUnmapExtent, extent), CUDA_SUCCESS);
  EXPECT_FALSE(client.header().replies[1].Done());
  EXPECT_EQ(client.header().fence_passed.load(), 0u);
  EXPECT_EQ(client.Ask(Command::kFence, wire::FenceBody{3, 1}), CUDA_ERROR_NOT_READY);
  stream_is_busy = false;
  EXPECT_EQ(client.Await(1), CUDA_SUCCESS);
  while (client.header().fence_passed.load() != 2) std::this_thread::yield();
}

TEST_F(BusyStreamTest, AConnectionStaysBusyWhileAStreamIs) {
  Client client(device_);
  BusyStream(client);
  EXPECT_EQ(client.Ask(Command::kFence, wire::FenceBody{0, 1}), CUDA_ERROR_NOT_READY);
  EXPECT_EQ(client.session().gate.in_flight().load(), wire::kOneBusy);
  stream_is_busy = false;
  EXPECT_EQ(client.Ask(Command::kFence, wire::FenceBody{0, 1}), CUDA_SUCCESS);
  EXPECT_EQ(client.session().gate.in_flight().load(), 0u);
}

TEST_F(BusyStreamTest, FenceIsOverAtOnceWhereNothingRuns) {
  stream_is_busy = false;
  Client client(device_);
  BusyStream(client);
  EXPECT_EQ(client.Ask(Command::kFence, wire::FenceBody{1, 0}), CUDA_SUCCESS);
  EXPECT_EQ(client.Ask(Command::kFence, wire::FenceBody{2, 1}), CUDA_SUCCESS);
}

TEST_F(BusyStreamTest, MoreFencesThanAllowedAreMisuse) {
  driver_.cuStreamSynchronize = FakeDriver().cuStreamSynchronize;  // the end waits
  Client client(device_);
  BusyStream(client);
  for (uint32_t i = 0; i <= wire::kMaxFences; ++i) client.Send(Command::kFence, wire::FenceBody{i, 0});
  EXPECT_THAT(client.EndText(), HasSubstr("fences are pending"));
  stream_is_busy = false;
}

TEST_F(BusyStreamTest, WaitsThatNoClientCouldHaveAreMisuse) {
  driver_.cuStreamSynchronize = FakeDriver().cuStreamSynchronize;  // the end waits
  Client client(device_);
  const uint64_t stream = BusyStream(client);
  for (int i = 0; i < 3000 && client.Send(Command::kStreamSynchronize, wire::HandleBody{stream}, 0); ++i) {
  }
  EXPECT_THAT(client.EndText(), HasSubstr("waits are pending"));
  stream_is_busy = false;
}

TEST_F(BusyStreamTest, CaptureBeginsAndPinnedMemoryGoesWithoutHoldingUpOthers) {
  Client client(device_);
  const uint64_t stream = BusyStream(client);
  const auto fd = os::CreateSealedMemory("test", 4096).value();
  const wire::DescriptorPacket packet{7, 4096};
  const int raw = fd.get();
  ASSERT_TRUE(os::SendPacket(client.socket(), std::as_bytes(std::span(&packet, 1)), std::span(&raw, 1)));
  const uint64_t host = client.welcome().host_window_base;
  EXPECT_EQ(client.Ask(Command::kPinHost, wire::PinHostBody{7, host, 4096, 0}), CUDA_SUCCESS);
  client.header().replies[1].Arm();
  client.Send(Command::kUnpinHost, wire::UnpinHostBody{host}, 1);
  EXPECT_EQ(client.Ask(Command::kCaptureBegin, wire::CaptureBeginBody{stream, 0, 0, 0}), CUDA_SUCCESS);
  EXPECT_FALSE(client.header().replies[1].Done());
  EXPECT_EQ(client.session().pinned_bytes.load(), 4096u);
  stream_is_busy = false;
  EXPECT_EQ(client.Await(1), CUDA_SUCCESS);
  EXPECT_EQ(client.session().pinned_bytes.load(), 0u);
}

TEST_F(BusyStreamTest, DestroyedStreamLivesUntilItsWorkIsOverAndHoldsUpNobody) {
  Client client(device_);
  const uint64_t stream = BusyStream(client);
  client.Send(Command::kStreamDestroy, wire::HandleBody{stream});
  EXPECT_EQ(client.Ask(Command::kStreamQuery, wire::HandleBody{stream}), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(streams_destroyed.load(), 0);
  client.header().replies[1].Arm();
  client.Send(Command::kContextSynchronize, wire::HandleBody{0}, 1);
  EXPECT_EQ(client.Ask(Command::kEventQuery, wire::HandleBody{1}), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_FALSE(client.header().replies[1].Done()) << "The context still has its work.";
  stream_is_busy = false;
  EXPECT_EQ(client.Await(1), CUDA_SUCCESS);
  while (streams_destroyed.load() != 1) std::this_thread::yield();
}

// --- Memory that the program maps itself
// ----------------------------------------------------------------------------------------------------------

TEST_F(ConnectionTest, MemoryIsChargedUntilItsHandleAndMappingsAreGone) {
  Client client(device_);
  constexpr uint64_t kBytes = 1 << 20;
  const uint64_t base = client.welcome().window_base;
  const uint64_t memory = client.Named(Command::kMemCreate, wire::MemCreateBody{kBytes});
  EXPECT_EQ(client.session().mapped_bytes.load(), kBytes);
  EXPECT_EQ(client.Ask(Command::kMemMap, wire::MemMapBody{base, kBytes, 0, memory}), CUDA_SUCCESS);
  EXPECT_EQ(client.Ask(Command::kMemMap, wire::MemMapBody{base + kBytes, kBytes / 2, kBytes / 2, memory}),
            CUDA_SUCCESS);
  EXPECT_EQ(client.Ask(Command::kMemSetAccess, wire::MemAccessBody{base, kBytes * 3 / 2, 3, 0}), CUDA_SUCCESS);
  EXPECT_EQ(client.Ask(Command::kMemRelease, wire::HandleBody{memory}), CUDA_SUCCESS);
  EXPECT_EQ(client.Ask(Command::kMemRelease, wire::HandleBody{memory}), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(client.Ask(Command::kMemUnmap, wire::ExtentBody{base, kBytes}), CUDA_SUCCESS);
  EXPECT_EQ(client.session().mapped_bytes.load(), kBytes);
  EXPECT_EQ(client.Ask(Command::kMemUnmap, wire::ExtentBody{base + kBytes, kBytes / 2}), CUDA_SUCCESS);
  EXPECT_EQ(client.session().mapped_bytes.load(), 0u);
}

TEST_F(ConnectionTest, MemoryOfAConnectionThatEndsIsTheSessionsAgain) {
  Client client(device_);
  const uint64_t memory = client.Named(Command::kMemCreate, wire::MemCreateBody{1 << 20});
  client.Named(Command::kMemCreate, wire::MemCreateBody{1 << 20});
  client.Ask(Command::kMemMap, wire::MemMapBody{client.welcome().window_base, 4096, 0, memory});
  client.connection().Stop();
  client.WaitForEnd();
  EXPECT_EQ(client.session().mapped_bytes.load(), 0u);
}

TEST_F(ConnectionTest, MemoryBeyondTheBudgetOrOfOddSizeIsRefused) {
  Client client(device_);
  EXPECT_EQ(client.Ask(Command::kMemCreate, wire::MemCreateBody{kBudget + 4096}), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(client.Ask(Command::kMemCreate, wire::MemCreateBody{~uint64_t{4095}}), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(client.Ask(Command::kMemCreate, wire::MemCreateBody{100}), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(client.Ask(Command::kMemCreate, wire::MemCreateBody{0}), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(client.session().mapped_bytes.load(), 0u);
}

TEST_F(ConnectionTest, MappingsOutsideTheWindowTheMemoryOrOverOthersAreRefused) {
  Client client(device_);
  const uint64_t base = client.welcome().window_base, end = base + client.welcome().window_bytes;
  const uint64_t memory = client.Named(Command::kMemCreate, wire::MemCreateBody{64 << 10});
  ASSERT_EQ(client.Ask(Command::kMapExtent, wire::ExtentBody{base + 8192, 4096}), CUDA_SUCCESS);
  const wire::MemMapBody bad[] = {
      {base - 4096, 4096, 0, memory},
      {end, 4096, 0, memory},
      {end - 4096, 8192, 0, memory},
      {base, 100, 0, memory},
      {base + 1, 4096, 0, memory},
      {base, 0, 0, memory},
      {base, 128 << 10, 0, memory},
      {base, 4096, 64 << 10, memory},
      {base, 4096, ~uint64_t{4095}, memory},
      {base, 8192, 60 << 10, memory},
      {base, 4096, 7, memory},
      {base, ~uint64_t{4095}, 0, memory},
      {base + 4096, 8192, 0, memory},
      {base + 8192, 4096, 0, memory},
      {base, 4096, 0, memory + 1},
      {base, 4096, 0, wire::PackHandle({wire::HandleKind::kStream, 1, 0})},
      {base, 4096, 0, 0},
  };
  for (const wire::MemMapBody& map : bad)
    EXPECT_EQ(client.Ask(Command::kMemMap, map), CUDA_ERROR_INVALID_VALUE)
        << map.address << " " << map.bytes << " " << map.offset << " " << map.handle;
}

TEST_F(ConnectionTest, PartsOfMappingsAndGapsAreNeitherUnmappedNorMadeAccessible) {
  Client client(device_);
  const uint64_t base = client.welcome().window_base;
  const uint64_t memory = client.Named(Command::kMemCreate, wire::MemCreateBody{64 << 10});
  ASSERT_EQ(client.Ask(Command::kMemMap, wire::MemMapBody{base, 8192, 0, memory}), CUDA_SUCCESS);
  ASSERT_EQ(client.Ask(Command::kMemMap, wire::MemMapBody{base + 12288, 4096, 0, memory}), CUDA_SUCCESS);
  for (const wire::ExtentBody& bad :
       {wire::ExtentBody{base, 4096}, wire::ExtentBody{base + 4096, 4096}, wire::ExtentBody{base, 16384},
        wire::ExtentBody{base + 8192, 4096}, wire::ExtentBody{base, 0}, wire::ExtentBody{base, ~uint64_t{0}}}) {
    EXPECT_EQ(client.Ask(Command::kMemUnmap, bad), CUDA_ERROR_INVALID_VALUE);
    EXPECT_EQ(client.Ask(Command::kMemSetAccess, wire::MemAccessBody{bad.address, bad.bytes, 3, 0}),
              CUDA_ERROR_INVALID_VALUE);
  }
  EXPECT_EQ(client.Ask(Command::kMemUnmap, wire::ExtentBody{base, 8192}), CUDA_SUCCESS);
}

TEST_F(ConnectionTest, MemoryThatIsNoGraphsIsNotFreed) {
  driver_.cuMemFreeAsync = [](CUdeviceptr, CUstream) {
    ADD_FAILURE() << "The driver is asked to free it.";
    return CUDA_SUCCESS;
  };
  Client client(device_);
  EXPECT_EQ(client.Ask(Command::kGraphFree, wire::GraphFreeBody{0x7000000000, 0}), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(client.Ask(Command::kGraphFree, wire::GraphFreeBody{client.welcome().window_base, 0}),
            CUDA_ERROR_INVALID_VALUE);
}

// --- Garbage
// ----------------------------------------------------------------------------------------------------------

TEST_F(ConnectionTest, EveryOpcodeSurvivesEveryTruncation) {
  std::vector<uint16_t> opcodes;
  for (uint16_t i = 1; i <= kLastCommand; ++i) opcodes.push_back(i);
  for (uint16_t i = 0; i < wire::api::kOpcodeCount; ++i) opcodes.push_back(wire::kFirstGeneratedOpcode + i);
  for (const uint16_t opcode : opcodes)
    for (const uint16_t slot : {uint16_t{0}, wire::kNoReply}) {
      for (size_t bytes = 0; bytes <= 128; bytes += 8) {
        Client client(device_);
        client.Send(opcode, std::vector<std::byte>(bytes), slot);
        client.connection().Stop();
        client.WaitForEnd();
      }
    }
}

TEST_F(ConnectionTest, RandomCommandsNeverCrashTheServer) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 300; ++round) {
    Client client(device_);
    for (int i = 0; i < 200 && !client.connection().ended(); ++i) {
      std::vector<uint64_t> body(random() % 24);
      for (uint64_t& word : body) {
        constexpr uint64_t kKinds[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0a};
        switch (random() % 4) {
          case 0:
            word = random();
            break;
          case 1:
            word = random() % 64;
            break;
          case 2:
            word = client.welcome().window_base + random() % 64 * 4096;
            break;
          default:
            word = kKinds[random() % 7] << 56 | (random() % 3) << 32 | random() % 4;
        }
      }
      const uint16_t opcode =
          random() % 2 ? 1 + random() % kLastCommand : wire::kFirstGeneratedOpcode + random() % wire::api::kOpcodeCount;
      const uint16_t slot = random() % 3 ? random() % wire::kSlots : wire::kNoReply;
      if (!client.Send(opcode, std::as_bytes(std::span(body)), slot)) break;
    }
    client.connection().Stop();
    client.WaitForEnd();
  }
}

TEST_F(ConnectionTest, RandomRingContentsNeverCrashTheServer) {
  std::mt19937_64 random(4);
  for (int round = 0; round < 300; ++round) {
    Client client(device_);
    for (size_t i = 0; i < 65536; i += 8) {
      const uint64_t word = round % 2 ? random() : random() & 0x0000ffff003f00f8ull;
      std::memcpy(client.ring() + i, &word, sizeof word);
    }
    client.header().ring.tail.store(round % 3 ? random() % 65536 / 8 * 8 : random());
    client.connection().Stop();
    client.WaitForEnd();
  }
}

}  // namespace
}  // namespace mignificient::server
