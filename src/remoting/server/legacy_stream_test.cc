// Whose legacy default stream a connection's commands go to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "remoting/server/connection_fixture.h"

namespace mignificient::server {
namespace {

fake::Seen<CUstream> copied_on;     // streams of copies, in order
fake::Seen<CUstream> made_to_wait;  // streams that were told to wait for an event

class LegacyStreamTest : public ConnectionTest {
 protected:
  LegacyStreamTest() {
    copied_on.Clear();
    made_to_wait.Clear();
    driver_.cuMemcpyHtoDAsync_v2 = [](CUdeviceptr, const void*, size_t, CUstream stream) {
      copied_on.Add(stream);
      return CUDA_SUCCESS;
    };
    driver_.cuStreamWaitEvent = [](CUstream stream, CUevent, unsigned) {
      made_to_wait.Add(stream);
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
  EXPECT_THAT(copied_on.All(), testing::ElementsAre(nullptr, nullptr));
}

TEST_F(LegacyStreamTest, IsTheConnectionsOwnInASharedContext) {
  device_.shared = true;
  Client first(device_), second(device_);
  Copy(first, 0);
  Copy(first, 1);
  Copy(second, 0);
  const std::vector<CUstream> streams = copied_on.All();
  ASSERT_EQ(streams.size(), 3u);
  EXPECT_NE(streams[0], nullptr);
  EXPECT_EQ(streams[0], streams[1]);
  EXPECT_NE(streams[2], nullptr);
  EXPECT_NE(streams[0], streams[2]);
}

TEST_F(LegacyStreamTest, StaysTheConnectionsOwnBesideStreamsThatDoNotBlock) {
  device_.shared = true;
  Client client(device_);
  Copy(client, 0);
  MakeStream(client, 0, 1);
  Copy(client, 0);
  const std::vector<CUstream> streams = copied_on.All();
  ASSERT_EQ(streams.size(), 2u);
  EXPECT_EQ(streams[0], streams[1]);
  EXPECT_THAT(made_to_wait.All(), testing::IsEmpty());
}

TEST_F(LegacyStreamTest, IsTheContextsFromTheFirstBlockingStreamOnAndBehindWhatWasBefore) {
  device_.shared = true;
  Client client(device_);
  Copy(client, 0);
  MakeStream(client, 0, 0);
  Copy(client, 0);
  MakeStream(client, 1, 0);
  Copy(client, 1);
  const std::vector<CUstream> streams = copied_on.All();
  ASSERT_EQ(streams.size(), 3u);
  EXPECT_NE(streams[0], nullptr);
  EXPECT_EQ(streams[1], nullptr);
  EXPECT_EQ(streams[2], nullptr);
  EXPECT_THAT(made_to_wait.All(), testing::ElementsAre(nullptr));
}

}  // namespace
}  // namespace mignificient::server
