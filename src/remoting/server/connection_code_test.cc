// Libraries and kernels, which the client names.
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>

#include "remoting/server/connection_fixture.h"

namespace mignificient::server {
namespace {

constexpr char kPtx[] = ".version 8.0\n.target sm_90\n.address_size 64\n";
constexpr uint64_t kTag = 1;
const uint64_t kLibrary = wire::PackHandle({wire::HandleKind::kLibrary, 1, 0});
const uint64_t kKernel = wire::PackHandle({wire::HandleKind::kKernel, 1, 7});
const wire::LoadBody kLoad{kTag, sizeof kPtx, 0, 0, 0, 0, kLibrary};

void SendImage(Client& client) {
  const os::UniqueFd fd(::memfd_create("image", MFD_ALLOW_SEALING | MFD_CLOEXEC));
  ASSERT_EQ(::write(fd.get(), kPtx, sizeof kPtx), static_cast<ssize_t>(sizeof kPtx));
  ASSERT_EQ(::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL), 0);
  const wire::DescriptorPacket packet{kTag, sizeof kPtx};
  const int number = fd.get();
  ASSERT_TRUE(os::SendPacket(client.socket(), std::as_bytes(std::span(&packet, 1)), std::span(&number, 1)));
}

struct Name {
  wire::NameBody body{kLibrary, 1, kKernel};
  char name[8] = "f";
};

TEST_F(ConnectionTest, ALibrarysImageStaysMappedUntilItIsUnloaded) {
  static std::atomic<const void*> image;  // atomic: see fake::Seen
  static std::atomic<bool> preserved, intact;
  driver_.cuLibraryLoadData = [](CUlibrary* library, const void* code, int*, void**, unsigned, int* options, void**,
                                 unsigned count) {
    image = code;
    preserved = count == 1 && options[0] == CU_LIBRARY_BINARY_IS_PRESERVED;
    *library = fake::Next<CUlibrary>();
    return CUDA_SUCCESS;
  };
  driver_.cuLibraryUnload = [](CUlibrary) {
    intact = std::strncmp(static_cast<const char*>(image.load()), ".version", 8) == 0;  // read, not remembered
    return CUDA_SUCCESS;
  };
  for (const bool unload : {true, false}) {
    Client client(device_);
    preserved = false, intact = false;
    SendImage(client);
    EXPECT_EQ(client.Ask(Command::kLoadLibrary, kLoad), CUDA_SUCCESS);
    EXPECT_TRUE(preserved);
    EXPECT_FALSE(intact);
    if (unload) {
      client.Send(Command::kUnloadLibrary, wire::HandleBody{kLibrary});
      client.Ask(Command::kStreamSynchronize, wire::HandleBody{0});
    } else {
      client.connection().Stop();
      client.WaitForEnd();
    }
    EXPECT_TRUE(intact);
  }
}

TEST_F(ConnectionTest, ALibraryAndItsKernelMayBeAskedForWithoutWaiting) {
  static std::atomic<int> described;
  described = 0;
  driver_.cuKernelGetAttribute = [](int* value, int, CUkernel, CUdevice) {
    ++described;
    *value = 256;
    return CUDA_SUCCESS;
  };
  Client client(device_);
  SendImage(client);
  client.Send(Command::kLoadLibrary, kLoad);
  client.Send(Command::kGetKernel, Name{});
  EXPECT_EQ(client.Ask(Command::kStreamSynchronize, wire::HandleBody{0}), CUDA_SUCCESS);
  EXPECT_EQ(described, 0) << "nobody has asked";
  EXPECT_EQ(client.header().deferred_error.load(), 0u);
  EXPECT_EQ(client.Ask(Command::kDescribe, wire::HandleBody{kKernel}), CUDA_SUCCESS);
  EXPECT_EQ(client.Reply<wire::FunctionReply>().max_threads, 256u);
  EXPECT_EQ(client.Reply<wire::FunctionReply>().param_count, 1u);
}

TEST_F(ConnectionTest, AnErrorThatNobodyWaitsForIsDeferred) {
  driver_.cuLibraryLoadData = [](CUlibrary*, const void*, int*, void**, unsigned, int*, void**, unsigned) {
    return CUDA_ERROR_NO_BINARY_FOR_GPU;
  };
  Client client(device_);
  SendImage(client);
  client.Send(Command::kLoadLibrary, kLoad);
  client.Send(Command::kGetKernel, Name{});
  EXPECT_EQ(client.Ask(Command::kDescribe, wire::HandleBody{kKernel}), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(client.header().deferred_error.load(), static_cast<uint32_t>(CUDA_ERROR_NO_BINARY_FOR_GPU));
}

TEST_F(ConnectionTest, WhatAKernelTakesIsKnownBeforeItIsLaunchedWhoeverAsks) {
  Client client(device_);
  SendImage(client);
  client.Send(Command::kLoadLibrary, kLoad);
  client.Send(Command::kGetKernel, Name{});
  // The driver would read a parameter where there is none.
  client.Send(Command::kLaunch, wire::LaunchBody{.function = kKernel, .grid = {1, 1, 1}, .block = {1, 1, 1}});
  EXPECT_EQ(client.EndText(), "Launch carries 0 parameter bytes (expected 8).");
}

TEST_F(ConnectionTest, NamesThatAreNoneOrInUseAreMisuse) {
  for (const uint64_t name : {uint64_t{0}, kKernel, ~uint64_t{0}}) {
    Client client(device_);
    SendImage(client);
    wire::LoadBody load = kLoad;
    load.library = name;
    client.Send(Command::kLoadLibrary, load);
    EXPECT_EQ(client.EndText(), "Library is loaded under a name that is none, or in use.");
  }
  for (const uint64_t name : {uint64_t{0}, kLibrary, ~uint64_t{0}}) {
    Client client(device_);
    Name get;
    get.body.function = name;
    client.Send(Command::kGetKernel, get);
    EXPECT_EQ(client.EndText(), "Kernel is given a name that is none, or in use.");
  }
  Client client(device_);
  SendImage(client);
  client.Send(Command::kLoadLibrary, kLoad);
  client.Send(Command::kGetKernel, Name{});
  client.Send(Command::kGetKernel, Name{});
  EXPECT_EQ(client.EndText(), "Kernel is given a name that is none, or in use.");
}

// Streams and kernels come and go by the million in a container that lives on.
TEST(HandleTableTest, NamesOfTheClientsLeaveNothing) {
  HandleTable<int> table(wire::HandleKind::kStream, 4);
  for (uint32_t generation = 1; generation < 100; ++generation) {
    const uint64_t name = wire::PackHandle({wire::HandleKind::kStream, generation, 3});
    EXPECT_TRUE(table.Insert(name, 1));
    EXPECT_FALSE(table.Takes(name));
    EXPECT_TRUE(table.Remove(name));
  }
  EXPECT_TRUE(table.full()) << "slots are kept for names of the server's alone";
}

}  // namespace
}  // namespace mignificient::server
