// What waits for work, and what must not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "remoting/server/connection_fixture.h"

namespace mignificient::server {
namespace {

using testing::HasSubstr;

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
  const uint64_t host = FreeAddress();
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

// --- Marks ----------------------------------------------------------------------------------------------------------

std::atomic<bool> may_issue;
std::atomic<CUresult> query_says;
std::atomic<int> queries_of_streams;
fake::Seen<CUstreamBatchMemOpParams> marks_set;

// A copy is issued once the test lets it, so that what comes behind it is there when it has been. The driver never says
// by itself that a stream is idle.
class MarkTest : public BusyStreamTest {
 protected:
  MarkTest() {
    may_issue = true;
    query_says = CUDA_ERROR_NOT_READY;
    queries_of_streams = 0;
    marks_set.Clear();
    device_.marks = std::make_shared<StreamMarks>(driver_);
    driver_.cuStreamSynchronize = FakeDriver().cuStreamSynchronize;
    driver_.cuMemcpyHtoDAsync_v2 = [](CUdeviceptr, const void*, size_t, CUstream) {
      may_issue.wait(false);
      return CUDA_SUCCESS;
    };
    driver_.cuStreamQuery = [](CUstream) {
      ++queries_of_streams;
      return query_says.load();
    };
    driver_.cuStreamBatchMemOp_v2 = [](CUstream, unsigned, CUstreamBatchMemOpParams* operations, unsigned) {
      marks_set.Add(*operations);
      return CUDA_SUCCESS;
    };
  }

