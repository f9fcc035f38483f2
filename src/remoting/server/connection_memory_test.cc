// Memory that the program maps itself, and what only looks like it.
#include <gtest/gtest.h>

#include "remoting/server/connection_fixture.h"

namespace mignificient::server {
namespace {

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

}  // namespace
}  // namespace mignificient::server
