#include "os/mapping.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

namespace mignificient::os {
namespace {

TEST(MappingTest, TwoMappingsOfOneMemfdShareBytes) {
  auto fd = CreateSealedMemory("test", 8192).value();
  auto a = Mapping::Create(fd.get(), 8192).value();
  auto b = Mapping::Create(fd.get(), 8192).value();
  a.data()[8191] = std::byte{7};
  EXPECT_EQ(b.data()[8191], std::byte{7});
}

TEST(MappingTest, SealedMemoryCannotBeResized) {
  auto fd = CreateSealedMemory("test", 4096).value();
  EXPECT_EQ(::ftruncate(fd.get(), 0), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(*SealedSize(fd.get()), 4096u);
}

TEST(MappingTest, UnsealedMemfdOfAPeerIsRefused) {
  UniqueFd fd(::memfd_create("test", MFD_ALLOW_SEALING));
  EXPECT_EQ(SealedSize(fd.get()).error().code(), Code::kPeer);
}

TEST(MappingTest, DescriptorThatIsNoMemfdIsRefused) {
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  UniqueFd read_end(pipe_ends[0]), write_end(pipe_ends[1]);
  EXPECT_EQ(SealedSize(read_end.get()).error().code(), Code::kPeer);
}

TEST(MappingTest, CreateAtRefusesAnAddressInUse) {
  auto fd = CreateSealedMemory("test", 4096).value();
  auto a = Mapping::Create(fd.get(), 4096).value();
  EXPECT_FALSE(Mapping::CreateAt(a.data(), fd.get(), 4096));
}

}  // namespace
}  // namespace mignificient::os