  static wire::CopyBody CopyTo(uint64_t stream) { return {4096, 0, stream, 0, 0, 0}; }
  // A copy, and right behind it a wait for the stream `waited` in slot 1.
  static void CopyAndWait(Client& client, uint64_t stream, uint64_t waited) {
    AfterCopy(client, stream, [&] { client.Send(Command::kStreamSynchronize, wire::HandleBody{waited}, 1); });
  }
  template <typename Send>
  static void AfterCopy(Client& client, uint64_t stream, const Send& send) {
    may_issue = false;
    client.header().replies[1].Arm();
    client.Send(Command::kCopyInline, CopyTo(stream));
    send();
    may_issue = true;
    may_issue.notify_all();
  }
  static void AwaitMark() {
    while (marks_set.All().empty()) std::this_thread::yield();
  }
  static void CarryMark() {
    AwaitMark();
    const auto write = marks_set.All().back().value;
    reinterpret_cast<std::atomic<uint32_t>*>(write.address)->store(write.value);
  }
};

TEST_F(MarkTest, AWaitEndsWithTheMarkWithoutTheDriver) {
  Client client(device_);
  const uint64_t stream = BusyStream(client);
  CopyAndWait(client, stream, stream);
  CarryMark();
  EXPECT_EQ(client.Await(1), CUDA_SUCCESS);
  // The driver says still that the stream is busy; but nothing has come behind the mark.
  EXPECT_EQ(client.Ask(Command::kFence, wire::FenceBody{0, 1}), CUDA_SUCCESS);
  client.Send(Command::kCopyInline, CopyTo(stream));
  EXPECT_EQ(client.Ask(Command::kFence, wire::FenceBody{0, 1}), CUDA_ERROR_NOT_READY);
}

TEST_F(MarkTest, AnErrorThatKeepsTheMarkAwayEndsTheWait) {
  Client client(device_);
  const uint64_t stream = BusyStream(client);
  CopyAndWait(client, stream, stream);
  AwaitMark();
  query_says = CUDA_ERROR_ILLEGAL_ADDRESS;
  EXPECT_EQ(client.Await(1), CUDA_ERROR_ILLEGAL_ADDRESS);
}

TEST_F(MarkTest, SoDoesTheWaitForAnEventThatHasJustBeenRecorded) {
  Client client(device_);
  const uint64_t stream = BusyStream(client);
  const uint64_t event = wire::PackHandle({wire::HandleKind::kEvent, 1, 0});
  client.Send(Command::kEventCreate, wire::EventCreateBody{event, 0});
  AfterCopy(client, stream, [&] {
    client.Send(Command::kEventRecord, wire::EventRecordBody{event, stream, 0});
    client.Send(Command::kEventSynchronize, wire::HandleBody{event}, 1);
  });
  CarryMark();
  EXPECT_EQ(client.Await(1), CUDA_SUCCESS);
}

TEST_F(MarkTest, AnEventIsNotTakenForOneThatCouldNotBeRecorded) {
  driver_.cuEventRecord = [](CUevent, CUstream stream) {
    return stream == nullptr ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
  };
  Client client(device_);
  const uint64_t stream = BusyStream(client);
  const uint64_t event = wire::PackHandle({wire::HandleKind::kEvent, 1, 0});
  client.Send(Command::kEventCreate, wire::EventCreateBody{event, 0});
  client.Send(Command::kEventRecord, wire::EventRecordBody{event, 0, 0});  // in a stream where it stays
  AfterCopy(client, stream, [&] {
    client.Send(Command::kEventRecord, wire::EventRecordBody{event, stream, 0});
    client.Send(Command::kEventSynchronize, wire::HandleBody{event}, 1);
  });
  EXPECT_EQ(client.Ask(Command::kStreamQuery, wire::HandleBody{stream}), CUDA_ERROR_NOT_READY);
  EXPECT_TRUE(marks_set.All().empty());
  stream_is_busy = false;
  EXPECT_EQ(client.Await(1), CUDA_SUCCESS);
}

TEST_F(MarkTest, OlderWorkIsAskedFor) {
  Client client(device_);
  const uint64_t older = BusyStream(client);
  const uint64_t newer = wire::PackHandle({wire::HandleKind::kStream, 1, 1});
  client.Send(Command::kStreamCreate, wire::StreamCreateBody{newer, 0, 0});
  client.Send(Command::kCopyInline, CopyTo(older));
  CopyAndWait(client, newer, older);
  query_says = CUDA_SUCCESS;
  EXPECT_EQ(client.Await(1), CUDA_SUCCESS);
  EXPECT_TRUE(marks_set.All().empty());
}

TEST_F(MarkTest, MemoryThatNobodyWaitsForGetsNoMark) {
  Client client(device_);
  const uint64_t stream = BusyStream(client);
  client.header().chunks[0].Arm();
  client.Send(Command::kCopyFromChunk, wire::CopyBody{4096, 64, stream, 0, 0, 0});
  EXPECT_EQ(client.Ask(Command::kFence, wire::FenceBody{0, 1}), CUDA_ERROR_NOT_READY);
  EXPECT_TRUE(marks_set.All().empty());
  query_says = CUDA_SUCCESS;
  while (!client.header().chunks[0].Wait(1'000'000'000)) {
  }
}

// A question would end the capture.
TEST_F(MarkTest, AStreamThatCapturesAndGoesIsNotAskedAfter) {
  driver_.cuStreamIsCapturing = [](CUstream, int* status) {
    *status = CU_STREAM_CAPTURE_STATUS_NONE + 1;
    return CUDA_SUCCESS;
  };
  Client client(device_);
  const uint64_t stream = BusyStream(client);
  CopyAndWait(client, stream, stream);
  AwaitMark();
  EXPECT_EQ(client.Ask(Command::kCaptureBegin, wire::CaptureBeginBody{stream, 0, 0, 0}), CUDA_SUCCESS);
  const int asked = queries_of_streams;
  client.Send(Command::kStreamDestroy, wire::HandleBody{stream});
  EXPECT_EQ(client.Ask(Command::kStreamQuery, wire::HandleBody{stream}), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(streams_destroyed.load(), 1);
  // It looks again and again, and would ask the driver at each of these: before it sleeps, and whenever it has slept.
  for (int i = 0; i < 1000; ++i)
    EXPECT_EQ(client.Ask(Command::kEventQuery, wire::HandleBody{1}), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(queries_of_streams.load(), asked);
  EXPECT_FALSE(client.header().replies[1].Done());
  CarryMark();
  EXPECT_EQ(client.Await(1), CUDA_SUCCESS);
}

}  // namespace
}  // namespace mignificient::server
