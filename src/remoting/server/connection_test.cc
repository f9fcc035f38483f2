#include "remoting/server/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "remoting/server/connection_fixture.h"

#include "gen/commands.h"

namespace mignificient::server {
namespace {

using testing::HasSubstr;

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
  EXPECT_FALSE(client.header().replies[0].Wait(1'000'000)) << "it would cost the owner a change of contexts";
  client.session().gate.Set(wire::GateState::kFull);
  while (!client.header().replies[0].Wait(1'000'000'000)) {
  }
  EXPECT_EQ(client.session().copies.load(), 1u);
}

TEST_F(ConnectionTest, GateForCopiesLetsLargeOnesPass) {
  Client client(device_, wire::GateState::kMemcpy);
  client.header().chunks[0].Arm();
  client.Send(Command::kCopyToChunk, wire::CopyBody{4096, kSmallCopyBytes, 0, 0, 0, 0});
  while (!client.header().chunks[0].Wait(1'000'000'000)) {
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
  const wire::CopyBody copy{4096, 64, 0, FreeAddress(), 0, 0};
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

TEST_F(ConnectionTest, MemoryIsNotPinnedWhereNullPointersLeadNorWhereTheServerHasSomethingElse) {
  Client client(device_);
  std::vector<std::byte> ours(1 << 20);
  const uint64_t taken = (reinterpret_cast<uint64_t>(ours.data()) + 4095) / 4096 * 4096;
  const auto fd = os::CreateSealedMemory("test", 8192).value();
  const int raw = fd.get();
  for (const uint64_t address : {taken, ~uint64_t{4095}, uint64_t{0}, uint64_t{4096}}) {
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
  static fake::Seen<CUstreamBatchMemOpParams> seen;
  seen.Clear();
  driver_.cuStreamBatchMemOp_v2 = [](CUstream, unsigned count, CUstreamBatchMemOpParams* operations, unsigned) {
    for (const auto& each : std::span(operations, count)) seen.Add(each);
    return CUDA_SUCCESS;
  };
  Client client(device_);
  MemoryOps ops{.body = {0, 2, 0}};
  for (auto& each : ops.operations) each.value = {CU_STREAM_MEM_OP_WRITE_VALUE_32, 4096, {7}, 0, 0x1234};
  EXPECT_EQ(client.Ask(Command::kStreamMemoryOps, ops), CUDA_SUCCESS);
  const std::vector<CUstreamBatchMemOpParams> operations = seen.All();
  ASSERT_EQ(operations.size(), 2u);
  EXPECT_EQ(operations[1].value.address, 4096u);
  EXPECT_EQ(operations[1].value.value, 7u);
  EXPECT_EQ(operations[1].value.alias, 0u);
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
  static fake::Seen<CUlaunchAttribute> seen;
  driver_.cuLaunchKernelEx = [](const CUlaunchConfig* config, CUfunction, void**, void**) {
    seen.Add(config->attributes[0]);
    return CUDA_SUCCESS;
  };
  static std::atomic<CUevent> made;
  driver_.cuEventCreate = [](CUevent* event, unsigned) {
    made = *event = fake::Next<CUevent>();
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
    seen.Clear();
    EXPECT_EQ(client.Ask(Command::kLaunch, launch), CUDA_SUCCESS);
    const std::vector<CUlaunchAttribute> attributes = seen.All();
    ASSERT_EQ(attributes.size(), 1u);
    const CUevent named = made;
    EXPECT_EQ(std::memcmp(attributes[0].value, &named, sizeof named), 0) << id;
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
  static std::atomic<unsigned> count;
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
  static fake::Seen<CUstream> waited;
  waited.Clear();
  driver_.cuStreamWaitEvent = [](CUstream stream, CUevent, unsigned) {
    waited.Add(stream);
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
  EXPECT_EQ(waited.All().size(), 3u);  // one of ours, the legacy default stream, the program's
  client.Send(Command::kStreamCreate, wire::StreamCreateBody{stream(1), 0, 0});
  EXPECT_EQ(client.Ask(Command::kContextWaitEvent, wire::HandleBody{event + 1}), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(waited.All().size(), 4u);
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

}  // namespace
}  // namespace mignificient::server
