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

TEST_F(ConnectionTest, ALibrarysImageStaysMappedUntilItIsUnloaded) {
  static const void* image;
  static bool preserved, intact;
  driver_.cuLibraryLoadData = [](CUlibrary* library, const void* code, int*, void**, unsigned, int* options, void**,
                                 unsigned count) {
    image = code;
    preserved = count == 1 && options[0] == CU_LIBRARY_BINARY_IS_PRESERVED;
    *library = fake::Next<CUlibrary>();
    return CUDA_SUCCESS;
  };
  driver_.cuLibraryUnload = [](CUlibrary) {
    intact = std::strncmp(static_cast<const char*>(image), ".version", 8) == 0;  // read, not remembered
    return CUDA_SUCCESS;
  };
  constexpr char kPtx[] = ".version 8.0\n.target sm_90\n.address_size 64\n";
  const int fd = ::memfd_create("image", MFD_ALLOW_SEALING);
  ASSERT_EQ(::write(fd, kPtx, sizeof kPtx), static_cast<ssize_t>(sizeof kPtx));
  ASSERT_EQ(::fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL), 0);
  for (const bool unload : {true, false}) {
    Client client(device_);
    const wire::DescriptorPacket packet{1, sizeof kPtx};
    ASSERT_TRUE(os::SendPacket(client.socket(), std::as_bytes(std::span(&packet, 1)), std::span(&fd, 1)));
    preserved = intact = false;
    const uint64_t library = wire::PackHandle({wire::HandleKind::kLibrary, 1, 0});
    EXPECT_EQ(client.Ask(Command::kLoadLibrary, wire::LoadBody{1, sizeof kPtx, 0, 0, 0, 0, library}), CUDA_SUCCESS);
    EXPECT_TRUE(preserved);
    EXPECT_FALSE(intact);
    if (unload) {
      client.Send(Command::kUnloadLibrary, wire::HandleBody{library});
      client.Ask(Command::kStreamSynchronize, wire::HandleBody{0});
    } else {
      client.connection().Stop();
      client.WaitForEnd();
    }
    EXPECT_TRUE(intact);
  }
  ::close(fd);
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
