#include "remoting/client/program_pages.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/userfaultfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <numeric>
#include <thread>
#include <vector>

#include "os/mapping.h"

namespace mignificient::client {
namespace {

std::byte* Map(uint64_t bytes, int protection = PROT_READ | PROT_WRITE, int flags = MAP_PRIVATE, int fd = -1) {
  void* address = ::mmap(nullptr, bytes, protection, flags | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
  return address == MAP_FAILED ? nullptr : static_cast<std::byte*>(address);
}
Extent At(const void* address, uint64_t bytes) {
  return {reinterpret_cast<uint64_t>(address), bytes};
}
uint64_t InodeOf(int fd) {
  struct stat status{};
  ::fstat(fd, &status);
  return status.st_ino;
}

TEST(ProgramPagesTest, RangesAreRoundedOutwards) {
  EXPECT_EQ(PagesOf({4096, 1}), (Extent{4096, 4096}));
  EXPECT_EQ(PagesOf({4095, 2}), (Extent{0, 8192}));
  EXPECT_EQ(PagesOf({8192, 4096}), (Extent{8192, 4096}));
}

TEST(ProgramPagesTest, KindsAreToldApart) {
  const auto fd = os::CreateSealedMemory("test", 2 * kPageBytes).value();
  std::byte* const memory = Map(4 * kPageBytes);
  EXPECT_EQ(KindOf(At(memory, 4 * kPageBytes)), PageKind::kPrivate);
  ::mprotect(memory + kPageBytes, kPageBytes, PROT_READ);
  EXPECT_EQ(KindOf(At(memory, 4 * kPageBytes)), PageKind::kOther);
  EXPECT_EQ(KindOf(At(memory + 2 * kPageBytes, 2 * kPageBytes)), PageKind::kPrivate);
  ::munmap(memory + kPageBytes, kPageBytes);
  EXPECT_EQ(KindOf(At(memory, 4 * kPageBytes)), PageKind::kAbsent);
  EXPECT_EQ(KindOf(At(Map(2 * kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get()), 2 * kPageBytes)),
            PageKind::kOther);
  int on_the_stack = 0;
  EXPECT_EQ(KindOf(PagesOf(At(&on_the_stack, 4))), PageKind::kOther);
  EXPECT_EQ(KindOf({kPageBytes, kPageBytes}), PageKind::kAbsent);
}

class SharingTest : public testing::TestWithParam<uint64_t> {};

TEST_P(SharingTest, KeepsTheContentsThereAndBack) {
  const uint64_t bytes = GetParam() * kPageBytes;
  std::byte* const memory = Map(bytes);
  auto* const words = reinterpret_cast<uint32_t*>(memory);
  std::iota(words, words + bytes / 4, 7u);
  const auto fd = os::CreateSealedMemory("test", bytes).value();
  const auto peer = os::Mapping::Create(fd.get(), bytes).value();
  ASSERT_TRUE(SharePages(At(memory, bytes), fd.get()));
  EXPECT_EQ(std::memcmp(memory, peer.data(), bytes), 0);
  EXPECT_EQ(words[bytes / 4 - 1], bytes / 4 + 6);
  reinterpret_cast<uint32_t*>(peer.data())[1] = 99;
  EXPECT_EQ(words[1], 99u);
  EXPECT_EQ(KindOf(At(memory, bytes)), PageKind::kOther);
  ASSERT_TRUE(UnsharePages(At(memory, bytes), InodeOf(fd.get())));
  EXPECT_EQ(std::memcmp(memory, peer.data(), bytes), 0);
  reinterpret_cast<uint32_t*>(peer.data())[1] = 100;
  EXPECT_EQ(words[1], 99u);
  EXPECT_EQ(KindOf(At(memory, bytes)), PageKind::kPrivate);
  ::munmap(memory, bytes);
}
INSTANTIATE_TEST_SUITE_P(Sizes, SharingTest, testing::Values(1, 2, 3, 4, 301));

TEST(ProgramPagesTest, WhatTheProgramHasPutThereSinceIsLeftAlone) {
  std::byte* const memory = Map(4 * kPageBytes);
  const auto fd = os::CreateSealedMemory("test", 4 * kPageBytes).value();
  ASSERT_TRUE(SharePages(At(memory, 4 * kPageBytes), fd.get()));
  ::munmap(memory + kPageBytes, kPageBytes);
  ::mmap(memory + 2 * kPageBytes, kPageBytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  ASSERT_TRUE(UnsharePages(At(memory, 4 * kPageBytes), InodeOf(fd.get())));
  EXPECT_EQ(KindOf(At(memory, kPageBytes)), PageKind::kPrivate);
  EXPECT_EQ(KindOf(At(memory + kPageBytes, kPageBytes)), PageKind::kAbsent);
  EXPECT_EQ(KindOf(At(memory + 2 * kPageBytes, kPageBytes)), PageKind::kOther);  // still read-only
  EXPECT_EQ(KindOf(At(memory + 3 * kPageBytes, kPageBytes)), PageKind::kPrivate);
}

TEST(ProgramPagesTest, MemoryThatCannotBeCopiedStaysAsItIs) {
  std::byte* const memory = Map(4 * kPageBytes);
  memory[3 * kPageBytes] = std::byte{5};
  const auto short_fd = os::CreateSealedMemory("test", 2 * kPageBytes).value();  // sealed: writes beyond the end fail
  EXPECT_FALSE(SharePages(At(memory, 4 * kPageBytes), short_fd.get()));
  EXPECT_EQ(KindOf(At(memory, 4 * kPageBytes)), PageKind::kPrivate);
  EXPECT_EQ(memory[3 * kPageBytes], std::byte{5});
}

// As KeepsTheContentsThereAndBack, while another thread writes to an object that shares the last page.
TEST(ProgramPagesTest, NoWriteToANeighbourIsLost) {
  const int held = static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY));
  if (held < 0) GTEST_SKIP() << "The kernel does not let this process hold writers (userfaultfd).";
  ::close(held);
  std::byte* const memory = Map(3 * kPageBytes);
  std::atomic_ref<uint64_t> neighbour(*reinterpret_cast<uint64_t*>(memory + 3 * kPageBytes - 8));
  std::atomic<bool> stop{false};
  uint64_t written = 0, lost = 0;
  std::thread writer([&] {
    while (!stop.load()) {
      lost += neighbour.load() != written;
      neighbour.store(++written);
    }
  });
  for (int turn = 0; turn < 300; ++turn) {
    const auto fd = os::CreateSealedMemory("test", 3 * kPageBytes).value();
    ASSERT_TRUE(SharePages(At(memory, 3 * kPageBytes), fd.get()));
    ASSERT_TRUE(UnsharePages(At(memory, 3 * kPageBytes), InodeOf(fd.get())));
  }
  stop.store(true);
  writer.join();
  EXPECT_EQ(lost, 0u);
  EXPECT_EQ(neighbour.load(), written);
  ::munmap(memory, 3 * kPageBytes);
}

}  // namespace
}  // namespace mignificient::client
